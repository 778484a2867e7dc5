"""Requests that no client should send are refused, never tripped over."""

from random import Random
from typing import Any

import orjson
import pytest
from dialects.members import NOTHING, changed, places, values
from hypothesis import given, settings
from hypothesis import strategies as st

from multiproxy.dialects.policy import Policy
from multiproxy.dialects.responses_request import references, translate
from multiproxy.errors import ClientError

PIXEL = "data:image/png;base64,iVBORw0KGgo="
EVERYTHING: dict[str, Any] = {
    "model": "m",
    "instructions": [{"role": "developer", "content": "x"}],
    "input": [
        {"role": "developer", "content": [{"type": "input_text", "text": "x"}]},
        {"type": "message", "role": "user", "content": [
            {"type": "input_text", "text": "x"},
            {"type": "input_image", "image_url": PIXEL},
            {"type": "input_file", "filename": "a.txt", "file_data": "data:text/plain,x"},
            {"type": "input_audio", "input_audio": {"data": "", "format": "wav"}},
        ]},
        {"type": "reasoning", "id": "rs", "summary": [{"type": "summary_text", "text": "x"}],
         "content": [{"type": "reasoning_text", "text": "x"}], "encrypted_content": "mp1.z.x"},
        {"type": "function_call", "call_id": "c1", "name": "a", "namespace": "ns",
         "arguments": "{}", "id": "fc"},
        {"type": "function_call_output", "call_id": "c1", "output": [
            {"type": "input_text", "text": "x"}, {"type": "input_image", "image_url": PIXEL}]},
        {"type": "custom_tool_call", "call_id": "c2", "name": "patch", "input": "x"},
        {"type": "custom_tool_call_output", "call_id": "c2", "output": "x"},
        {"type": "local_shell_call", "id": "l", "call_id": "c3", "action": {"command": ["ls"]}},
        {"type": "local_shell_call_output", "id": "l", "output": "x"},
        {"type": "shell_call", "call_id": "c4", "action": {"commands": ["ls"]}},
        {"type": "shell_call_output", "call_id": "c4", "output": [
            {"stdout": "x", "stderr": "", "outcome": {"type": "exit", "exit_code": 0}}]},
        {"type": "apply_patch_call", "call_id": "c5", "operation": {"type": "delete_file"}},
        {"type": "apply_patch_call_output", "call_id": "c5", "output": "x"},
        {"type": "tool_search_call", "call_id": "c6", "arguments": {"query": "x"}},
        {"type": "tool_search_output", "call_id": "c6", "tools": [
            {"type": "function", "name": "late"}]},
        {"type": "additional_tools", "tools": [{"type": "function", "name": "more"}]},
        {"type": "configuration_update", "reasoning": {"effort": "low"}, "text": {}},
        {"type": "compaction", "encrypted_content": "mp1.z.x"},
        {"type": "web_search_call", "action": {"query": "x"}},
        {"type": "item_reference", "id": "msg_1"},
        {"role": "assistant", "content": [{"type": "refusal", "refusal": "x"}]},
    ],
    "tools": [
        {"type": "function", "name": "f", "parameters": {"type": "object"}, "strict": True},
        {"type": "namespace", "name": "ns", "tools": [
            {"type": "function", "name": "a"}, {"type": "custom", "name": "b"}]},
        {"type": "custom", "name": "patch", "format": {
            "type": "grammar", "syntax": "lark", "definition": "x"}},
        {"type": "shell"}, {"type": "tool_search", "execution": "client", "parameters": {}},
        {"type": "web_search"}, {"type": "function", "name": "late", "defer_loading": True},
    ],
    "tool_choice": {"type": "allowed_tools", "mode": "required", "tools": [
        {"type": "function", "name": "f"}]},
    "reasoning": {"effort": "none", "summary": "auto"},
    "text": {"format": {"type": "json_schema", "name": "n", "schema": {}}, "verbosity": "low"},
    "include": ["reasoning.encrypted_content"], "top_logprobs": 2, "temperature": 1,
    "max_output_tokens": 5, "parallel_tool_calls": False, "stream": True, "store": True,
    "metadata": {"a": "b"}, "previous_response_id": "resp_1", "truncation": "auto",
    "service_tier": "x", "prompt_cache_key": "k", "chat_template_kwargs": {"a": 1},
}  # fmt: skip
STORED = {"msg_1": {"type": "message", "id": "msg_1", "role": "user", "content": "x"}}
POLICIES = [Policy(), Policy(engine="strict", vision=False, mid_system="hoist")]

ANYTHING = values(
    ["function", "custom", "message", "user", "f", "c1", "auto", "required"],
    ["type", "name", "id", "role", "content", "text", "tools"],
)
PLACES = places(EVERYTHING)


def try_to_translate(body: dict[str, Any]) -> None:
    references(body)
    for policy in POLICIES:
        try:
            turn = translate(body, policy, stored_items=STORED)
        except ClientError as error:
            assert error.status in (400, 404) and error.message
        else:
            orjson.dumps([turn.body, turn.echoed, turn.input])
            for message in turn.body["messages"]:
                assert message["content"] is not None


def test_the_whole_request_is_fine_as_it_is() -> None:
    turn = translate(EVERYTHING, Policy(), stored_items=STORED)
    assert [tool["function"]["name"] for tool in turn.body["tools"]] == ["f"]
    assert turn.body["tool_choice"] == "required"


@pytest.mark.parametrize("path", PLACES, ids=lambda path: ".".join(map(str, path)))
def test_a_member_of_a_wrong_type_or_none_at_all_is_no_trap(path: tuple[Any, ...]) -> None:
    for value in (None, True, -1, 1.5, "", "x", [], [[]], [{}], {}, {"type": {}}, [None]):
        try_to_translate(changed(EVERYTHING, (path, value)))
    try_to_translate(changed(EVERYTHING, (path, NOTHING)))


@settings(max_examples=120, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(PLACES), ANYTHING), min_size=1, max_size=2))
def test_any_other_value_is_no_trap(changes: list[tuple[tuple[Any, ...], Any]]) -> None:
    try_to_translate(changed(EVERYTHING, *changes))


def test_items_in_any_order_are_no_trap() -> None:
    random = Random(3)
    for _ in range(100):
        items = random.sample(EVERYTHING["input"], random.randint(1, 10))
        try_to_translate({**EVERYTHING, "input": items})
