"""An independent reading of the Messages stream: refuses whatever an SDK might fail on.

Written against the protocol's public description, not against our emitter.
"""

from dataclasses import dataclass, field
from typing import Any

import orjson

_DELTAS = {
    "text": {"text_delta": "text"},
    "thinking": {"thinking_delta": "thinking", "signature_delta": "signature"},
    "tool_use": {"input_json_delta": "partial_json"},
}
_USAGE = {
    "input_tokens",
    "cache_creation_input_tokens",
    "cache_read_input_tokens",
    "output_tokens",
}
_REASONS = {
    "end_turn",
    "max_tokens",
    "stop_sequence",
    "tool_use",
    "refusal",
    "model_context_window_exceeded",
}


@dataclass
class Told:
    """What a client understood of a stream."""

    start: dict[str, Any] | None = None
    blocks: list[dict[str, Any]] = field(default_factory=list)
    end: dict[str, Any] | None = None  # the message_delta event
    error: dict[str, Any] | None = None
    names: list[str] = field(default_factory=list)  # of all events but pings
    comments: int = 0
    pings: int = 0
    is_over: bool = False

    @property
    def stop_reason(self) -> str:
        assert self.end is not None
        reason = self.end["delta"]["stop_reason"]
        assert isinstance(reason, str)
        return reason

    @property
    def usage(self) -> dict[str, int]:
        assert self.end is not None
        return dict(self.end["usage"])

    def message(self) -> dict[str, Any]:
        """The message as a client that does not stream should have got it."""
        assert self.start is not None and self.end is not None
        content = [
            {**block, "input": _input(block["input"])} if block["type"] == "tool_use" else block
            for block in self.blocks
        ]
        return {
            **self.start["message"],
            "content": content,
            **self.end["delta"],
            "usage": self.end["usage"],
        }


def check(stream: bytes) -> Told:
    """Read a whole stream.

    Raises:
        AssertionError: the stream is not one that the protocol allows.
    """
    told = Told()
    text = stream.decode()
    assert text == "" or text.endswith("\n\n")
    is_open = False
    for raw in text.split("\n\n")[:-1]:
        lines = raw.split("\n")
        if lines[0].startswith(":"):
            told.comments += 1
            assert len(lines) == 1
            continue
        assert len(lines) == 2, raw
        assert lines[0].startswith("event: ") and lines[1].startswith("data: "), raw
        event = orjson.loads(lines[1][6:])
        name = lines[0][7:]
        assert event["type"] == name
        assert not told.is_over, f"{name} behind the end"
        if name == "ping":
            told.pings += 1
            assert told.start is not None
            continue
        told.names.append(name)
        is_open = _take(told, name, event, is_open)
    return told


def _take(told: Told, name: str, event: dict[str, Any], is_open: bool) -> bool:
    """Check one event; whether a block is open behind it."""
    if name == "error":
        assert isinstance(event["error"]["type"], str)
        assert isinstance(event["error"]["message"], str)
        assert event["request_id"].startswith("req_")
        told.error = event["error"]
        told.is_over = True
        return is_open
    if name == "message_start":
        assert told.start is None, "message_start twice"
        _check_message(event["message"])
        told.start = event
        return False
    assert told.start is not None, f"{name} before message_start"
    assert told.end is None or name == "message_stop", f"{name} behind message_delta"
    if name == "content_block_start":
        assert not is_open
        assert event["index"] == len(told.blocks)
        told.blocks.append(_new_block(event["content_block"]))
        return True
    if name == "content_block_delta":
        assert is_open and event["index"] == len(told.blocks) - 1
        block = told.blocks[-1]
        member = _DELTAS[block["type"]][event["delta"]["type"]]
        piece = event["delta"][member]
        assert isinstance(piece, str)
        block["input" if member == "partial_json" else member] += piece
        return True
    if name == "content_block_stop":
        assert is_open and event["index"] == len(told.blocks) - 1
        _check_closed(told.blocks[-1])
        return False
    assert not is_open, f"{name} in a block"
    if name == "message_delta":
        assert event["delta"]["stop_reason"] in _REASONS
        assert (event["delta"]["stop_sequence"] is None) == (
            event["delta"]["stop_reason"] != "stop_sequence"
        )
        _check_usage(event["usage"])
        told.end = event
        return False
    assert name == "message_stop" and told.end is not None
    told.is_over = True
    return False


def _check_message(message: dict[str, Any]) -> None:
    assert message["id"].startswith("msg_")
    assert message["type"] == "message" and message["role"] == "assistant"
    assert message["content"] == []
    assert message["stop_reason"] is None and message["stop_sequence"] is None
    assert isinstance(message["model"], str)
    _check_usage(message["usage"])


def _check_usage(usage: dict[str, Any]) -> None:
    assert set(usage) == _USAGE
    assert all(isinstance(number, int) and number >= 0 for number in usage.values())


def _new_block(block: dict[str, Any]) -> dict[str, Any]:
    match block["type"]:
        case "text":
            assert block == {"type": "text", "text": ""}
        case "thinking":
            assert block == {"type": "thinking", "thinking": "", "signature": ""}
        case kind:
            assert kind == "tool_use" and set(block) == {"type", "id", "name", "input"}
            assert block["id"] and block["name"] and block["input"] == {}
            return {**block, "input": ""}
    return dict(block)


def _check_closed(block: dict[str, Any]) -> None:
    if block["type"] == "text":
        assert block["text"].strip() or block["text"] == "", "a block of white space"
        assert block["text"], "an empty text block"
    if block["type"] == "thinking":
        assert block["signature"], "no signature"


def _input(arguments: str) -> Any:
    return orjson.loads(arguments) if arguments.strip() else {}
