"""Items of a conversation as Chat messages."""

from typing import Any

import orjson
import pytest
from dialects.responses_asked import call, messages, output

from multiproxy.dialects.policy import Policy
from multiproxy.dialects.sealed_text import seal

STRICT = Policy(engine="strict")
USER = {"role": "user", "content": "go"}


def test_leading_developer_items_follow_the_instructions_in_the_system_message() -> None:
    items = [
        {"role": "developer", "content": "one"},
        {"type": "message", "role": "system", "content": [{"type": "input_text", "text": "two"}]},
        USER,
        call(),
        {"role": "developer", "content": "late"},
        output(),
    ]
    out = messages(items, instructions="zero")
    assert out[0] == {"role": "system", "content": "zero\n\none\n\ntwo"}
    assert [message["role"] for message in out] == ["system", "user", "assistant", "tool"]
    late = "<system-reminder>\nlate\n</system-reminder>"
    assert out[3] == {"role": "tool", "tool_call_id": "c1", "content": f"done\n\n{late}"}


def test_a_late_developer_item_behind_a_user_message_joins_it() -> None:
    (message,) = messages([USER, {"role": "developer", "content": "be brief"}])
    assert message["content"] == "go\n\n<system-reminder>\nbe brief\n</system-reminder>"


def test_instructions_may_be_a_list_of_items() -> None:
    out = messages([USER], instructions=[{"role": "developer", "content": "A"}])
    assert out[0] == {"role": "system", "content": "A"}


def test_items_need_no_type_no_id_and_no_status() -> None:
    items = [
        USER,
        {"role": "assistant", "content": [{"type": "output_text", "text": "yes"}]},
        {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "more"}]},
    ]
    assert messages(items) == [
        {"role": "user", "content": "go"},
        {"role": "assistant", "content": "yes"},
        {"role": "user", "content": "more"},
    ]


def test_consecutive_messages_of_one_role_are_merged() -> None:
    items = [
        USER,
        USER,
        {"role": "assistant", "content": "a"},
        {"role": "assistant", "content": [{"type": "refusal", "refusal": "b"}]},
        USER,
    ]
    assert messages(items) == [
        {"role": "user", "content": "go\n\ngo"},
        {"role": "assistant", "content": "ab"},
        {"role": "user", "content": "go"},
    ]


def test_reasoning_text_and_calls_are_one_assistant_turn() -> None:
    items = [
        USER,
        {"type": "reasoning", "summary": [{"type": "summary_text", "text": "r1"}]},
        {"type": "reasoning", "content": [{"type": "reasoning_text", "text": "r2"}], "summary": []},
        {"role": "assistant", "content": "t"},
        call("c1"),
        call("c2", "g", '{"a": 1}'),
        output("c1"),
        output("c2"),
    ]
    out = messages(items)
    assert [message["role"] for message in out] == ["user", "assistant", "tool", "tool"]
    turn_of_model = out[1]
    assert turn_of_model["reasoning_content"] == "r1\nr2" and turn_of_model["content"] == "t"
    assert [each["function"] for each in turn_of_model["tool_calls"]] == [
        {"name": "f", "arguments": "{}"},
        {"name": "g", "arguments": '{"a": 1}'},
    ]


def test_what_stands_between_a_call_and_its_result_comes_behind_it() -> None:
    items = [USER, call("c1"), call("c2"), USER, output("c2", "2"), output("c1", "1")]
    out = messages(items)
    assert [message["role"] for message in out] == ["user", "assistant", "tool", "tool", "user"]
    assert [message["content"] for message in out[2:4]] == ["2", "1"]


def test_ids_that_every_turn_uses_again_keep_their_results() -> None:
    items = [USER, call("call_0"), output("call_0", "a"), call("call_0"), output("call_0", "b")]
    out = messages(items)
    assert [message["role"] for message in out] == [
        "user",
        "assistant",
        "tool",
        "assistant",
        "tool",
    ]
    assert [out[2]["content"], out[4]["content"]] == ["a", "b"]


def test_the_first_of_several_results_is_kept() -> None:
    out = messages([USER, call(), output(value="1"), output(value="2")])
    assert [message["content"] for message in out[2:]] == ["1"]


@pytest.mark.parametrize(
    ("arguments", "sent"),
    [
        ('{"cmd": ', {"__unparsed_arguments": '{"cmd": '}),
        ("[1]", {"__unparsed_arguments": "[1]"}),
        ("", {}),
        (None, {}),
        ({"a": 1}, {"a": 1}),
    ],
)
def test_arguments_of_the_history_are_always_a_json_object(arguments: Any, sent: Any) -> None:
    out = messages([USER, call(arguments=arguments), output()])
    assert orjson.loads(out[1]["tool_calls"][0]["function"]["arguments"]) == sent


def test_a_strict_engine_gets_a_result_for_every_call_and_no_other() -> None:
    items = [USER, call("c1"), call("c2"), output("c2"), output("c9"), USER]
    out = messages(items, STRICT)
    assert [message.get("tool_call_id") for message in out] == [None, None, "c2", "c1", None]
    assert out[3]["content"] == "[no result]"


def test_custom_calls_are_wrapped_as_the_model_wrote_them() -> None:
    items = [
        USER,
        {"type": "custom_tool_call", "call_id": "c1", "name": "apply_patch", "input": "a\nb"},
        {"type": "custom_tool_call_output", "call_id": "c1", "output": "ok"},
    ]
    function = messages(items)[1]["tool_calls"][0]["function"]
    assert function == {"name": "apply_patch", "arguments": '{"input":"a\\nb"}'}


def test_a_namespaces_call_in_the_history_has_its_flat_name() -> None:
    item = call(name="a") | {"namespace": "mcp__x"}
    assert messages([USER, item, output()])[1]["tool_calls"][0]["function"]["name"] == "mcp__x__a"


def test_outputs_of_built_in_tools_are_text() -> None:
    shell = {"type": "shell_call", "call_id": "c1", "action": {"commands": ["ls"]}}
    chunks = [
        {"stdout": "a", "stderr": "b", "outcome": {"type": "exit", "exit_code": 1}},
        {"stdout": "c", "stderr": "", "outcome": {"type": "timeout"}},
    ]
    items = [USER, shell, {"type": "shell_call_output", "call_id": "c1", "output": chunks}]
    assert messages(items)[2]["content"] == "a\nb\n[exit code 1]\nc\n[timeout]"


def test_a_local_shells_output_may_name_the_item() -> None:
    item = {"type": "local_shell_call", "id": "lsh_1", "call_id": "c1", "action": {"command": []}}
    items = [USER, item, {"type": "local_shell_call_output", "id": "lsh_1", "output": "x"}]
    assert messages(items)[2]["tool_call_id"] == "c1"


def test_hosted_calls_of_another_server_are_told_as_text() -> None:
    items = [
        USER,
        {"type": "web_search_call", "id": "ws", "action": {"type": "search", "query": "q"}},
        {"type": "image_generation_call", "id": "ig", "result": "AAAA"},
        {"role": "assistant", "content": "answer"},
    ]
    out = messages([*items, USER])
    assert out[1]["content"] == '[web_search_call] {"action":{"type":"search","query":"q"}}\nanswer'


def test_foreign_reasoning_is_dropped() -> None:
    item = {"type": "reasoning", "summary": [], "encrypted_content": "gAAAA"}
    assert messages([USER, item, USER]) == [{"role": "user", "content": "go\n\ngo"}]
    item["encrypted_content"] = None  # type: ignore[assignment]
    assert messages([USER, item]) == [{"role": "user", "content": "go"}]


def test_sealed_reasoning_is_preferred_to_its_summary() -> None:
    item = {
        "type": "reasoning",
        "summary": [{"type": "summary_text", "text": "short"}],
        "encrypted_content": seal("long"),
    }
    assert messages([USER, item, call(), output()])[1]["reasoning_content"] == "long"


def test_foreign_compaction_is_dropped() -> None:
    item = {"type": "compaction", "encrypted_content": "gAAAA"}
    assert messages([item, USER]) == [{"role": "user", "content": "go"}]


def test_a_long_history_takes_linear_time() -> None:
    items: list[Any] = []
    for number in range(5_000):
        items += [USER, call(f"c{number}"), {"role": "developer", "content": "x"}]
    items += [output(f"c{number}") for number in range(5_000)]
    out = messages(items)
    assert len(out) == 15_000 and out[2]["tool_call_id"] == "c0"
