"""Output items: what is in them, whatever way their text came."""

import pytest
from chat_notation import (
    DONE,
    ROLE,
    call,
    event,
    finish,
    reasoning,
    refusal,
    text,
    usage,
)
from dialects.responses_run import said, told, turn

END = usage() + DONE
CODEX_TOOLS = [
    {"type": "function", "name": "shell", "parameters": {"type": "object"}},
    {"type": "namespace", "name": "mcp__x", "tools": [{"type": "function", "name": "a"}]},
    {"type": "web_search"},
    {"type": "custom", "name": "apply_patch", "description": "Patches."},
]


def test_a_call_without_arguments_gets_an_empty_object() -> None:
    answer = told(ROLE + call(0, "c0", "f", "") + finish("tool_calls") + END)
    assert answer.deltas(0) == "{}" and answer.output[0]["arguments"] == "{}"
    assert "response.function_call_arguments.done" in answer.names


def test_a_refusal_after_text_is_a_part_of_its_own() -> None:
    answer = told(ROLE + text("Well. ") + refusal("I ") + refusal("won't.") + finish() + END)
    (message,) = answer.output
    assert [part["type"] for part in message["content"]] == ["output_text", "refusal"]
    assert message["content"][1] == {"type": "refusal", "refusal": "I won't."}
    assert answer.names.count("response.refusal.delta") == 2


def test_malformed_arguments_reach_the_client_as_they_are() -> None:
    answer = told(ROLE + call(0, "c0", "f", "oops") + finish("tool_calls") + END)
    assert said(answer) == [("function_call", "foops")]


def test_logprobs_are_in_the_delta_the_done_and_the_item() -> None:
    entry = {"token": "a", "logprob": -0.5, "bytes": [97], "top_logprobs": []}
    choice = {"index": 0, "delta": {"content": "a"}, "logprobs": {"content": [entry]}}
    answer = told(ROLE + event({"choices": [choice]}) + text("b") + finish() + END)
    deltas = [each for each in answer.events if each["type"] == "response.output_text.delta"]
    assert [each["logprobs"] for each in deltas] == [[entry], []]
    assert answer.output[0]["content"][0]["logprobs"] == [entry]


def test_reasoning_is_raw_text_unless_a_summary_was_asked_for() -> None:
    answer = told(ROLE + reasoning("th") + reasoning("ink") + text("ok") + finish() + END)
    assert answer.names[2:9] == [
        "response.output_item.added", "response.content_part.added",
        "response.reasoning_text.delta", "response.reasoning_text.delta",
        "response.reasoning_text.done", "response.content_part.done",
        "response.output_item.done",
    ]  # fmt: skip
    item = answer.output[0]
    assert item["content"] == [{"type": "reasoning_text", "text": "think"}]
    assert item["summary"] == [] and item["encrypted_content"] is None


@pytest.mark.parametrize("key", ["summary", "generate_summary"])
def test_reasoning_is_a_summary_when_one_was_asked_for(key: str) -> None:
    stream = ROLE + reasoning("think") + text("ok") + finish() + END
    answer = told(stream, turn(reasoning={key: "auto"}))
    assert answer.names[2:8] == [
        "response.output_item.added", "response.reasoning_summary_part.added",
        "response.reasoning_summary_text.delta", "response.reasoning_summary_text.done",
        "response.reasoning_summary_part.done", "response.output_item.done",
    ]  # fmt: skip
    item = answer.output[0]
    assert item["summary"] == [{"type": "summary_text", "text": "think"}] and item["content"] == []


def test_sealed_reasoning_comes_back_to_the_backend() -> None:
    stream = ROLE + reasoning("think") + text("ok") + finish() + END
    item = told(stream, turn(include=["reasoning.encrypted_content"])).output[0]
    assert item["encrypted_content"].startswith("mp1.z.")
    replayed = {"type": "reasoning", "summary": [], "encrypted_content": item["encrypted_content"]}
    body = turn(input=[{"role": "user", "content": "hi"}, replayed]).body
    assert body["messages"][1]["reasoning_content"] == "think"


@pytest.mark.parametrize("name", ["mcp__x__a", "a"], ids=["flat", "bare"])
def test_a_namespaces_call_comes_back_with_name_and_namespace(name: str) -> None:
    stream = ROLE + call(0, "c0", name, "{}") + finish("tool_calls") + END
    item = told(stream, turn(tools=CODEX_TOOLS)).output[0]
    assert (item["name"], item["namespace"]) == ("a", "mcp__x")


def test_a_custom_tools_input_is_unwrapped_while_it_is_written() -> None:
    raw = '{"input":"*** Begin\\nPatch \\ud83d\\ude42"}'
    at = raw.index("\\n") + 1
    fragments = [raw[:at], raw[at:-9], raw[-9:]]
    stream = ROLE + call(0, "c0", "apply_patch", fragments[0])
    stream += b"".join(call(0, arguments=each) for each in fragments[1:])
    answer = told(stream + finish("tool_calls") + END, turn(tools=CODEX_TOOLS))
    item = answer.output[0]
    assert item["type"] == "custom_tool_call" and item["input"] == "*** Begin\nPatch 🙂"
    assert answer.deltas(0) == item["input"]
    assert answer.names.count("response.custom_tool_call_input.delta") == 3
    assert answer.names.count("response.custom_tool_call_input.done") == 1


@pytest.mark.parametrize(
    ("arguments", "text_of_input"),
    [
        ("", ""),
        ('{"patch":"x"}', "x"),
        ("plain text", "plain text"),
        ('{"n":1}', '{"n":1}'),
    ],
)
def test_a_custom_tools_input_is_found_in_other_forms(arguments: str, text_of_input: str) -> None:
    stream = ROLE + call(0, "c0", "apply_patch", arguments) + finish("tool_calls") + END
    answer = told(stream, turn(tools=CODEX_TOOLS))
    assert answer.output[0]["input"] == text_of_input


def test_a_custom_input_that_turns_out_otherwise_is_only_told_as_a_whole() -> None:
    stream = ROLE + call(0, "c0", "apply_patch", '{"input":"a","input":"bcd"}')
    answer = told(stream + finish("tool_calls") + END, turn(tools=CODEX_TOOLS))
    assert (answer.output[0]["input"], answer.deltas(0)) == ("bcd", "a")


def test_a_custom_call_cut_by_the_limit_keeps_what_was_told() -> None:
    stream = ROLE + call(0, "c0", "apply_patch", '{"input":"ab') + finish("length") + END
    item = told(stream, turn(tools=CODEX_TOOLS)).output[0]
    assert (item["input"], item["status"]) == ("ab", "incomplete")
