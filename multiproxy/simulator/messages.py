"""llama-server's own ``/v1/messages``, mistakes included; tools are not offered.

The mistakes: every block is ended only at the very end, an answer that begins with half a
character has no ``message_start``, and a stop sequence is told as ``end_turn``.
"""

from typing import Any

import orjson

from .answer import Form
from .generation import Generation
from .prompt import text_of
from .text import Token
from .wire import Refusal, chunk

_PASSED = ("temperature", "top_p", "top_k", "stream", "chat_template_kwargs")
_MAX_TOKENS = 4096  # when the request has no limit
_DELTAS = {
    "content": b'{"type":"text_delta","text":%b}',
    "reasoning_content": b'{"type":"thinking_delta","thinking":%b}',
}
_NO_SIGNATURE = b'{"type":"signature_delta","signature":""}'
_REASONS = {"length": "max_tokens", "tool_calls": "tool_use"}


def chat_body(body: dict[str, Any]) -> dict[str, Any]:
    """Return the chat request that llama-server makes of a Messages request.

    Raises:
        Refusal: there are no messages.
    """
    messages = body.get("messages")
    if messages is None:
        raise Refusal(500, "'messages' is required")
    system = body.get("system")
    said: list[Any] = [] if system is None else [{"role": "system", "content": system}]
    said += messages if isinstance(messages, list) else []
    chat = {name: body[name] for name in _PASSED if name in body}
    thinking = body.get("thinking") or {}
    if thinking.get("type") == "enabled":
        chat["thinking_budget_tokens"] = thinking.get("budget_tokens", 10000)
    return chat | {
        "messages": [
            {"role": message.get("role"), "content": text_of(message)}
            for message in said
            if isinstance(message, dict)
        ],
        "max_tokens": body.get("max_tokens", _MAX_TOKENS),
        "stop": body.get("stop_sequences") or [],
    }


class MessagesForm(Form):
    """One Messages request's answer. ``request_id`` is ``chatcmpl-`` and 32 characters."""

    ends_with_done = False
    shows_end = False

    def __init__(self, model: str, request_id: str) -> None:
        self.model = model
        self.request_id = request_id
        self._open: list[str] = []  # kinds of the blocks, in order

    def spoken(self, generation: Generation, token: Token) -> bytes:  # per event
        """See ``Form``."""
        payload = b""
        if generation.decoded == 1:
            start = self._message(generation, [], None, None)
            start["usage"]["output_tokens"] = 0
            payload = _event("message_start", message=start)
        if token.kind not in self._open:
            kind = "thinking" if token.kind == "reasoning_content" else "text"
            block = {"type": kind, kind: ""}
            payload += _event("content_block_start", index=len(self._open), content_block=block)
            self._open.append(token.kind)
        return chunk(payload + self._delta(token.kind, _DELTAS[token.kind] % token.encoded))

    def _delta(self, kind: str, delta: bytes) -> bytes:
        data = b'{"type":"content_block_delta","index":%d,"delta":%b}'
        return b"event: content_block_delta\ndata: %b\n\n" % (
            data % (self._open.index(kind), delta)
        )

    def final(self, generation: Generation) -> bytes:
        """See ``Form``."""
        payload = b""
        if "reasoning_content" in self._open:
            payload = self._delta("reasoning_content", _NO_SIGNATURE)
        for index in range(len(self._open)):
            payload += _event("content_block_stop", index=index)
        reason = _REASONS.get(generation.finish_reason, "end_turn")
        payload += _event(
            "message_delta",
            delta={"stop_reason": reason, "stop_sequence": None},
            usage={"output_tokens": generation.decoded},
        )
        return payload + _event("message_stop")

    def whole(self, generations: list[Generation]) -> bytes:
        """See ``Form``."""
        generation = generations[0]
        plan = generation.order.plan
        thought = plan.thought + _text(generation, "reasoning_content")
        content = plan.prefix + _text(generation, "content")
        blocks = [{"type": "thinking", "thinking": thought, "signature": ""}] if thought else []
        if content:
            blocks.append({"type": "text", "text": content})
        reason = _REASONS.get(generation.finish_reason, "end_turn")
        word = generation.ending.stopping_word or None
        return orjson.dumps(self._message(generation, blocks, reason, word))

    def _message(
        self, generation: Generation, blocks: list[Any], reason: str | None, word: str | None
    ) -> dict[str, Any]:
        usage = {
            "cache_read_input_tokens": generation.cached,
            "input_tokens": generation.prompt_n,
            "output_tokens": generation.decoded,
        }
        return {
            "id": self.request_id,
            "type": "message",
            "role": "assistant",
            "content": blocks,
            "model": self.model,
            "stop_reason": reason,
            "stop_sequence": word,
            "usage": usage,
        }


def _event(name: str, **members: object) -> bytes:
    data = orjson.dumps({"type": name, **members})
    return b"event: %b\ndata: %b\n\n" % (name.encode(), data)


def _text(generation: Generation, kind: str) -> str:
    return "".join(token.text for token in generation.spoken if token.kind == kind)
