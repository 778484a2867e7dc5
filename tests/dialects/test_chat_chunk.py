"""The members of one Chat chunk."""

from typing import Any

import orjson
import pytest
from chat_notation import call, chunk, finish, fragment, reasoning, text, usage

from multiproxy.dialects.chat_chunk import (
    delta_events,
    fragment_of,
    plain_event,
    progress_of,
    stop_info_of,
    usage_of,
)
from multiproxy.dialects.events import (
    Event,
    Progress,
    Reasoning,
    Refusal,
    StopInfo,
    Text,
    ToolFragment,
    Usage,
)


def parsed(piece: bytes) -> Any:
    return orjson.loads(piece.removeprefix(b"data: "))


PLAIN: list[tuple[bytes, Event]] = [
    (text("a"), Text("a")),
    (reasoning("a"), Reasoning("a")),
    (call(2, arguments="a"), ToolFragment(2, "", "", "a")),
]
NOT_PLAIN: list[Any] = [
    parsed(text("")),
    parsed(finish()),
    parsed(usage()),
    parsed(call(0, "c0", "f", "{}")),
    parsed(call(0, arguments={"x": 1})),
    parsed(chunk({"content": "a", "refusal": "b"})),
    parsed(chunk({"reasoning": "a"})),
    parsed(chunk({"content": "a"}, timings={})),
    parsed(chunk({"tool_calls": 5})),
    {"choices": [{"index": 1, "finish_reason": None, "delta": {"content": "a"}}]},
    {"choices": 5},
    [],
    None,
]


@pytest.mark.parametrize(("piece", "event"), PLAIN)
def test_a_chunk_of_one_string_is_one_event(piece: bytes, event: Event) -> None:
    assert plain_event(parsed(piece)) == event


@pytest.mark.parametrize("chunk_", NOT_PLAIN)
def test_any_other_chunk_is_read_member_by_member(chunk_: Any) -> None:
    assert plain_event(chunk_) is None


def test_a_delta_says_its_members_in_order() -> None:
    delta = {
        "refusal": "c",
        "content": "b",
        "reasoning_content": "a",
        "reasoning": "a",
        "tool_calls": [fragment(0, "c0", "f", "{"), None],
        "function_call": {"name": "g", "arguments": None},
    }
    assert delta_events(delta, {"content": [{"token": "b"}]}) == [
        Reasoning("a"),
        Text("b", [{"token": "b"}]),
        Refusal("c"),
        ToolFragment(0, "c0", "f", "{"),
        ToolFragment(0, "", "g", ""),
    ]
    assert delta_events({"content": None, "reasoning": 5, "refusal": ""}, None) == []
    with pytest.raises(TypeError):
        delta_events({"content": 5}, None)


def test_content_may_be_parts() -> None:
    thinking = [{"type": "text", "text": "a"}, None, {"text": 5}]
    parts = [
        {"type": "thinking", "thinking": thinking},
        {"type": "thinking", "thinking": "b"},
        {"type": "text", "text": "c"},
        {"type": "text"},
        5,
    ]
    assert delta_events({"content": parts}, None) == [Reasoning("a"), Reasoning("b"), Text("c")]


def test_odd_fragments_are_read_for_what_they_say() -> None:
    odd = {"index": "0", "id": 7, "function": {"name": None, "arguments": {"x": 1}}}
    assert fragment_of(odd) == ToolFragment(None, "7", "", '{"x":1}')
    assert fragment_of({"function": None}) == ToolFragment(None, "", "", "")


def test_llama_servers_own_members() -> None:
    numbers = {"total": 3, "cache": 1, "processed": 2}
    assert progress_of(numbers) == Progress(3, 1, 2)
    assert progress_of({"total": -1, "cache": "x"}) == Progress(0, 0, 0)
    assert stop_info_of({"stop_type": "word", "stopping_word": "x", "truncated": True}) == (
        StopInfo("word", "x", True)
    )
    assert stop_info_of({"stop_type": "eos", "stopping_word": None}) == StopInfo("eos", "", False)
    assert progress_of(None) is None is stop_info_of({"content": ""})


def test_usage_is_counted_by_whatever_says_most() -> None:
    timings = {"cache_n": 6, "prompt_n": 4, "predicted_n": 9}
    counts = {"prompt_tokens": 10, "completion_tokens": 7}
    details = {
        **counts,
        "prompt_tokens_details": {"cached_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 3},
    }
    assert usage_of(details, timings) == Usage(10, 0, 7, 3)
    assert usage_of(counts, timings) == Usage(10, 6, 7)
    assert usage_of(None, timings) == Usage(10, 6, 9)
    assert usage_of({"prompt_tokens": "x", "completion_tokens": -1}, None) == Usage(0, 0, 0)
    assert usage_of(None, None) is None
