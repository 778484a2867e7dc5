"""Requests in the Responses dialect and the Chat requests they become."""

from typing import Any

import orjson
import pytest
from dialects.responses_run import turn

from multiproxy.dialects.policy import Policy
from multiproxy.dialects.responses_request import references, translate
from multiproxy.dialects.sealed_text import seal
from multiproxy.errors import ClientError, InvalidRequest, NotFound, ProxyError, Unsupported

STRICT = Policy(engine="strict")
BLIND = Policy(vision=False)
USER = {"role": "user", "content": "go"}
FUNCTION = {"type": "function", "name": "f", "parameters": {"type": "object"}}
PIXEL = "data:image/png;base64,iVBORw0KGgo="


def chat(policy: Policy | None = None, **members: Any) -> dict[str, Any]:
    return turn(policy, **members).body


def messages(items: list[Any], policy: Policy | None = None, **members: Any) -> list[Any]:
    out: list[Any] = chat(policy, input=items, **members)["messages"]
    return out


def refusal(policy: Policy | None = None, **members: Any) -> ProxyError:
    with pytest.raises(ClientError) as caught:
        turn(policy, **members)
    assert caught.value.status in (400, 404)
    return caught.value


def call(call_id: str = "c1", name: str = "f", arguments: Any = "{}") -> dict[str, Any]:
    return {"type": "function_call", "call_id": call_id, "name": name, "arguments": arguments}


def output(call_id: str = "c1", value: Any = "done") -> dict[str, Any]:
    return {"type": "function_call_output", "call_id": call_id, "output": value}


# -- fields ------------------------------------------------------------------------------------


def test_a_string_becomes_one_user_message_in_a_stream_with_usage() -> None:
    assert chat(STRICT) == {
        "model": "demo",
        "messages": [{"role": "user", "content": "hi"}],
        "stream": True,
        "stream_options": {"include_usage": True},
    }


def test_a_llama_server_is_asked_for_progress_and_the_stop_reason() -> None:
    body = chat()
    assert body["return_progress"] is True and body["verbose"] is True
    assert body["response_fields"] == ["stop_type", "stopping_word", "truncated"]


def test_the_backends_own_model_name_is_sent_and_the_clients_is_echoed() -> None:
    translated = translate({"model": "alias", "input": "hi"}, Policy(), backend_model="real")
    assert translated.body["model"] == "real" and translated.echoed["model"] == "alias"


def test_sampling_is_sent_only_when_the_client_gave_it() -> None:
    body = chat(max_output_tokens=1, temperature=0, top_p=None)
    assert body["max_tokens"] == 1 and body["temperature"] == 0 and "top_p" not in body


def test_llama_cpps_own_fields_pass_to_llama_cpp_only() -> None:
    members = {"min_p": 0.1, "dry_base": 2, "mirostat": 1, "seed": 7, "unknown": 1, "id_slot": None}
    body = chat(**members)
    assert (body["min_p"], body["dry_base"], body["mirostat"], body["seed"]) == (0.1, 2, 1, 7)
    assert "unknown" not in body and "id_slot" not in body
    assert "min_p" not in chat(STRICT, **members)


@pytest.mark.parametrize(
    ("members", "param", "code"),
    [
        ({"model": None}, "model", "missing_required_parameter"),
        ({"input": None}, "input", "missing_required_parameter"),
        ({"input": []}, "input", "missing_required_parameter"),
        ({"input": 3}, "input", "invalid_type"),
        ({"input": [3]}, "input[0]", "invalid_type"),
        ({"input": [{"type": "nonsense"}]}, "input[0].type", "invalid_value"),
        ({"input": [{"role": "judge", "content": ""}]}, "input[0].role", "invalid_value"),
        ({"input": [{"role": "user"}]}, "input[0].content", "invalid_type"),
        (
            {"input": [{"role": "user", "content": [{"type": "video"}]}]},
            "input[0].content[0].type",
            "invalid_value",
        ),
        ({"input": [output(call_id="c"), {"type": "function_call", "name": "f"}]},
         "input[1].call_id", "missing_required_parameter"),
        ({"input": [{"type": "function_call_output", "output": ""}]},
         "input[0].call_id", "missing_required_parameter"),
        ({"max_output_tokens": 0}, "max_output_tokens", "invalid_value"),
        ({"max_output_tokens": True}, "max_output_tokens", "invalid_type"),
        ({"temperature": "hot"}, "temperature", "invalid_type"),
        ({"stream": "yes"}, "stream", "invalid_type"),
        ({"tools": {}}, "tools", "invalid_type"),
        ({"tools": [3]}, "tools[0]", "invalid_type"),
        ({"tools": [{"type": "function"}]}, "tools[0].name", "missing_required_parameter"),
        ({"tools": [FUNCTION, FUNCTION]}, "tools[1].name", "invalid_value"),
        ({"instructions": 3}, "instructions", "invalid_type"),
        ({"reasoning": "high"}, "reasoning", "invalid_type"),
        ({"reasoning": {"effort": 3}}, "reasoning.effort", "invalid_type"),
        ({"text": {"format": {"type": "xml"}}}, "text.format.type", "invalid_value"),
        ({"text": {"format": {"type": "json_schema"}}}, "text.format.schema", "invalid_type"),
        ({"background": True}, "background", "unsupported_parameter"),
        ({"conversation": "conv_1"}, "conversation", "unsupported_parameter"),
        ({"prompt": {"id": "p"}}, "prompt", "unsupported_parameter"),
        ({"input": [USER, {"type": "compaction_trigger"}]}, "input[1]", "unsupported_parameter"),
        ({"tool_choice": {"type": "web_search"}}, "tool_choice", "invalid_value"),
        ({"tool_choice": {"type": "function", "name": "g"}, "tools": [FUNCTION]},
         "tool_choice", "invalid_value"),
        ({"tool_choice": "required"}, "tool_choice", "invalid_value"),
    ],
)  # fmt: skip
def test_what_cannot_be_done_is_refused_with_its_place(
    members: dict[str, Any], param: str, code: str
) -> None:
    error = refusal(**members)
    assert (error.param, error.code) == (param, code)


def test_fields_that_change_nothing_are_ignored() -> None:
    members = {
        "truncation": "disabled", "service_tier": "auto", "safety_identifier": "u", "user": "u",
        "client_metadata": {}, "prompt_cache_retention": "24h", "stream_options": {},
        "background": False, "conversation": None, "store": False, "include": ["unknown"],
    }  # fmt: skip
    assert turn(**members).dropped == ()


def test_ignored_fields_that_change_the_meaning_are_named() -> None:
    members = {"truncation": "auto", "service_tier": "priority", "moderation": {"model": "m"}}
    assert set(turn(**members).dropped) == {"truncation", "service_tier", "moderation"}


def test_the_response_repeats_the_request() -> None:
    echoed = turn(
        instructions="Be brief.", temperature=0.5, metadata={"a": "b"}, top_logprobs=2,
        prompt_cache_key="k", truncation="auto", service_tier="flex", store=False,
        reasoning={"effort": "low", "summary": "auto"}, tools=[FUNCTION], tool_choice="none",
    ).echoed  # fmt: skip
    assert echoed["instructions"] == "Be brief." and echoed["temperature"] == 0.5
    assert echoed["metadata"] == {"a": "b"} and echoed["top_logprobs"] == 2
    assert echoed["prompt_cache_key"] == "k" and echoed["truncation"] == "disabled"
    assert echoed["service_tier"] == "default" and echoed["store"] is False
    assert echoed["reasoning"] == {"effort": "low", "summary": "auto"}
    assert echoed["tools"] == [FUNCTION] and echoed["tool_choice"] == "none"


def test_a_host_without_a_store_says_so() -> None:
    translated = translate({"model": "m", "input": "hi", "store": True}, Policy(), can_store=False)
    assert not translated.stores and translated.echoed["store"] is False


def test_the_cache_key_is_the_affinity() -> None:
    assert turn(prompt_cache_key="thread-1").affinity == "thread-1"
    assert turn().affinity is None


# -- reasoning, formats, logprobs --------------------------------------------------------------


@pytest.mark.parametrize(
    ("effort", "sent"),
    [("minimal", "low"), ("low", "low"), ("medium", "medium"), ("high", "high"),
     ("xhigh", "high"), ("max", "high")],
)  # fmt: skip
def test_efforts_are_mapped_to_those_that_templates_know(effort: str, sent: str) -> None:
    assert chat(reasoning={"effort": effort})["reasoning_effort"] == sent


def test_effort_none_switches_thinking_off_unless_the_client_says_else() -> None:
    body = chat(reasoning={"effort": "none"})
    assert body["chat_template_kwargs"] == {"enable_thinking": False}
    assert "reasoning_effort" not in body
    kwargs = {"enable_thinking": True, "x": 1}
    body = chat(reasoning={"effort": "none"}, chat_template_kwargs=kwargs)
    assert body["chat_template_kwargs"] == kwargs


def test_no_effort_sends_nothing() -> None:
    body = chat(reasoning={"summary": "auto"})
    assert "reasoning_effort" not in body and "chat_template_kwargs" not in body


def test_a_flat_schema_is_nested_for_chat_and_echoed_flat() -> None:
    flat = {"type": "json_schema", "name": "n", "schema": {"type": "object"}, "strict": True}
    translated = turn(text={"format": flat})
    assert translated.body["response_format"] == {
        "type": "json_schema",
        "json_schema": {"name": "n", "schema": {"type": "object"}, "strict": True},
    }
    assert translated.echoed["text"] == {"format": flat, "verbosity": "medium"}


def test_other_formats_are_sent_as_chat_knows_them() -> None:
    assert chat(text={"format": {"type": "json_object"}})["response_format"] == {
        "type": "json_object"
    }
    assert "response_format" not in chat(text={"format": {"type": "text"}, "verbosity": "low"})


def test_logprobs_are_asked_for_unless_llama_cpp_would_refuse_them() -> None:
    body = chat(top_logprobs=2)
    assert body["logprobs"] is True and body["top_logprobs"] == 2
    assert chat(include=["message.output_text.logprobs"])["logprobs"] is True
    with_tools = turn(top_logprobs=2, tools=[FUNCTION])
    assert "logprobs" not in with_tools.body and with_tools.dropped == ("top_logprobs",)
    assert chat(STRICT, top_logprobs=2, tools=[FUNCTION])["logprobs"] is True


# -- messages ----------------------------------------------------------------------------------


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


def test_an_image_is_a_part_and_texts_alone_are_a_string() -> None:
    parts = [{"type": "input_text", "text": "a"}, {"type": "input_text", "text": "b"}]
    assert messages([{"role": "user", "content": parts}])[0]["content"] == "a\n\nb"
    image = {"type": "input_image", "image_url": PIXEL, "detail": "high"}
    content = messages([{"role": "user", "content": [*parts[:1], image]}])[0]["content"]
    assert content == [
        {"type": "text", "text": "a"},
        {"type": "image_url", "image_url": {"url": PIXEL}},
    ]
    as_object = {"type": "input_image", "image_url": {"url": PIXEL}}
    assert messages([{"role": "user", "content": [as_object]}])[0]["content"] == [content[1]]


@pytest.mark.parametrize("url", ["file:///etc/passwd", "FILE:///etc/passwd", "gopher://x", "x"])
def test_an_image_url_that_no_backend_may_open_is_refused(url: str) -> None:
    part = {"type": "input_image", "image_url": url}
    error = refusal(input=[{"role": "user", "content": [part]}])
    assert error.param == "input[0].content[0].image_url"


def test_remote_images_follow_the_policy() -> None:
    items = [
        {"role": "user", "content": [{"type": "input_image", "image_url": "https://e.org/a.png"}]}
    ]
    part = messages(items)[0]["content"][0]
    assert part["image_url"]["url"] == "https://e.org/a.png"
    assert isinstance(refusal(Policy(image_urls="reject"), input=items), Unsupported)


def test_an_image_for_a_blind_model_is_an_error_in_the_last_turn_only() -> None:
    image = {"role": "user", "content": [{"type": "input_image", "image_url": PIXEL}]}
    assert refusal(BLIND, input=[image]).code == "unsupported_value"
    out = messages([image, {"role": "assistant", "content": "ok"}, USER], BLIND)
    assert out[0]["content"] == "[image omitted: the model does not support image input]"
    shot = output(value=[{"type": "input_image", "image_url": PIXEL}])
    assert "image omitted" in messages([USER, call(), shot], BLIND)[2]["content"]


def test_text_files_are_read_and_others_follow_the_policy() -> None:
    text = {"type": "input_file", "filename": "a.md", "file_data": "data:text/plain;base64,SGk="}
    (message,) = messages([{"role": "user", "content": [text]}])
    assert message["content"] == '<document title="a.md">\nHi\n</document>'
    pdf = {
        "type": "input_file",
        "filename": "a.pdf",
        "file_data": "data:application/pdf;base64,AA==",
    }
    error = refusal(input=[{"role": "user", "content": [pdf]}])
    assert error.param == "input[0].content[0]" and "PDF" in error.message
    old = [{"role": "user", "content": [pdf]}, {"role": "assistant", "content": "ok"}, USER]
    assert messages(old)[0]["content"] == "[document omitted: application/pdf, 1 bytes]"


def test_file_ids_are_refused() -> None:
    for part in ({"type": "input_image", "file_id": "f"}, {"type": "input_file", "file_id": "f"}):
        assert isinstance(refusal(input=[{"role": "user", "content": [part]}]), Unsupported)


def test_audio_is_passed_on() -> None:
    audio = {"type": "input_audio", "input_audio": {"data": "AA==", "format": "wav"}}
    assert messages([{"role": "user", "content": [audio]}])[0]["content"] == [audio]


# -- calls and results -------------------------------------------------------------------------


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


@pytest.mark.parametrize(
    ("value", "content"),
    [
        ("text", "text"),
        (None, ""),
        ({"a": 1}, '{"a":1}'),
        ([1, 2], "[1,2]"),
        ([], "[]"),
        ([{"type": "input_text", "text": "a"}, {"type": "input_text", "text": "b"}], "a\nb"),
    ],
)
def test_outputs_of_any_form_are_text(value: Any, content: str) -> None:
    assert messages([USER, call(), output(value=value)])[2]["content"] == content


def test_an_image_in_an_output_stays_there_for_llama_cpp_and_follows_for_others() -> None:
    value = [{"type": "input_text", "text": "a"}, {"type": "input_image", "image_url": PIXEL}]
    items = [USER, call(), output(value=value)]
    image = {"type": "image_url", "image_url": {"url": PIXEL}}
    assert messages(items)[2]["content"] == [{"type": "text", "text": "a"}, image]
    out = messages(items, STRICT)
    assert out[2]["content"] == "a\n[image attached below]"
    assert out[3] == {"role": "user", "content": [image]}


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


def test_the_last_configuration_update_wins() -> None:
    items = [USER, *({"type": "configuration_update", "reasoning": {"effort": effort}}
                     for effort in ("high", "low"))]  # fmt: skip
    assert chat(input=items, reasoning={"effort": "medium"})["reasoning_effort"] == "low"


# -- references and history --------------------------------------------------------------------


def test_references_are_found_before_the_translation() -> None:
    body = {
        "input": [USER, {"type": "item_reference", "id": "msg_1"}, {"id": "msg_2"}],
        "previous_response_id": "resp_1",
    }
    found = references(body)
    assert found.previous_response_id == "resp_1" and found.item_ids == ("msg_1", "msg_2")
    assert references({"input": "hi"}).item_ids == ()


def test_a_reference_is_replaced_by_the_stored_item() -> None:
    body = {"model": "m", "input": [{"type": "item_reference", "id": "msg_1"}]}
    stored = {"msg_1": {"type": "message", "id": "msg_1", "role": "user", "content": "old"}}
    translated = translate(body, Policy(), stored_items=stored)
    assert translated.body["messages"] == [{"role": "user", "content": "old"}]
    with pytest.raises(NotFound) as caught:
        translate(body, Policy())
    assert caught.value.code == "item_not_found"
    assert caught.value.message == "Item with id 'msg_1' not found."


def test_a_chain_comes_before_the_new_input_without_its_instructions() -> None:
    history = [
        {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "A"}]},
        call(),
    ]
    body = {"model": "m", "instructions": "new", "input": [output()], "previous_response_id": "r"}
    translated = translate(body, Policy(), history=history)
    assert [message["role"] for message in translated.body["messages"]] == [
        "system", "user", "assistant", "tool",
    ]  # fmt: skip
    assert translated.input == (output(),) and translated.taken_ids == {"c1"}
    assert translated.previous_response_id == "r"


def test_a_chain_may_be_continued_without_new_input() -> None:
    history = [{"type": "message", "role": "user", "content": "A"}]
    body = {"model": "m", "previous_response_id": "r"}
    messages_of_chain = translate(body, Policy(), history=history).body["messages"]
    assert messages_of_chain == [{"role": "user", "content": "A"}]


def test_a_mistake_in_stored_items_is_blamed_on_the_reference_to_them() -> None:
    with pytest.raises(InvalidRequest) as caught:
        translate({"model": "m", "input": "x"}, Policy(), history=[{"type": "nonsense"}])
    assert caught.value.param == "previous_response_id.type"


def test_a_long_history_takes_linear_time() -> None:
    items: list[Any] = []
    for number in range(5_000):
        items += [USER, call(f"c{number}"), {"role": "developer", "content": "x"}]
    items += [output(f"c{number}") for number in range(5_000)]
    out = messages(items)
    assert len(out) == 15_000 and out[2]["tool_call_id"] == "c0"
