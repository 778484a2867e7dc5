"""Requests that no client should send are refused, never tripped over."""

from copy import deepcopy
from random import Random
from typing import Any

import orjson
import pytest
from dialects.members import NOTHING, changed, places, values
from hypothesis import given, settings
from hypothesis import strategies as st

from multiproxy.dialects.count import estimate_prompt
from multiproxy.dialects.messages_request import translate
from multiproxy.dialects.policy import Policy
from multiproxy.errors import ClientError

PNG = {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="}
DOCUMENT = {"type": "text", "media_type": "text/plain", "data": "x"}
EVERYTHING: dict[str, Any] = {
    "model": "m",
    "max_tokens": 5,
    "system": [{"type": "text", "text": "x", "cache_control": {"type": "ephemeral"}}],
    "messages": [
        {"role": "system", "content": "x"},
        {"role": "user", "content": [
            {"type": "text", "text": "x"},
            {"type": "image", "source": PNG},
            {"type": "image", "source": {"type": "url", "url": "https://example.com/x"}},
            {"type": "document", "title": "t", "context": "c", "source": DOCUMENT},
            {"type": "document", "source": {"type": "content", "content": [
                {"type": "text", "text": "x"}, {"type": "image", "source": PNG}]}},
            {"type": "search_result", "title": "t", "source": "s", "content": [
                {"type": "text", "text": "x"}]},
        ]},
        {"role": "assistant", "content": [
            {"type": "thinking", "thinking": "x", "signature": "mp1.z.x"},
            {"type": "redacted_thinking", "data": "mp1.z.x"},
            {"type": "text", "text": "x", "citations": []},
            {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {"query": "x"}},
            {"type": "web_search_tool_result", "tool_use_id": "s", "content": [{"title": "x"}]},
            {"type": "tool_use", "id": "t1", "name": "f", "input": {"x": 1}},
            {"type": "tool_use", "id": "t2", "name": "late", "input": {}},
            {"type": "compaction", "content": "x"},
        ]},
        {"role": "user", "content": [
            {"type": "tool_result", "tool_use_id": "t1", "is_error": True, "content": [
                {"type": "text", "text": "x"}, {"type": "image", "source": PNG},
                {"type": "tool_reference", "tool_name": "late"},
                {"type": "browser_state", "url": "x"}]},
            {"type": "tool_result", "tool_use_id": "t2", "content": "x"},
        ]},
        {"role": "system", "content": [
            {"type": "text", "text": "x"},
            {"type": "tool_addition", "tool": {"name": "new", "input_schema": {}}},
            {"type": "tool_removal", "tool": {"name": "g"}}]},
        {"role": "user", "content": "x"},
    ],
    "tools": [
        {"name": "f", "description": "d", "input_schema": {"type": "object"}, "strict": True,
         "input_examples": [{"x": 1}]},
        {"name": "g", "type": "custom"},
        {"name": "late", "defer_loading": True},
        {"type": "bash_20250124", "name": "bash"},
        {"type": "web_search_20250305", "name": "web_search"},
    ],
    "tool_choice": {"type": "tool", "name": "f", "disable_parallel_tool_use": True},
    "thinking": {"type": "enabled", "budget_tokens": 5},
    "output_config": {"effort": "high", "format": {"type": "json_schema", "schema": {}},
                      "task_budget": {"total": 5}},
    "metadata": {"user_id": '{"session_id":"x"}'},
    "context_management": {"edits": []},
    "container": {"id": "x"},
    "stop_sequences": ["x"], "stream": True, "temperature": 1, "top_p": 1, "top_k": 1,
    "chat_template_kwargs": {"a": 1},
}  # fmt: skip
POLICIES = [
    Policy(),
    Policy(engine="strict", vision=False, mid_system="hoist", documents="placeholder"),
]

ANYTHING = values(
    ["text", "image", "tool_use", "tool_result", "user", "f", "t1", "auto", "any"],
    ["type", "name", "id", "role", "content", "text", "source", "input"],
)
PLACES = places(EVERYTHING)


def try_to_translate(body: dict[str, Any]) -> None:
    """Refused for the client's fault, or translated to something that can be sent."""
    for policy in POLICIES:
        try:
            turn = translate(body, policy, version="2023-06-01")
        except ClientError as error:
            assert error.message
            continue
        assert orjson.loads(orjson.dumps(turn.body)) == turn.body
        assert estimate_prompt(turn.body) > 0
        roles = [message["role"] for message in turn.body["messages"]]
        assert roles.count("system") <= 1 and "system" not in roles[1:]


def test_everything_at_once_is_translated() -> None:
    before = deepcopy(EVERYTHING)
    turn = translate(EVERYTHING, Policy())
    assert before == EVERYTHING
    assert [message["role"] for message in turn.body["messages"]] == [
        "system", "user", "assistant", "tool", "tool", "user",
    ]  # fmt: skip


@pytest.mark.parametrize("value", [None, True, -1, 0.5, "", "x", [], [None], {}, {"type": "x"}])
def test_any_member_may_have_any_type(value: Any) -> None:
    for path in PLACES:
        try_to_translate(changed(EVERYTHING, (path, value)))


def test_any_member_may_be_missing() -> None:
    for path in PLACES:
        try_to_translate(changed(EVERYTHING, (path, NOTHING)))


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(PLACES), ANYTHING), min_size=1, max_size=3))
def test_several_members_may_be_anything(changes: list[tuple[tuple[Any, ...], Any]]) -> None:
    try_to_translate(changed(EVERYTHING, *changes))


def test_messages_in_any_order_are_no_trap() -> None:
    random = Random(3)
    for _ in range(100):
        messages = random.choices(EVERYTHING["messages"], k=random.randint(1, 8))
        try_to_translate({**EVERYTHING, "messages": messages})
