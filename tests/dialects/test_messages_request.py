"""Messages requests and the Chat requests that must come of them."""

from typing import Any

import pytest
from dialects.messages_asking import (
    HI,
    PDF,
    STRICT,
    WEB_SEARCH,
    assistant,
    chat,
    messages,
    refused,
    result,
    text,
    tool,
    turn,
    use,
    user,
)

from multiproxy.dialects.messages_request import translate, without_thinking
from multiproxy.dialects.policy import Policy


def test_a_small_request_becomes_a_stream_with_the_extras_of_llama_cpp() -> None:
    body = chat(max_tokens=5, temperature=0.5, top_p=0.9, top_k=3, stop_sequences=["a", ""])
    assert body == {
        "model": "demo",
        "messages": HI,
        "stream": True,
        "stream_options": {"include_usage": True},
        "return_progress": True,
        "verbose": True,
        "response_fields": ["stop_type", "stopping_word", "truncated"],
        "max_tokens": 5,
        "temperature": 0.5,
        "top_p": 0.9,
        "top_k": 3,
        "stop": ["a"],
    }


def test_other_engines_get_no_extras() -> None:
    body = chat(STRICT, thinking={"type": "enabled", "budget_tokens": 5}, min_p=0.1)
    assert set(body) == {"model", "messages", "stream", "stream_options"}


def test_llama_cpps_own_fields_pass_and_unknown_ones_do_not() -> None:
    body = chat(seed=7, dry_base=2, cache_prompt=False, unknown=1)
    assert (body["seed"], body["dry_base"], body["cache_prompt"]) == (7, 2, False)
    assert "unknown" not in body


def test_the_backends_own_name_of_the_model_is_sent_and_the_clients_remembered() -> None:
    answer = translate({"model": "claude-x", "messages": HI}, Policy(), backend_model="qwen3")
    assert (answer.model, answer.body["model"]) == ("claude-x", "qwen3")


def test_warming_the_cache_is_remembered() -> None:
    warm = turn(max_tokens=0)
    assert warm.discards_output and warm.body["max_tokens"] == 0


def test_the_window_stop_is_for_new_versions_and_the_beta() -> None:
    def knows(version: str = "", betas: str = "") -> bool:
        body = {"model": "m", "messages": HI}
        return translate(body, Policy(), version=version, betas=betas).knows_window_stop

    assert knows("2026-10-21") and knows(betas="a,model-context-window-exceeded-2025-08-26")
    assert not knows() and not knows("2023-06-01") and not knows("next")


def test_structured_output_becomes_a_response_format() -> None:
    schema = {"type": "object"}
    wanted = {"name": "output", "schema": schema, "strict": True}
    output = {"type": "json_schema", "schema": schema}
    for members in ({"output_config": {"format": output}}, {"output_format": output}):
        response_format = chat(**members)["response_format"]
        assert response_format == {"type": "json_schema", "json_schema": wanted}


def test_what_changes_the_meaning_is_named_as_dropped() -> None:
    kept = {"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]}
    assert turn(context_management=kept, service_tier="auto", cache_control={}).dropped == ()
    dropped = turn(
        context_management={"edits": [{"type": "clear_tool_uses_20250919"}]},
        output_config={"task_budget": {"total": 1}},
        fallbacks=["x"],
        tools=[tool("f"), WEB_SEARCH],
    ).dropped
    assert dropped == (
        "tools.web_search_20250305",
        "fallbacks",
        "output_config.task_budget",
        "context_management",
    )


BAD: dict[str, tuple[dict[str, Any], str]] = {
    "no messages": ({"messages": None}, "messages"),
    "empty messages": ({"messages": []}, "messages"),
    "messages of a wrong type": ({"messages": "hi"}, "messages"),
    "messages with nothing in them": ({"messages": [{"role": "user", "content": []}]}, "messages"),
    "a message that is no object": ({"messages": ["hi"]}, "messages[0]"),
    "an unknown role": ({"messages": [{"role": "tool", "content": ""}]}, "messages[0].role"),
    "no content": ({"messages": [{"role": "user"}]}, "messages[0].content"),
    "an unknown block": ({"messages": [user({"type": "x"})]}, "messages[0].content[0].type"),
    "a block of no type": ({"messages": [user({})]}, "messages[0].content[0].type"),
    "text that is no string": (
        {"messages": [user({"type": "text", "text": 5})]},
        "messages[0].content[0].text",
    ),
    "an unknown block of the assistant": (
        {"messages": [assistant({"type": "x"}), *HI]},
        "messages[0].content[0].type",
    ),
    "a result without an id": (
        {"messages": [user({"type": "tool_result"})]},
        "messages[0].content[0].tool_use_id",
    ),
    "negative max_tokens": ({"max_tokens": -1}, "max_tokens"),
    "max_tokens as a string": ({"max_tokens": "5"}, "max_tokens"),
    "max_tokens as a boolean": ({"max_tokens": True}, "max_tokens"),
    "stream as a string": ({"stream": "yes"}, "stream"),
    "stop sequences of a wrong type": ({"stop_sequences": [5]}, "stop_sequences"),
    "an unknown format": ({"output_format": {"type": "x"}}, "output_format.type"),
    "unknown thinking": ({"thinking": {"type": "x"}}, "thinking.type"),
    "a budget that is no integer": (
        {"thinking": {"type": "enabled", "budget_tokens": "5"}},
        "thinking.budget_tokens",
    ),
    "a system prompt of a wrong type": ({"system": 5}, "system"),
    "duplicate tools": ({"tools": [tool("f"), tool("f")]}, "tools[1]"),
    "a tool name with spaces": ({"tools": [tool("a b")]}, "tools[0].name"),
    "a tool without a name": ({"tools": [{"input_schema": {}}]}, "tools[0].name"),
    "an unknown tool type": ({"tools": [tool("f", type="x")]}, "tools[0].type"),
    "a schema that is no object": ({"tools": [{"name": "f", "input_schema": 5}]},
                                   "tools[0].input_schema"),
    "a computer": ({"tools": [tool("c", type="computer_20250124")]}, "tools[0]"),
    "web search alone": ({"tools": [WEB_SEARCH]}, "tools[0]"),
    "web search chosen": (
        {"tools": [tool("f"), WEB_SEARCH], "tool_choice": {"type": "tool", "name": "web_search"}},
        "tools[1]",
    ),
    "any tool of none": ({"tool_choice": {"type": "any"}}, "tool_choice"),
    "an unknown choice": ({"tool_choice": {"type": "x"}}, "tool_choice.type"),
    "a tool that is not there": (
        {"tools": [tool("f")], "tool_choice": {"type": "tool", "name": "g"}},
        "tool_choice",
    ),
    "MCP servers": ({"mcp_servers": [{}]}, "mcp_servers"),
    "a thread": ({"thread": "x"}, "thread"),
    "skills": ({"container": {"skills": [{}]}}, "container.skills"),
    "an image of the Files API": (
        {"messages": [user({"type": "image", "source": {"type": "file", "file_id": "x"}})]},
        "messages[0].content[0].image.source.file",
    ),
    "an image of the file system": (
        {"messages": [user({"type": "image", "source": {"type": "url", "url": "file:///etc/x"}})]},
        "messages[0].content[0].image.source.url",
    ),
    "a PDF in the last turn": (
        {"messages": [user({"type": "document", "source": PDF})]},
        "messages[0].content[0].document",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_a_request_that_cannot_be_served_names_the_field(name: str) -> None:
    members, param = BAD[name]
    assert refused(**members).param == param


def test_a_server_tool_alone_is_named() -> None:
    assert refused(tools=[WEB_SEARCH]).message == (
        "server tool 'web_search_20250305' is not available on this server"
    )


BILLING = "x-anthropic-billing-header: cc_version=2.1; cc_entrypoint=cli; cch={};"


@pytest.mark.parametrize("as_blocks", [True, False])
def test_the_billing_line_never_reaches_a_backend(as_blocks: bool) -> None:
    def system(cch: str) -> Any:
        line = BILLING.format(cch)
        return [text(line), text("You are")] if as_blocks else f"{line}\nYou are"

    first, second = (chat(system=system(cch)) for cch in ("a1b", "c2d"))
    assert first == second
    assert first["messages"] == [{"role": "system", "content": "You are"}, *HI]
    assert messages(*HI, system=[text(BILLING.format("x"))]) == HI


def test_system_blocks_and_leading_system_messages_are_one_prompt() -> None:
    leading = {"role": "system", "content": "c"}
    assert messages(leading, *HI, system=[text("a"), text("b")]) == [
        {"role": "system", "content": "a\n\nb\n\nc"},
        *HI,
    ]


def test_a_system_message_in_the_middle_is_folded() -> None:
    system = {"role": "system", "content": [text("be brief")]}
    reminder = "<system-reminder>\nbe brief\n</system-reminder>"
    assert messages(*HI, system) == [{"role": "user", "content": f"hi\n\n{reminder}"}]
    after_result = messages(*HI, assistant(use("t1")), user(result("t1")), system)
    assert after_result[-1] == {
        "role": "tool",
        "tool_call_id": "t1",
        "content": f"ok\n\n{reminder}",
    }


def thinking(policy: Policy | None = None, **members: Any) -> tuple[Any, Any, bool]:
    """``enable_thinking``, the budget, and whether the client sees it."""
    answer = turn(policy, **members)
    kwargs = answer.body.get("chat_template_kwargs", {})
    budget = answer.body.get("thinking_budget_tokens")
    return kwargs.get("enable_thinking"), budget, answer.shows_thinking


def test_thinking_is_asked_for_as_the_client_does() -> None:
    assert thinking() == (None, None, False)
    assert thinking(Policy(thinking_default="off")) == (False, None, False)
    assert thinking(Policy(thinking_default="on")) == (True, None, False)
    assert thinking(Policy(show_unrequested_thinking=True)) == (None, None, True)
    assert thinking(thinking={"type": "disabled"}) == (False, None, False)
    for budget, sent in ((0, None), (1, 1), (31999, 31999)):
        given = {"type": "enabled", "budget_tokens": budget, "display": "omitted"}
        assert thinking(thinking=given) == (True, sent, True)
    assert thinking(thinking={"type": "adaptive"}) == (True, None, True)
    assert thinking(thinking={"type": "between_tools"}) == (True, None, True)


@pytest.mark.parametrize(
    ("budget", "effort"),
    [(1, "low"), (4095, "low"), (4096, "medium"), (16383, "medium"), (16384, "high")],
)
def test_a_budget_may_stand_for_an_effort(budget: int, effort: str) -> None:
    given = {"type": "enabled", "budget_tokens": budget}
    wishes = Policy(effort_from_budget=True)
    assert chat(wishes, thinking=given)["reasoning_effort"] == effort
    strict = Policy(engine="strict", effort_from_budget=True)
    assert chat(strict, thinking=given)["reasoning_effort"] == effort
    said = chat(wishes, thinking=given, output_config={"effort": "max"})
    assert said["reasoning_effort"] == "high"
    assert "reasoning_effort" not in chat(thinking=given)
    for other in ({"type": "adaptive"}, {"type": "enabled", "budget_tokens": 0}):
        assert "reasoning_effort" not in chat(wishes, thinking=other)


def test_thinking_is_withheld_only_where_both_sides_want_it() -> None:
    given = {"type": "adaptive", "display": "omitted"}
    wishes = Policy(honour_thinking_display=True)
    assert turn(wishes, thinking=given).withholds_thinking
    assert not turn(thinking=given).withholds_thinking
    for display in ("summarized", None):
        assert not turn(wishes, thinking=given | {"display": display}).withholds_thinking


def thought(text: str) -> dict[str, Any]:
    return {"type": "thinking", "thinking": text, "signature": ""}


CALL = {"type": "tool_use", "id": "c0", "name": "f", "input": {}}
RESULT = {"type": "tool_result", "tool_use_id": "c0", "content": "ok"}
# Three turns; the second one has a tool's result in its middle.
TURNS = [
    {"role": "user", "content": "1"},
    {"role": "assistant", "content": [thought("a"), {"type": "text", "text": "A"}]},
    {"role": "user", "content": "2"},
    {"role": "assistant", "content": [thought("b"), CALL]},
    {"role": "user", "content": [RESULT]},
    {"role": "assistant", "content": [thought("c"), {"type": "text", "text": "C"}]},
    {"role": "user", "content": "3"},
    {"role": "assistant", "content": "without a thought"},
    {"role": "user", "content": "4"},
]


@pytest.mark.parametrize(
    ("keep", "left"),
    [
        ({"type": "thinking_turns", "value": 0}, []),
        ({"type": "thinking_turns", "value": 1}, ["b", "c"]),
        ({"type": "thinking_turns", "value": 2}, ["a", "b", "c"]),
        ("all", ["a", "b", "c"]),
        ({"type": "thinking_turns", "value": "x"}, ["a", "b", "c"]),
        ({"type": "thinking_turns", "value": True}, ["a", "b", "c"]),
    ],
)
def test_thinking_of_older_turns_is_cleared_as_the_client_wants(keep: Any, left: list[str]) -> None:
    edit = {"type": "clear_thinking_20251015", "keep": keep}
    answer = turn(messages=TURNS, tools=[tool("f")], context_management={"edits": [edit]})
    thoughts = [message.get("reasoning_content") for message in answer.body["messages"]]
    assert [each for each in thoughts if each] == left
    assert answer.dropped == ()


def test_the_last_turns_thinking_is_kept_when_the_client_does_not_say_how_much() -> None:
    edits = {"edits": [{"type": "clear_thinking_20251015"}]}
    body = chat(messages=TURNS, tools=[tool("f")], context_management=edits)
    thoughts = [message.get("reasoning_content") for message in body["messages"]]
    assert [each for each in thoughts if each] == ["b", "c"]


@pytest.mark.parametrize("management", [None, 5, [], {}, {"edits": 5}, {"edits": [5]}])
def test_no_edit_clears_nothing(management: Any) -> None:
    answer = turn(messages=TURNS, tools=[tool("f")], context_management=management)
    assert sum("reasoning_content" in each for each in answer.body["messages"]) == 3
    assert answer.dropped == ()


def test_effort_is_mapped_and_the_clients_template_members_win() -> None:
    assert chat(output_config={"effort": "max"})["reasoning_effort"] == "high"
    assert chat(output_config={"effort": "low"})["reasoning_effort"] == "low"
    templates = Policy(effort={"max": "extreme"})
    assert chat(templates, output_config={"effort": "max"})["reasoning_effort"] == "extreme"
    assert chat(templates, output_config={"effort": "own"})["reasoning_effort"] == "own"
    given = {"enable_thinking": False, "x": 1}
    body = chat(thinking={"type": "adaptive"}, chat_template_kwargs=given)
    assert body["chat_template_kwargs"] == given


def test_a_refused_prefill_is_sent_again_without_thinking() -> None:
    body = chat(thinking={"type": "adaptive"}, chat_template_kwargs={"x": 1})
    assert without_thinking(body) == body | {
        "chat_template_kwargs": {"enable_thinking": False, "x": 1}
    }
