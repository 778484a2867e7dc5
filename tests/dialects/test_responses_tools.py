"""The tools of a Responses request on their way to Chat, and their names on the way back."""

from typing import Any

import pytest
from dialects.responses_run import turn

from multiproxy.dialects.policy import Policy
from multiproxy.dialects.responses_tools import CallKind, CallTarget, ToolMap

STRICT = Policy(engine="strict")
SHELL = {"type": "function", "name": "shell", "parameters": {"type": "object"}, "strict": True}
NAMESPACE = {
    "type": "namespace",
    "name": "mcp__x",
    "description": "d",
    "tools": [{"type": "function", "name": "a", "description": "A."}],
}
PATCH = {
    "type": "custom",
    "name": "apply_patch",
    "description": "Patches files.",
    "format": {"type": "grammar", "syntax": "lark", "definition": "start: x"},
}
CODEX_TOOLS = [SHELL, NAMESPACE, {"type": "web_search"}, PATCH]
WEATHER = {"type": "function", "name": "weather"}


def tool_map(*tools: dict[str, Any], policy: Policy | None = None) -> ToolMap:
    return ToolMap(tools, policy or Policy(), wanted=frozenset())


def names(**members: Any) -> list[str]:
    tools = turn(**members).body.get("tools", [])
    return [tool["function"]["name"] for tool in tools]


def test_codex_tools_become_functions_and_the_hosted_one_is_dropped() -> None:
    translated = turn(tools=CODEX_TOOLS)
    functions = [tool["function"] for tool in translated.body["tools"]]
    assert functions[0] == {
        "name": "shell", "parameters": {"type": "object"}, "strict": True,
    }  # fmt: skip
    assert functions[1] == {
        "name": "mcp__x__a",
        "parameters": {"type": "object", "properties": {}},
        "description": "A.",
    }
    assert functions[2]["name"] == "apply_patch"
    assert functions[2]["parameters"]["required"] == ["input"]
    assert functions[2]["description"] == (
        "Patches files.\n\nPut the complete raw text of the tool input into `input`."
        "\nThe text must match this lark grammar:\nstart: x"
    )
    assert translated.dropped == ("tools.web_search",)
    assert translated.echoed["tools"] == CODEX_TOOLS


def test_what_is_told_of_a_dropped_tool_cannot_break_a_header() -> None:
    hostile = {"type": "x\r\nset-cookie: a=b"}
    assert turn(tools=[hostile, {"type": "web_search_2025_08_26"}]).dropped == (
        "tools", "tools.web_search_2025_08_26",
    )  # fmt: skip


def test_an_empty_list_of_tools_is_none() -> None:
    body = turn(tools=[], tool_choice="auto", parallel_tool_calls=False).body
    assert not {"tools", "tool_choice", "parallel_tool_calls"} & body.keys()


def test_only_hosted_tools_are_none() -> None:
    assert "tools" not in turn(tools=[{"type": "web_search"}, {"type": "mcp"}]).body


def test_a_namespace_that_ends_in_underscores_needs_no_more() -> None:
    namespace = NAMESPACE | {"name": "mcp__x__"}
    assert names(tools=[namespace]) == ["mcp__x__a"]


def test_names_come_back_in_the_clients_words() -> None:
    tools = tool_map(*CODEX_TOOLS)
    member = CallTarget(CallKind.FUNCTION, "a", "mcp__x")
    assert tools.target("mcp__x__a") == member and tools.target("a") == member
    assert tools.target("apply_patch") == CallTarget(CallKind.CUSTOM, "apply_patch")
    assert tools.target("unknown") == CallTarget(CallKind.FUNCTION, "unknown")


def test_a_bare_name_that_two_namespaces_have_is_left_as_it_is() -> None:
    other = NAMESPACE | {"name": "mcp__y"}
    assert tool_map(NAMESPACE, other).target("a") == CallTarget(CallKind.FUNCTION, "a")


def test_long_and_foreign_names_are_made_valid_and_come_back() -> None:
    long = "get." + "x" * 70
    tools = tool_map(
        {"type": "function", "name": long},
        {"type": "function", "name": "a.b"},
        {"type": "function", "name": "a_b"},
    )
    chat_names = [tool["function"]["name"] for tool in tools.chat_tools()]
    assert len(set(chat_names)) == 3 and all(len(name) <= 64 for name in chat_names)
    assert [tools.target(name).name for name in chat_names] == [long, "a.b", "a_b"]


@pytest.mark.parametrize("choice", [None, "auto"])
def test_auto_is_what_chat_does_anyway(choice: str | None) -> None:
    assert "tool_choice" not in turn(tools=[SHELL], tool_choice=choice).body


@pytest.mark.parametrize("choice", ["none", "required"])
def test_other_words_are_the_same_in_chat(choice: str) -> None:
    assert turn(tools=[SHELL], tool_choice=choice).body["tool_choice"] == choice


@pytest.mark.parametrize(
    ("choice", "name"),
    [
        ({"type": "function", "name": "shell"}, "shell"),
        ({"type": "function", "function": {"name": "shell"}}, "shell"),
        ({"type": "custom", "name": "apply_patch"}, "apply_patch"),
        ({"type": "function", "name": "a"}, "mcp__x__a"),
    ],
)
def test_one_tool_is_chosen_by_offering_only_it(choice: dict[str, Any], name: str) -> None:
    translated = turn(tools=CODEX_TOOLS, tool_choice=choice)
    assert translated.body["tool_choice"] == "required"
    assert [tool["function"]["name"] for tool in translated.body["tools"]] == [name]
    assert translated.echoed["tool_choice"] == choice
    strict = turn(STRICT, tools=CODEX_TOOLS, tool_choice=choice).body
    assert strict["tool_choice"] == {"type": "function", "function": {"name": name}}
    assert len(strict["tools"]) == 3


@pytest.mark.parametrize(("mode", "sent"), [("required", "required"), ("auto", None)])
def test_allowed_tools_filter_the_list(mode: str, sent: str | None) -> None:
    allowed = [{"type": "function", "name": "shell"}, {"type": "custom", "name": "apply_patch"}]
    choice = {"type": "allowed_tools", "mode": mode, "tools": allowed}
    translated = turn(tools=[*CODEX_TOOLS, WEATHER], tool_choice=choice)
    assert [tool["function"]["name"] for tool in translated.body["tools"]] == [
        "shell", "apply_patch",
    ]  # fmt: skip
    assert translated.body.get("tool_choice") == sent
    assert translated.echoed["tool_choice"] == choice


def test_a_built_in_tool_can_be_chosen() -> None:
    body = turn(
        tools=[{"type": "shell"}, SHELL | {"name": "f"}], tool_choice={"type": "shell"}
    ).body
    assert [tool["function"]["name"] for tool in body["tools"]] == ["shell"]


def test_a_deferred_tool_waits_until_it_is_found_called_or_chosen() -> None:
    deferred = WEATHER | {"defer_loading": True}
    user = {"role": "user", "content": "x"}
    found = {"type": "tool_search_output", "call_id": None, "tools": [WEATHER]}
    called = {"type": "function_call", "call_id": "c", "name": "weather", "arguments": "{}"}
    assert names(tools=[deferred, SHELL]) == ["shell"]
    assert names(tools=[deferred, SHELL], input=[user, found]) == ["weather", "shell"]
    assert names(tools=[deferred, SHELL], input=[user, called]) == ["weather", "shell"]
    choice = {"type": "function", "name": "weather"}
    assert names(tools=[deferred, SHELL], tool_choice=choice) == ["weather"]
    assert names(policy=Policy(defer_loading="ignore"), tools=[deferred]) == ["weather"]


def test_tools_that_items_bring_along_are_added() -> None:
    user = {"role": "user", "content": "x"}
    brought = {"type": "additional_tools", "tools": [WEATHER | {"defer_loading": True}, SHELL]}
    search = {"type": "tool_search_call", "call_id": "s", "arguments": {"query": "w"}}
    found = {"type": "tool_search_output", "call_id": "s", "tools": [WEATHER]}
    assert names(tools=[SHELL], input=[user, brought]) == ["shell", "weather"]
    body = turn(tools=[SHELL], input=[user, search, found]).body
    assert body["messages"][2] == {
        "role": "tool", "tool_call_id": "s", "content": "Tools loaded: weather",
    }  # fmt: skip
