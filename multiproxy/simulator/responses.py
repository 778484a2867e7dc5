"""llama-server's own ``/v1/responses``, mistakes included; tools are not offered.

The mistakes: events have no numbers and no indices, reasoning has no part and ends only at
the very end, an answer cut by its limit is ``completed``, and there is no ``[DONE]``.
"""

from typing import Any

import orjson

from .answer import Form
from .generation import Generation
from .prompt import text_of
from .text import Token
from .wire import Refusal, chunk

_OWN = ("input", "instructions", "max_output_tokens", "tools", "tool_choice", "text", "reasoning")
_DELTAS = {
    "content": b'{"type":"response.output_text.delta","item_id":"%b","delta":%b}',
    "reasoning_content": b'{"type":"response.reasoning_text.delta","delta":%b,"item_id":"%b"}',
}


def chat_body(body: dict[str, Any]) -> dict[str, Any]:
    """Return the chat request that llama-server makes of a Responses request.

    Raises:
        Refusal: there is no input, or it continues a stored response.
    """
    if body.get("previous_response_id"):
        raise Refusal(400, "llama.cpp does not support 'previous_response_id'.")
    given = body.get("input")
    if given is None:
        raise Refusal(400, "'input' is required")
    items = given if isinstance(given, list) else [{"role": "user", "content": given}]
    messages = [
        {"role": item["role"], "content": text_of(item)}
        for item in items
        if isinstance(item, dict) and "role" in item
    ]
    if body.get("instructions"):
        messages.insert(0, {"role": "system", "content": body["instructions"]})
    chat = {name: value for name, value in body.items() if name not in _OWN}
    if body.get("max_output_tokens") is not None:
        chat["max_tokens"] = body["max_output_tokens"]
    return chat | {"messages": messages}


class ResponsesForm(Form):
    """One Responses request's answer. ``request_id`` is 32 characters."""

    ends_with_done = False
    shows_end = False

    def __init__(self, model: str, request_id: str) -> None:
        self.model = model
        self._response_id = f"resp_{request_id}"
        self._ids = {"content": f"msg_{request_id}", "reasoning_content": f"rs_{request_id}"}
        self._open: list[str] = []  # kinds of the items, in order

    def spoken(self, generation: Generation, token: Token) -> bytes:  # per event
        """See ``Form``."""
        payload = b""
        if generation.decoded == 1:
            early = {"id": self._response_id, "object": "response", "status": "in_progress"}
            payload = _event("created", response=early) + _event("in_progress", response=early)
        if token.kind not in self._open:
            self._open.append(token.kind)
            payload += self._begun(token.kind)
        item_id = self._ids[token.kind].encode()
        if token.kind == "content":
            name, parts = b"response.output_text.delta", (item_id, token.encoded)
        else:
            name, parts = b"response.reasoning_text.delta", (token.encoded, item_id)
        return chunk(payload + b"event: %b\ndata: %b\n\n" % (name, _DELTAS[token.kind] % parts))

    def _begun(self, kind: str) -> bytes:
        item_id = self._ids[kind]
        if kind == "reasoning_content":
            item = self._reasoning([]) | {"status": "in_progress"}
            return _event("output_item.added", item=item)
        item = {
            "content": [],
            "id": item_id,
            "role": "assistant",
            "status": "in_progress",
            "type": "message",
        }
        part = {"type": "output_text", "text": ""}
        added = _event("output_item.added", item=item)
        return added + _event("content_part.added", item_id=item_id, part=part)

    def final(self, generation: Generation) -> bytes:
        """See ``Form``."""
        payload, output = b"", []
        thought, content = _texts(generation)
        if thought:
            output.append(self._reasoning([{"text": thought, "type": "reasoning_text"}]))
            payload += _event("output_item.done", item=output[-1])
        if content:
            item_id, part = self._ids["content"], _part(content)
            payload += _event("output_text.done", item_id=item_id, text=content)
            payload += _event("content_part.done", item_id=item_id, part=part)
            output.append(
                {
                    "type": "message",
                    "status": "completed",
                    "id": item_id,
                    "content": [part],
                    "role": "assistant",
                }
            )
            payload += _event("output_item.done", item=output[-1])
        response = {
            "id": self._response_id,
            "object": "response",
            "created_at": generation.engine.clock.wall,
            "status": "completed",
            "model": self.model,
            "output": output,
            "usage": _usage(generation),
        }
        return payload + _event("completed", response=response, timings=generation.timings())

    def whole(self, generations: list[Generation]) -> bytes:
        """See ``Form``."""
        generation = generations[0]
        wall = generation.engine.clock.wall
        thought, content = _texts(generation)
        output: list[dict[str, Any]] = []
        if thought:
            item = self._reasoning([{"text": thought, "type": "reasoning_text"}])
            output.append(item | {"status": "completed"})
        if content:
            output.append(
                {
                    "content": [_part(content)],
                    "id": self._ids["content"],
                    "role": "assistant",
                    "status": "completed",
                    "type": "message",
                }
            )
        return orjson.dumps(
            {
                "completed_at": wall,
                "created_at": wall,
                "id": self._response_id,
                "model": self.model,
                "object": "response",
                "output": output,
                "status": "completed",
                "usage": _usage(generation),
            }
        )

    def _reasoning(self, content: list[Any]) -> dict[str, Any]:
        return {
            "id": self._ids["reasoning_content"],
            "summary": [],
            "type": "reasoning",
            "content": content,
            "encrypted_content": "",
        }


def _event(name: str, **members: object) -> bytes:
    data = orjson.dumps({"type": f"response.{name}", **members})
    return b"event: response.%b\ndata: %b\n\n" % (name.encode(), data)


def _part(text: str) -> dict[str, Any]:
    return {"type": "output_text", "annotations": [], "logprobs": [], "text": text}


def _usage(generation: Generation) -> dict[str, Any]:
    prompt, output = generation.order.prompt_tokens, generation.decoded
    return {
        "input_tokens": prompt,
        "output_tokens": output,
        "total_tokens": prompt + output,
        "input_tokens_details": {"cached_tokens": generation.cached},
    }


def _texts(generation: Generation) -> tuple[str, str]:
    plan, spoken = generation.order.plan, generation.spoken
    thought = "".join(token.text for token in spoken if token.kind == "reasoning_content")
    content = "".join(token.text for token in spoken if token.kind == "content")
    return plan.thought + thought, plan.prefix + content
