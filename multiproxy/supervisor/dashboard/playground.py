"""The Playground: a prompt for any model in any dialect, its answer as it streams, its numbers.

The dashboard asks the API itself, so that the page needs no other origin and no key ever enters
a script. Nothing of a prompt or an answer is kept or logged.
"""

import json
import time
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from dataclasses import asdict

from multiproxy.dialects.trial import PATHS, Piece, Trial
from multiproxy.errors import InvalidRequest, Overloaded
from multiproxy.supervisor.dashboard.messages import EventStream, Piecewise
from multiproxy.supervisor.dashboard.play import Outcome, Play
from multiproxy.supervisor.dashboard.snapshot import Snapshot

Data = dict[str, object]

MOST_TOKENS = 4096
TOKENS = 256
MOST_AT_ONCE = 4  # it is a place to try things, not a client
DIALECTS = {
    "chat": "OpenAI Chat Completions",
    "messages": "Anthropic Messages",
    "responses": "OpenAI Responses",
}
assert DIALECTS.keys() == PATHS.keys()


def form(snapshot: Snapshot) -> Data:
    """What can be chosen."""
    names = [name for view in snapshot.models for name in (view.name, *view.aliases)]
    return {
        "models": [name for name in dict.fromkeys(names) if "*" not in name],
        "dialects": DIALECTS,
        "most_tokens": MOST_TOKENS,
        "asked": asked_of({"max_tokens": str(TOKENS)}),
    }


def asked_of(form: Mapping[str, str]) -> Data:
    """The form's own fields, to be shown in it again; never the key."""
    names = ("dialect", "model", "prompt", "max_tokens")
    return {name: form.get(name, "") for name in names}


class Playground:
    """Runs trials, a few at a time. ``api_url`` is asked for at each one."""

    def __init__(
        self, api_url: Callable[[], str], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._api_url = api_url
        self._clock = clock
        self._running = 0

    def stream(self, form: Mapping[str, str]) -> EventStream:
        """The answer as events: ``piece`` for each part, ``outcome`` at the end.

        Raises:
            InvalidRequest: a field makes no sense.
            Overloaded: enough are running.
        """
        return EventStream(Piecewise(self._events(self._play(form))))

    async def whole(self, form: Mapping[str, str]) -> tuple[list[Piece], Outcome]:
        """The complete answer, for a page without script; raises as ``stream`` does."""
        play = self._play(form)
        async with aclosing(self._counted(play)) as pieces:
            return [piece async for piece in pieces], play.outcome

    def _play(self, form: Mapping[str, str]) -> Play:
        if self._running >= MOST_AT_ONCE:
            raise Overloaded(f"{MOST_AT_ONCE} prompts are running here already; wait for one.")
        return Play(self._api_url(), trial_of(form), form.get("key", "").strip(), self._clock)

    async def _counted(self, play: Play) -> AsyncGenerator[Piece, None]:
        self._running += 1
        try:
            async with aclosing(play.pieces()) as pieces:
                async for piece in pieces:
                    yield piece
        finally:
            self._running -= 1

    async def _events(self, play: Play) -> AsyncGenerator[bytes, None]:
        async with aclosing(self._counted(play)) as pieces:
            async for piece in pieces:
                yield _event("piece", {"kind": piece.kind, "text": piece.text})
        yield _event("outcome", asdict(play.outcome))


def trial_of(form: Mapping[str, str]) -> Trial:
    """Raises: InvalidRequest: a field makes no sense."""
    dialect, model = form.get("dialect", ""), form.get("model", "").strip()
    prompt, tokens = form.get("prompt", ""), form.get("max_tokens", "").strip() or str(TOKENS)
    if dialect not in PATHS:
        raise InvalidRequest("There is no such dialect.", param="dialect")
    if not model or len(model) > 200:
        raise InvalidRequest("Name a model.", param="model")
    if not prompt.strip():
        raise InvalidRequest("The prompt is empty.", param="prompt")
    if not tokens.isascii() or not tokens.isdigit() or not 1 <= int(tokens) <= MOST_TOKENS:
        raise InvalidRequest(f"Ask for 1 to {MOST_TOKENS} tokens.", param="max_tokens")
    key = form.get("key", "").strip()
    if not key.isascii() or any(not "!" <= letter <= "~" for letter in key):
        raise InvalidRequest("The key has characters that no key has.", param="key")
    return Trial(dialect, model, prompt, int(tokens))


def _event(name: str, data: Mapping[str, object]) -> bytes:
    return f"event: {name}\ndata: {json.dumps(data)}\n\n".encode()
