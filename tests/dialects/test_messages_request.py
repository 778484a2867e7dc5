"""Messages requests and the Chat requests that must come of them."""

from typing import Any

import pytest

from multiproxy.dialects.messages_request import translate, without_thinking
from multiproxy.dialects.messages_turn import MessagesTurn
from multiproxy.dialects.policy import Policy
from multiproxy.dialects.sealed_text import seal
from multiproxy.errors import InvalidRequest, ProxyError, Unsupported

HI = [{"role": "user", "content": "hi"}]
STRICT = Policy(engine="strict")
WEB_SEARCH = {"type": "web_search_20250305", "name": "web_search", "max_uses": 8}
PDF = {"type": "base64", "media_type": "application/pdf", "data": "JVBERi0x"}
PNG = {"type": "base64", "media_type": "image/png", "data": "iVBO\nRw0K"}


def tool(name: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "input_schema": {"type": "object"}, **more}


def turn(policy: Policy | None = None, **members: Any) -> MessagesTurn:
    return translate({"model": "demo", "messages": HI, **members}, policy or Policy())


def chat(policy: Policy | None = None, **members: Any) -> Any:
    return turn(policy, **members).body


def messages(*given: dict[str, Any], policy: Policy | None = None, **members: Any) -> Any:
    return chat(policy, messages=list(given), **members)["messages"]


def user(*blocks: Any) -> dict[str, Any]:
    return {"role": "user", "content": list(blocks)}


def assistant(*blocks: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": list(blocks)}


def text(words: str) -> dict[str, Any]:
    return {"type": "text", "text": words}


def use(call_id: str, name: str = "f", given: Any = None) -> dict[str, Any]:
    return {"type": "tool_use", "id": call_id, "name": name, "input": given or {}}


def result(call_id: str, content: Any = "ok", **more: Any) -> dict[str, Any]:
    return {"type": "tool_result", "tool_use_id": call_id, "content": content, **more}


def refused(**members: Any) -> ProxyError:
    with pytest.raises((InvalidRequest, Unsupported)) as caught:
        turn(**members)
    error = caught.value
    assert isinstance(error, ProxyError)
    return error


# -- envelope --------------------------------------------------------------------------------


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


def test_claude_codes_session_is_the_affinity() -> None:
    user_id = '{"device_id":"d","session_id":"s-1"}'
    assert turn(metadata={"user_id": user_id}).affinity == "s-1"
    plain = turn(metadata={"user_id": "someone"}).affinity
    assert plain is not None and len(plain) == 32 and plain != "someone"
    assert turn().affinity is None


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
        context_management={"edits": []},
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


# -- system ----------------------------------------------------------------------------------

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


# -- conversation ----------------------------------------------------------------------------


def test_results_come_first_and_then_the_rest() -> None:
    answer = messages(
        *HI,
        assistant(text("I "), text("look."), use("t1", "f", {"x": 1}), use("t2", "g")),
        user(text("go"), result("t1", "one"), result("t2", [text("a"), text("b")])),
    )
    assert answer[1:] == [
        {
            "role": "assistant",
            "content": "I look.",
            "tool_calls": [
                {
                    "id": "t1",
                    "type": "function",
                    "function": {"name": "f", "arguments": '{"x":1}'},
                },
                {"id": "t2", "type": "function", "function": {"name": "g", "arguments": "{}"}},
            ],
        },
        {"role": "tool", "tool_call_id": "t1", "content": "one"},
        {"role": "tool", "tool_call_id": "t2", "content": "a\nb"},
        {"role": "user", "content": "go"},
    ]


def tool_text(content: Any, **more: Any) -> Any:
    return messages(*HI, assistant(use("t1")), user(result("t1", content, **more)))[2]["content"]


def test_failed_tools_say_so() -> None:
    assert tool_text("boom", is_error=True) == "[tool error] boom"
    assert tool_text("Error: x", is_error=True) == "Error: x"
    assert tool_text("<tool_use_error>x", is_error=True) == "<tool_use_error>x"
    assert tool_text(None, is_error=True) == "[tool error] "
    image = {"type": "image", "source": PNG}
    assert tool_text([image], is_error=True)[0] == text("[tool error]")
    assert tool_text([text("x"), image], is_error=True)[0] == text("[tool error] x")


def test_results_without_text_are_empty_strings() -> None:
    assert tool_text(None) == tool_text([]) == tool_text("") == ""


def test_images_in_results_stay_or_follow_by_engine() -> None:
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0K"}}
    given = [text("seen"), {"type": "image", "source": PNG}]
    assert tool_text(given) == [text("seen"), image]
    answer = messages(*HI, assistant(use("t1")), user(result("t1", given)), policy=STRICT)
    assert answer[2]["content"] == "seen\n[image attached below]"
    assert answer[3] == {"role": "user", "content": [image]}


def test_the_first_of_two_results_for_one_call_is_kept() -> None:
    answer = messages(*HI, assistant(use("t1")), user(result("t1", "a"), result("t1", "b")))
    assert [message["content"] for message in answer[2:]] == ["a"]


def test_neighbours_of_one_role_are_merged() -> None:
    answer = messages(*HI, *HI, assistant(text("a")), assistant(text("b")), *HI)
    assert [message["content"] for message in answer] == ["hi\n\nhi", "ab", "hi"]


def test_thinking_goes_back_whatever_its_signature() -> None:
    thinking = {"type": "thinking", "thinking": "a", "signature": ""}
    sealed = {"type": "thinking", "thinking": "", "signature": seal("b")}
    redacted = {"type": "redacted_thinking", "data": seal("c")}
    foreign = {"type": "redacted_thinking", "data": "foreign"}
    said = messages(*HI, assistant(thinking, sealed, redacted, foreign, text("x")), *HI)[1]
    assert said == {"role": "assistant", "content": "x", "reasoning_content": "a\nb\nc"}


def test_the_calls_input_is_always_an_object() -> None:
    odd = {"type": "tool_use", "id": "t1", "name": "f", "input": [1]}
    call = messages(*HI, assistant(odd), user(result("t1")))[1]["tool_calls"][0]
    assert call["function"]["arguments"] == '{"__unparsed_arguments":"[1]"}'


def test_an_exotic_id_goes_back_as_the_backend_knew_it() -> None:
    wrapped = "toolu_mp_ZnVuY3Rpb25zLmY6MA"
    answer = messages(*HI, assistant(use(wrapped)), user(result(wrapped)))
    assert answer[1]["tool_calls"][0]["id"] == "functions.f:0" == answer[2]["tool_call_id"]
    assert turn(messages=[*HI, assistant(use(wrapped))]).taken_ids == {wrapped}


def test_a_trailing_assistant_text_is_continued_unless_it_is_blank() -> None:
    assert messages(*HI, assistant(text("The answer is")))[-1]["content"] == "The answer is"
    assert messages(*HI, assistant(text(" \n"))) == HI
    with pytest.raises(Unsupported, match="prefill"):
        messages(*HI, assistant(text("x")), policy=Policy(prefill="reject"))


def test_blocks_of_anthropics_servers_are_kept_as_text() -> None:
    search = {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {"query": "q"}}
    found = {
        "type": "web_search_tool_result",
        "tool_use_id": "s",
        "content": [{"type": "x", "title": "t", "url": "u", "encrypted_content": "zzz"}],
    }
    said = messages(*HI, assistant(text("a"), search, found), *HI)[1]
    assert said["content"] == (
        'a[web_search] {"query":"q"}[web_search_tool_result] [{"title":"t","url":"u"}]'
    )


def test_a_compaction_is_what_the_user_said() -> None:
    answer = messages(assistant({"type": "compaction", "content": "summary"}, text("a")), *HI)
    assert answer[0] == {"role": "user", "content": "summary"}


# -- media -----------------------------------------------------------------------------------


def test_images_become_data_urls_without_white_space() -> None:
    url = {"type": "image", "source": {"type": "url", "url": "https://example.com/a.png"}}
    answer = messages(user(text("see"), {"type": "image", "source": PNG}, url))
    assert answer[0]["content"] == [
        text("see"),
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0K"}},
        {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}},
    ]


def test_a_model_without_eyes_refuses_only_the_last_turns_image() -> None:
    blind = Policy(vision=False)
    seen = user(text("see"), {"type": "image", "source": PNG})
    with pytest.raises(Unsupported):
        messages(seen, policy=blind)
    answer = messages(seen, assistant(text("a")), *HI, policy=blind)
    assert answer[0]["content"] == (
        "see\n\n[image omitted: the model does not support image input]"
    )


def test_documents_are_wrapped_and_old_pdfs_replaced() -> None:
    document = {
        "type": "document",
        "title": "T",
        "context": "C",
        "source": {"type": "text", "media_type": "text/plain", "data": "body"},
    }
    wrapped = '<document title="T" context="C">\nbody\n</document>'
    assert messages(user(document))[0]["content"] == wrapped
    inner = {"type": "content", "content": [text("bo"), text("dy")]}
    nested = messages(user({**document, "source": inner}))[0]["content"]
    assert nested == wrapped.replace("body", "bo\ndy")
    pdf = {"type": "document", "source": PDF}
    assert tool_text([pdf]) == "[document omitted: application/pdf, 6 bytes]"
    assert messages(user(pdf), assistant(text("a")), *HI)[0]["content"] == tool_text([pdf])


def test_a_search_result_is_told_with_its_source() -> None:
    found = {"type": "search_result", "title": "T", "source": "S", "content": [text("x")]}
    assert tool_text([found]) == "T\nS\nx"


# -- tools -----------------------------------------------------------------------------------


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


# -- thinking --------------------------------------------------------------------------------


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


def test_effort_is_mapped_and_the_clients_template_members_win() -> None:
    assert chat(output_config={"effort": "max"})["reasoning_effort"] == "high"
    assert chat(output_config={"effort": "low"})["reasoning_effort"] == "low"
    given = {"enable_thinking": False, "x": 1}
    body = chat(thinking={"type": "adaptive"}, chat_template_kwargs=given)
    assert body["chat_template_kwargs"] == given


def test_a_refused_prefill_is_sent_again_without_thinking() -> None:
    body = chat(thinking={"type": "adaptive"}, chat_template_kwargs={"x": 1})
    assert without_thinking(body) == body | {
        "chat_template_kwargs": {"enable_thinking": False, "x": 1}
    }
