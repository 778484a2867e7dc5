"""The bytes of chat answers: chunks of ``chat.completion.chunk`` and the whole object."""

from typing import Any

import orjson

from .answer import Form
from .generation import Generation
from .native import result
from .plan import Plan
from .text import Token

MOST_CHOICES = 4096  # slots that a server may have
_ROLE = b'"role":"assistant","content":null'


def _json(value: object) -> bytes:
    return orjson.dumps(value)


class ChatForm(Form):
    """One chat request's answers. The constant parts of a chunk are made once a second.

    ``wall`` is the time in ``created``, seconds; ``request_id`` is ``chatcmpl-`` and 32
    characters.
    """

    ends_with_done = True
    shows_end = False

    def __init__(self, body: dict[str, Any], model: str, build: str, request_id: str) -> None:
        self.body = body
        self.model = model
        self.build = build
        self.request_id = request_id
        self._wall = -1
        self._object = b""  # from after the choices to the end of the object, brace excluded
        self._after = b""
        choices = min(int(body.get("n") or 1), MOST_CHOICES)  # its check is still to come
        self._before = [
            b'data: {"choices":[{"finish_reason":null,"index":%d,"delta":{' % index
            for index in range(choices)
        ]
        options = body.get("stream_options")
        self._usage = bool(isinstance(options, dict) and options.get("include_usage"))
        self._progress = bool(body.get("return_progress"))
        self._timings = bool(body.get("timings_per_token"))
        self._logprobs = bool(body.get("logprobs") or body.get("n_probs"))
        self._rich = self._timings or self._logprobs

    def _fix(self, wall: int) -> None:
        """Make the parts that carry the time."""
        self._wall = wall
        self._object = b',"created":%d,"id":%b,"model":%b,"system_fingerprint":%b,"object":%b' % (
            wall,
            _json(self.request_id),
            _json(self.model),
            _json(self.build),
            b'"chat.completion.chunk"',
        )
        self._after = b"}}]" + self._object + b"}\n\n"

    def _event(self, choices: bytes, wall: int, members: bytes = b"") -> bytes:
        if wall != self._wall:
            self._fix(wall)
        return b'data: {"choices":[%b]%b%b}\n\n' % (choices, self._object, members)

    def progress(self, generation: Generation) -> bytes:
        """See ``Form``."""
        if not self._progress:
            return b""
        state = {
            "total": generation.order.prompt_tokens,
            "cache": generation.cached,
            "processed": generation.processed,
            "time_ms": int((generation.due - generation.started_at) * 1e3),
        }
        choice = b'{"finish_reason":null,"index":%d,"delta":{%b}}' % (generation.order.index, _ROLE)
        return self._event(
            choice, generation.engine.clock.wall, b',"prompt_progress":' + _json(state)
        )

    def spoken(self, generation: Generation, token: Token) -> bytes:  # per event
        """See ``Form``."""
        wall = generation.engine.clock.wall
        if wall != self._wall:
            self._fix(wall)
        if self._rich or generation.decoded == 1:
            payload = self._first_or_rich(generation, token)
        else:
            # One format, no copy of the payload.
            before, delta, after = self._before[generation.order.index], token.delta, self._after
            size = len(before) + len(delta) + len(after)
            return b"%x\r\n%b%b%b\r\n" % (size, before, delta, after)
        return b"%x\r\n%b\r\n" % (len(payload), payload)

    def _first_or_rich(self, generation: Generation, token: Token) -> bytes:
        before = self._before[generation.order.index]
        payload = b""
        delta = token.delta
        if generation.decoded == 1:
            payload = before + _ROLE + self._after
            delta = _echoed(generation.order.plan, token) or delta
        if delta:
            members = b""
            if self._timings:
                members = b',"timings":' + _json(generation.timings())
            choice = b'{"finish_reason":null,"index":%d,"delta":{%b}%b}' % (
                generation.order.index,
                delta,
                self._token_logprobs(token),
            )
            payload += self._event(choice, self._wall, members)
        return payload

    def _token_logprobs(self, token: Token) -> bytes:
        if not self._logprobs:
            return b""
        return b',"logprobs":' + _json({"content": [logprob(token.text, self.body)]})

    def final(self, generation: Generation) -> bytes:
        """See ``Form``."""
        choice = b'{"finish_reason":"%b","index":%d,"delta":{}}' % (
            generation.finish_reason.encode(),
            generation.order.index,
        )
        wall = generation.engine.clock.wall
        timings = b',"timings":' + _json(generation.timings())
        verbose = self._verbose(generation)
        if not self._usage:
            return self._event(choice, wall, timings + verbose)
        usage = b',"usage":' + _json(generation.usage())
        return self._event(choice, wall, verbose) + self._event(b"", wall, usage + timings)

    def _verbose(self, generation: Generation) -> bytes:
        if not self.body.get("verbose"):
            return b""
        return b',"__verbose":' + _json(result(generation, self.model))

    def whole(self, generations: list[Generation]) -> bytes:
        """See ``Form``."""
        first = generations[0]
        answer: dict[str, Any] = {
            "choices": [_choice(generation, self.body) for generation in generations],
            "created": first.engine.clock.wall,
            "model": self.model,
            "system_fingerprint": self.build,
            "object": "chat.completion",
            "usage": first.usage(),
            "id": self.request_id,
        }
        if self.body.get("verbose"):
            answer["__verbose"] = result(first, self.model)
        answer["timings"] = first.timings()
        return _json(answer)


def _echoed(plan: Plan, token: Token) -> bytes:
    """Return a delta of the echoed prefill and the first token (empty: nothing to echo)."""
    said = {"reasoning_content": plan.thought, "content": plan.prefix}
    if not any(said.values()):
        return b""
    said[token.kind] = said.get(token.kind, "") + token.text
    return _json({kind: text for kind, text in said.items() if text})[1:-1]


def logprob(text: str, body: dict[str, Any]) -> dict[str, Any]:
    """Return one entry of ``logprobs.content``."""
    raw = text.encode()
    entry: dict[str, Any] = {
        "id": int.from_bytes(raw[:4], "big"),
        "token": text,
        "bytes": list(raw),
        "logprob": -0.5,
    }
    top = [dict(entry) for _ in range(int(body.get("top_logprobs") or body.get("n_probs") or 0))]
    for rank, other in enumerate(top):
        other["logprob"] -= rank
    return entry | {"top_logprobs": top}


def _choice(generation: Generation, body: dict[str, Any]) -> dict[str, Any]:
    spoken = generation.spoken
    content = "".join(token.text for token in spoken if token.kind == "content")
    thought = generation.order.plan.thought
    thought += "".join(token.text for token in spoken if token.kind == "reasoning_content")
    message: dict[str, Any] = {
        "role": "assistant",
        "content": generation.order.plan.prefix + content,
    }
    if thought:
        message["reasoning_content"] = thought
    calls = _calls(spoken)
    if calls:
        message["tool_calls"] = calls
    choice = {
        "finish_reason": generation.finish_reason,
        "index": generation.order.index,
        "message": message,
    }
    if body.get("logprobs") or body.get("n_probs"):
        choice["logprobs"] = {"content": [logprob(token.text, body) for token in spoken]}
    return choice


def _calls(spoken: list[Token]) -> list[dict[str, Any]]:
    """Fold the pieces of tool calls into whole ones."""
    calls: list[dict[str, Any]] = []
    for token in spoken:
        if token.kind != "tool_calls":
            continue
        piece = orjson.loads(b"{%b}" % token.delta)["tool_calls"][0]
        if "id" in piece:
            function = piece["function"]
            calls.append({"type": "function", "function": function, "id": piece["id"]})
        else:
            calls[-1]["function"]["arguments"] += piece["function"]["arguments"]
    return calls
