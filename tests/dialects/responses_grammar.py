"""An independent judge of Responses streams: it knows the protocol, not our emitter.

``check`` reads the bytes of one stream and fails with an ``AssertionError`` that names the
event; it returns what a client would have understood.
"""

from dataclasses import dataclass, field
from typing import Any

import orjson

REQUIRED_OF_RESPONSE = frozenset(
    "id object created_at completed_at status error incomplete_details instructions model output"
    " max_output_tokens max_tool_calls parallel_tool_calls previous_response_id reasoning store"
    " background temperature top_p presence_penalty frequency_penalty text tool_choice tools"
    " top_logprobs truncation usage user safety_identifier prompt_cache_key service_tier"
    " metadata".split()
)
_PLACE = frozenset(("item_id", "output_index"))
REQUIRED = {
    "response.created": {"response"},
    "response.in_progress": {"response"},
    "response.completed": {"response"},
    "response.incomplete": {"response"},
    "response.failed": {"response"},
    "response.output_item.added": {"output_index", "item"},
    "response.output_item.done": {"output_index", "item"},
    "response.content_part.added": {*_PLACE, "content_index", "part"},
    "response.content_part.done": {*_PLACE, "content_index", "part"},
    "response.output_text.delta": {*_PLACE, "content_index", "delta", "logprobs"},
    "response.output_text.done": {*_PLACE, "content_index", "text", "logprobs"},
    "response.refusal.delta": {*_PLACE, "content_index", "delta"},
    "response.refusal.done": {*_PLACE, "content_index", "refusal"},
    "response.reasoning_text.delta": {*_PLACE, "content_index", "delta"},
    "response.reasoning_text.done": {*_PLACE, "content_index", "text"},
    "response.reasoning_summary_part.added": {*_PLACE, "summary_index", "part"},
    "response.reasoning_summary_part.done": {*_PLACE, "summary_index", "part"},
    "response.reasoning_summary_text.delta": {*_PLACE, "summary_index", "delta"},
    "response.reasoning_summary_text.done": {*_PLACE, "summary_index", "text"},
    "response.function_call_arguments.delta": {*_PLACE, "delta"},
    "response.function_call_arguments.done": {*_PLACE, "arguments", "name"},
    "response.custom_tool_call_input.delta": {*_PLACE, "delta"},
    "response.custom_tool_call_input.done": {*_PLACE, "input"},
    "error": {"code", "message", "param", "error"},
}
REQUIRED_OF_ITEM = {
    "message": {"id", "role", "status", "content"},
    "reasoning": {"id", "status", "summary", "content", "encrypted_content"},
    "function_call": {"id", "call_id", "name", "arguments", "status"},
    "custom_tool_call": {"id", "call_id", "name", "input", "status"},
    "local_shell_call": {"id", "call_id", "action", "status"},
    "shell_call": {"id", "call_id", "action", "status"},
    "apply_patch_call": {"id", "call_id", "operation", "status"},
    "tool_search_call": {"id", "call_id", "arguments", "execution", "status"},
}
_ENDS = {
    "response.completed": "completed",
    "response.incomplete": "incomplete",
    "response.failed": "failed",
}
_ITEM_OF_EVENT = {
    "output_text": "message",
    "refusal": "message",
    "reasoning_text": "reasoning",
    "reasoning_summary_text": "reasoning",
    "function_call_arguments": "function_call",
    "custom_tool_call_input": "custom_tool_call",
}


@dataclass
class Told:
    """What a stream said. ``names`` are the event types in order, ``end`` the response object."""

    events: list[dict[str, Any]] = field(default_factory=list)
    end: dict[str, Any] = field(default_factory=dict)

    @property
    def names(self) -> list[str]:
        return [event["type"] for event in self.events]

    @property
    def output(self) -> list[dict[str, Any]]:
        return self.end["output"]

    def deltas(self, output_index: int) -> str:
        return "".join(
            event["delta"]
            for event in self.events
            if event["type"].endswith(".delta") and event["output_index"] == output_index
        )


def read(stream: bytes) -> list[dict[str, Any]]:
    """The events of a stream that ends with ``[DONE]``; framing is checked."""
    assert stream.endswith(b"\n\n")
    events = []
    *blocks, last = stream.removesuffix(b"\n\n").split(b"\n\n")
    assert last == b"data: [DONE]"
    for block in blocks:
        name, _, data = block.partition(b"\n")
        assert name.startswith(b"event: ") and data.startswith(b"data: "), block
        assert b"\n" not in data, "one data line per event"
        value = orjson.loads(data[6:])
        assert value["type"] == name[7:].decode()
        events.append(value)
    return events


def check(stream: bytes) -> Told:
    """Judge one whole stream."""
    told = Told(read(stream))
    for number, event in enumerate(told.events):
        assert event["sequence_number"] == number, event
        missing = REQUIRED[event["type"]] - event.keys()
        assert not missing, (event, missing)
        if "response" in event:
            assert event["response"].keys() >= REQUIRED_OF_RESPONSE, event["type"]
    names = told.names
    assert names[:2] == ["response.created", "response.in_progress"]
    assert names.count("response.created") == 1
    ends = [name for name in names if name in _ENDS]
    assert len(ends) == 1, ends
    failed = ends == ["response.failed"]
    assert names[-2:] == ["response.failed", "error"] if failed else names[-1] == ends[0]
    told.end = told.events[-2 if failed else -1]["response"]
    for event in told.events:
        if event["type"] in ("response.created", "response.in_progress"):
            assert event["response"]["status"] == "in_progress"
            assert event["response"]["output"] == [] and event["response"]["usage"] is None
            assert event["response"]["id"] == told.end["id"]
    assert told.end["status"] == _ENDS[ends[0]]
    _check_items(told, failed=failed)
    _check_end(told.end)
    return told


def _check_items(told: Told, *, failed: bool) -> None:
    open_items: dict[int, list[dict[str, Any]]] = {}
    done: dict[int, dict[str, Any]] = {}
    ids: list[str] = []
    for event in told.events:
        kind = event["type"]
        index = event.get("output_index")
        if kind == "response.output_item.added":
            assert index == len(ids), "indices rise by one"
            assert event["item"]["status"] == "in_progress"
            _check_item(event["item"])
            ids.append(event["item"]["id"])
            open_items[index] = [event]
        elif kind == "response.output_item.done":
            its_events = open_items.pop(index)
            _check_item(event["item"])
            _check_one([*its_events, event])
            done[index] = event["item"]
        elif index is not None:
            assert index in open_items, ("outside of its item", event)
            assert event["item_id"] == ids[index]
            open_items[index].append(event)
    assert len(set(ids)) == len(ids)
    if not failed:
        assert not open_items, "an item was never done"
    assert told.end["output"] == [done[index] for index in sorted(done)]
    call_ids = [item["call_id"] for item in done.values() if "call_id" in item]
    assert len(set(call_ids)) == len(call_ids), "call ids differ"


def _check_item(item: dict[str, Any]) -> None:
    missing = REQUIRED_OF_ITEM[item["type"]] - item.keys()
    assert not missing, (item, missing)
    assert item["id"] and item.get("call_id") != item["id"]
    assert item.get("role", "assistant") == "assistant"


def _check_one(events: list[dict[str, Any]]) -> None:
    """All events of one item, from its ``added`` to its ``done``."""
    first, last = events[0]["item"], events[-1]["item"]
    for key in ("type", "id", "call_id", "name", "namespace"):
        assert first.get(key) == last.get(key), key
    deltas: dict[int, str] = {}
    whole: dict[int, str] = {}
    open_parts: set[int] = set()
    for event in events[1:-1]:
        kind = event["type"].removeprefix("response.")
        part = event.get("content_index", event.get("summary_index", 0))
        base, _, action = kind.rpartition(".")
        if base in ("content_part", "reasoning_summary_part"):
            if action == "added":
                assert part == len(deltas), "parts come in order"
                open_parts.add(part)
                deltas[part] = ""
            else:
                open_parts.remove(part)
                said = event["part"].get("text", event["part"].get("refusal"))
                assert said == whole[part]
            continue
        assert _ITEM_OF_EVENT[base] == first["type"], event
        assert part in open_parts or first["type"].endswith("_call"), event
        assert part not in whole, "a text is done once, and nothing follows"
        if action == "delta":
            assert event["delta"], "no empty deltas"
            deltas[part] = deltas.get(part, "") + event["delta"]
        else:
            keys = ("text", "refusal", "arguments", "input")
            whole[part] = next(event[key] for key in keys if key in event)
            # A custom input is told as a whole when its deltas turned out to be wrong.
            if base != "custom_tool_call_input":
                assert whole[part] == deltas.get(part, ""), event
    assert not open_parts
    _check_texts(last, deltas, whole)


def _check_texts(item: dict[str, Any], deltas: dict[int, str], whole: dict[int, str]) -> None:
    match item["type"]:
        case "message":
            parts = [part.get("text", part.get("refusal")) for part in item["content"]]
            assert parts == list(deltas.values()) == list(whole.values())
        case "reasoning":
            parts = [part["text"] for part in item["content"] + item["summary"]]
            assert parts == list(deltas.values())
        case "function_call":
            assert item["arguments"] == deltas.get(0, "")
            assert bool(whole) == (item["status"] == "completed")
        case "custom_tool_call" if item["status"] == "completed":
            assert item["input"] == whole[0]
        case "custom_tool_call":
            assert item["input"] == deltas.get(0, "") and not whole


def _check_end(response: dict[str, Any]) -> None:
    status, usage = response["status"], response["usage"]
    assert (response["error"] is not None) == (status == "failed")
    assert (response["incomplete_details"] is not None) == (status == "incomplete")
    assert (response["completed_at"] is not None) == (status == "completed")
    if usage is not None:
        counts = [
            usage["input_tokens"],
            usage["output_tokens"],
            usage["total_tokens"],
            usage["input_tokens_details"]["cached_tokens"],
            usage["output_tokens_details"]["reasoning_tokens"],
        ]
        assert all(type(count) is int and count >= 0 for count in counts)
        assert usage["total_tokens"] == usage["input_tokens"] + usage["output_tokens"]
