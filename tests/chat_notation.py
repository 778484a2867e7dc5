"""Short names for the chunks of a streamed Chat answer, as llama-server sends them."""

from random import Random
from typing import Any

import orjson

DONE = b"data: [DONE]\n\n"


def event(data: Any) -> bytes:
    """One server-sent event."""
    return b"data: " + orjson.dumps(data) + b"\n\n"


def chunk(delta: dict[str, Any], finish: str | None = None, **more: Any) -> bytes:
    """A chunk with one choice; ``more`` are further members of the chunk."""
    choice = {"finish_reason": finish, "index": 0, "delta": delta}
    return event({"choices": [choice], "object": "chat.completion.chunk", **more})


ROLE = chunk({"role": "assistant", "content": None})
ERROR = event({"error": {"code": 500, "message": "boom", "type": "server_error"}})


def text(piece: str) -> bytes:
    return chunk({"content": piece})


def reasoning(piece: str) -> bytes:
    return chunk({"reasoning_content": piece})


def refusal(piece: str) -> bytes:
    return chunk({"refusal": piece})


def fragment(
    index: int | None, call_id: str | None = None, name: str | None = None, arguments: Any = None
) -> dict[str, Any]:
    """An entry of ``tool_calls``; None leaves the member out."""
    function = {"name": name, "arguments": arguments}
    entry: dict[str, Any] = {
        "function": {key: value for key, value in function.items() if value is not None}
    }
    if index is not None:
        entry["index"] = index
    if call_id is not None:
        entry |= {"id": call_id, "type": "function"}
    return entry


def call(
    index: int | None, call_id: str | None = None, name: str | None = None, arguments: Any = None
) -> bytes:
    """A chunk with one fragment of one tool call."""
    return chunk({"tool_calls": [fragment(index, call_id, name, arguments)]})


def calls(*fragments: dict[str, Any]) -> bytes:
    """Several fragments in one chunk."""
    return chunk({"tool_calls": list(fragments)})


def finish(reason: str = "stop", **more: Any) -> bytes:
    return chunk({}, reason, **more)


def usage(prompt: int = 10, cached: int = 6, output: int = 4) -> bytes:
    counts = {
        "prompt_tokens": prompt,
        "completion_tokens": output,
        "total_tokens": prompt + output,
        "prompt_tokens_details": {"cached_tokens": cached},
    }
    return event({"choices": [], "usage": counts})


def progress(total: int, cache: int, processed: int) -> bytes:
    numbers = {"total": total, "cache": cache, "processed": processed, "time_ms": 1}
    return chunk({"role": "assistant", "content": None}, prompt_progress=numbers)


def verbose(stop_type: str, word: str = "", *, truncated: bool = False) -> dict[str, Any]:
    """What ``finish`` takes as ``__verbose``."""
    return {"stop_type": stop_type, "stopping_word": word, "truncated": truncated}


def cuts(stream: bytes, seed: int) -> list[bytes]:
    """``stream`` in pieces of random sizes, mostly small ones."""
    random = Random(seed)
    pieces = []
    position = 0
    while position < len(stream):
        size = random.choice((1, 2, 3, 7, 19, 61, 199))
        pieces.append(stream[position : position + size])
        position += size
    return pieces
