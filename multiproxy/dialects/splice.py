"""The stream of a backend that goes on where another one died, as if it were the first one's.

The client's translator reads it behind the first one's bytes: the same ids, no second role,
no text twice, and counts that are those of the whole answer.
"""

from typing import Any

import orjson

from multiproxy.dialects.chat_chunk import count_of, progress_of
from multiproxy.dialects.continuation import Spoken
from multiproxy.dialects.events import Progress
from multiproxy.dialects.sse import ErrorData, EventSplitter
from multiproxy.errors import BackendProtocolError

# An answer may well repeat a word that it began with; a text of this length only an echo does.
_MIN_ECHO = 24  # characters
_TEXTS = ("content", "reasoning_content")
_SPECIAL = ("usage", "timings", "__verbose")
_TOO_LARGE = b"error: The backend sent too large an event.\n\n"


class Splice:
    """Rewrites a Chat stream that continues ``spoken``; what is no chunk passes as it is.

    ``progress`` is a sign of life, no more: the client has the first prompt's.
    """

    def __init__(self, spoken: Spoken, max_event_size: int = 4 << 20) -> None:
        self.progress: Progress | None = None
        self._spoken = spoken
        self._known = {"content": spoken.content, "reasoning_content": spoken.reasoning}
        self._splitter = EventSplitter(max_event_size)

    def feed(self, piece: bytes) -> bytes:
        """Return the whole events of ``piece`` and of what came before it, rewritten."""
        try:
            events = self._splitter.feed(piece)
        except BackendProtocolError:
            return _TOO_LARGE
        return b"".join(map(self._rewritten, events))

    def _rewritten(self, event: bytes) -> bytes:
        if type(event) is not ErrorData:
            try:
                chunk = orjson.loads(event)
            except ValueError:
                chunk = None
            if isinstance(chunk, dict) and not chunk.get("error"):
                return self._retold(chunk)
        name = b"error: " if type(event) is ErrorData else b"data: "
        return name + event.replace(b"\n", b" ") + b"\n\n"

    def _retold(self, chunk: dict[str, Any]) -> bytes:
        progress = progress_of(chunk.pop("prompt_progress", None))
        if progress is not None:
            self.progress = progress
        choices = chunk.get("choices")
        says = any(chunk.get(name) for name in _SPECIAL)
        for choice in choices if isinstance(choices, list) else ():
            if isinstance(choice, dict):
                says = self._cut(choice) or says
        if not says:
            return b""
        self._count(chunk)
        chunk |= self._spoken.identity
        return b"data: " + orjson.dumps(chunk) + b"\n\n"

    def _cut(self, choice: dict[str, Any]) -> bool:
        """Leave the role and an echo out of a choice; tells whether anything is left."""
        delta = choice.get("delta")
        if isinstance(delta, dict):
            delta.pop("role", None)
            for name in _TEXTS:
                text = delta.get(name)
                if text and isinstance(text, str):
                    delta[name] = self._without_echo(name, text)
                if not delta.get(name):
                    delta.pop(name, None)
        return bool(delta) or choice.get("finish_reason") is not None

    def _without_echo(self, name: str, text: str) -> str:
        known, self._known[name] = self._known[name], ""
        if len(known) < _MIN_ECHO or not text.startswith(known):
            return text
        text = text[len(known) :]
        if name == "reasoning_content" and self._spoken.content:
            return text.removeprefix("\n")  # the template's, where the thinking is closed
        return text

    def _count(self, chunk: dict[str, Any]) -> None:
        """Make the counts of a chunk those of the whole answer."""
        usage, timings = chunk.get("usage"), chunk.get("timings")
        if isinstance(usage, dict):
            details = usage.get("prompt_tokens_details")
            details = details if isinstance(details, dict) else {}
            prompt, cached, output = self._whole(
                count_of(usage.get("prompt_tokens")),
                count_of(details.get("cached_tokens")),
                count_of(usage.get("completion_tokens")),
            )
            usage |= {
                "completion_tokens": output,
                "prompt_tokens": prompt,
                "total_tokens": prompt + output,
                "prompt_tokens_details": {**details, "cached_tokens": cached},
            }
        if isinstance(timings, dict):
            self._count_timings(timings)

    def _count_timings(self, timings: dict[str, Any]) -> None:
        """Counts of the whole answer, at the speeds of its last part: they alone are known."""
        read, reused = count_of(timings.get("prompt_n")), count_of(timings.get("cache_n"))
        prompt, cached, output = self._whole(
            read + reused, reused, count_of(timings.get("predicted_n"))
        )
        timings |= {"cache_n": cached, "prompt_n": prompt - cached, "predicted_n": output}
        for name in ("prompt", "predicted"):
            each = timings.get(f"{name}_per_token_ms")
            if isinstance(each, int | float) and f"{name}_ms" in timings:
                timings[f"{name}_ms"] = each * timings[f"{name}_n"]

    def _whole(self, prompt: int, cached: int, output: int) -> tuple[int, int, int]:
        """Prompt, cached and output tokens of the whole, from those of the last part.

        Its prompt held what was said before, perhaps cut into other tokens.
        """
        first, tokens = self._spoken.prompt, self._spoken.tokens
        if first is None:
            prompt = max(0, prompt - tokens)
        else:
            prompt, cached = first.total, first.cache
        return prompt, min(cached, prompt), tokens + output
