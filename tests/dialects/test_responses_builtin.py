"""Built-in tools of the Responses API, there and back."""

from typing import Any

import orjson
import pytest
from chat_notation import (
    DONE,
    ROLE,
    call,
    finish,
    usage,
)
from dialects.responses_run import said, told, turn

END = usage() + DONE


@pytest.mark.parametrize(
    ("tool", "arguments", "members"),
    [
        (
            "local_shell",
            {"command": ["ls"], "workdir": "/"},
            {"action": {"type": "exec", "env": {}, "command": ["ls"], "working_directory": "/"}},
        ),
        ("shell", {"commands": ["ls", "id"]}, {"action": {"commands": ["ls", "id"]}}),
        (
            "apply_patch",
            {"operation": {"type": "delete_file", "path": "a"}},
            {"operation": {"type": "delete_file", "path": "a"}},
        ),
        ("tool_search", {"query": "x"}, {"arguments": {"query": "x"}, "execution": "client"}),
    ],
)
def test_a_built_in_tools_call_comes_back_as_its_item(
    tool: str, arguments: dict[str, Any], members: dict[str, Any]
) -> None:
    raw = orjson.dumps(arguments).decode()
    stream = ROLE + call(0, "c0", tool, raw[:5]) + call(0, arguments=raw[5:])
    answer = told(stream + finish("tool_calls") + END, turn(tools=[{"type": tool}]))
    item = answer.output[0]
    assert item == {
        "type": f"{tool}_call", "id": item["id"], "call_id": "c0", **members, "status": "completed",
    }  # fmt: skip
    again = turn(input=[{"role": "user", "content": "hi"}, item], tools=[{"type": tool}]).body
    replayed = again["messages"][1]["tool_calls"][0]["function"]
    assert (replayed["name"], orjson.loads(replayed["arguments"])) == (tool, arguments)


def test_a_built_in_tools_unusable_call_is_a_plain_function_call() -> None:
    stream = ROLE + call(0, "c0", "shell", '{"commands":1}') + finish("tool_calls") + END
    answer = told(stream, turn(tools=[{"type": "shell"}]))
    assert said(answer) == [("function_call", 'shell{"commands":1}')]


def test_a_built_in_tools_broken_call_is_a_plain_function_call() -> None:
    stream = ROLE + call(0, "c0", "tool_search", '{"query":"x') + finish("stop") + END
    answer = told(stream, turn(tools=[{"type": "tool_search"}]))
    assert said(answer) == [("function_call", 'tool_search{"query":"x')]
