"""Tools, deferred tools and the choice between them."""

from typing import Any

import pytest
from dialects.messages_asking import (
    HI,
    STRICT,
    assistant,
    chat,
    result,
    tool,
    turn,
    use,
    user,
)

from multiproxy.dialects.policy import Policy


def test_tools_become_functions() -> None:
    schema = {"type": "object", "properties": {"x": {"type": "integer"}}}
    given = tool("get.x", description="d", strict=True, cache_control={}, input_examples=[{"x": 1}])
    body = chat(tools=[{**given, "input_schema": schema}, {"name": "g"}])
    assert body["tools"] == [
        {
            "type": "function",
            "function": {
                "name": "get_x",
                "description": 'd\nExamples: [{"x":1}]',
                "parameters": schema,
                "strict": True,
            },
        },
        {
            "type": "function",
            "function": {"name": "g", "parameters": {"type": "object", "properties": {}}},
        },
    ]
    assert turn(tools=[given]).names.original("get_x").name == "get.x"


def test_anthropics_client_tools_have_their_schemas() -> None:
    kinds = ["bash_20250124", "text_editor_20250728", "text_editor_20241022", "memory_20250818"]
    body = chat(tools=[{"type": kind, "name": f"t{i}"} for i, kind in enumerate(kinds)])
    schemas = [tool["function"]["parameters"] for tool in body["tools"]]
    assert set(schemas[0]["properties"]) == {"command", "restart"}
    assert "undo_edit" not in schemas[1]["properties"]["command"]["enum"]
    assert "undo_edit" in schemas[2]["properties"]["command"]["enum"]
    assert schemas[1]["required"] == ["command", "path"]
    assert {"old_path", "new_path"} <= set(schemas[3]["properties"])


def offered(policy: Policy | None = None, **members: Any) -> list[str]:
    return [tool["function"]["name"] for tool in chat(policy, **members).get("tools", [])]


def test_deferred_tools_wait_until_they_are_wanted() -> None:
    tools = [tool("a"), tool("b", defer_loading=True), tool("c", defer_loading=True)]
    assert offered(tools=tools) == ["a"]
    assert offered(Policy(defer_loading="ignore"), tools=tools) == ["a", "b", "c"]
    loaded = [*HI, assistant(use("t1", "search")),
              user(result("t1", [{"type": "tool_reference", "tool_name": "c"}]))]  # fmt: skip
    body = chat(tools=tools, messages=loaded)
    assert [tool["function"]["name"] for tool in body["tools"]] == ["a", "c"]
    assert body["messages"][2]["content"] == "Tool loaded: c"
    assert offered(tools=tools, messages=[*HI, assistant(use("t1", "b"))]) == ["a", "b"]
    choice = {"type": "tool", "name": "b"}
    assert offered(tools=tools, tool_choice=choice) == ["b"]


def test_system_messages_add_and_remove_tools() -> None:
    change = {
        "role": "system",
        "content": [
            {"type": "tool_addition", "tool": tool("new")},
            {"type": "tool_addition", "tool": {"type": "tool_reference", "name": "b"}},
            {"type": "tool_removal", "tool": {"name": "a"}},
        ],
    }
    tools = [tool("a"), tool("b", defer_loading=True)]
    body = chat(tools=tools, messages=[*HI, change])
    assert [tool["function"]["name"] for tool in body["tools"]] == ["b", "new"]
    assert body["messages"] == HI


@pytest.mark.parametrize(
    ("choice", "sent"),
    [
        (None, {}),
        ({"type": "auto"}, {"tool_choice": "auto"}),
        ({"type": "any"}, {"tool_choice": "required"}),
        ({"type": "none"}, {"tool_choice": "none"}),
        (
            {"type": "auto", "disable_parallel_tool_use": True},
            {"tool_choice": "auto", "parallel_tool_calls": False},
        ),
        ({"type": "auto", "disable_parallel_tool_use": False}, {"tool_choice": "auto"}),
    ],
)
def test_the_choice_of_tools_is_a_string(choice: Any, sent: dict[str, Any]) -> None:
    body = chat(tools=[tool("f"), tool("g")], tool_choice=choice)
    keys = ("tool_choice", "parallel_tool_calls")
    assert {key: body[key] for key in keys if key in body} == sent
    assert turn(tools=[tool("f")], tool_choice=choice).one_call_only == ("parallel" in str(sent))


def test_one_tool_is_chosen_by_sending_it_alone() -> None:
    members: dict[str, Any] = {
        "tools": [tool("f"), tool("g")],
        "tool_choice": {"type": "tool", "name": "g"},
    }
    body = chat(**members)
    assert offered(**members) == ["g"] and body["tool_choice"] == "required"
    body = chat(STRICT, **members)
    assert len(body["tools"]) == 2
    assert body["tool_choice"] == {"type": "function", "function": {"name": "g"}}
