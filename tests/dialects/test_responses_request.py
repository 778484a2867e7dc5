"""Fields of a Responses request, and what a turn remembers."""

from typing import Any

import pytest
from dialects.responses_asked import call, chat, output, refusal
from dialects.responses_run import turn

from multiproxy.dialects.policy import Policy
from multiproxy.dialects.responses_request import references, translate
from multiproxy.errors import InvalidRequest, NotFound

STRICT = Policy(engine="strict")
USER = {"role": "user", "content": "go"}
FUNCTION = {"type": "function", "name": "f", "parameters": {"type": "object"}}


def test_the_backends_own_model_name_is_sent_and_the_clients_is_echoed() -> None:
    translated = translate({"model": "alias", "input": "hi"}, Policy(), backend_model="real")
    assert translated.body["model"] == "real" and translated.echoed["model"] == "alias"


def test_sampling_is_sent_only_when_the_client_gave_it() -> None:
    body = chat(max_output_tokens=1, temperature=0, top_p=None)
    assert body["max_tokens"] == 1 and body["temperature"] == 0 and "top_p" not in body


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


def test_the_last_configuration_update_wins() -> None:
    items = [USER, *({"type": "configuration_update", "reasoning": {"effort": effort}}
                     for effort in ("high", "low"))]  # fmt: skip
    assert chat(input=items, reasoning={"effort": "medium"})["reasoning_effort"] == "low"


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
