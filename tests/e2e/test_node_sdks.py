"""The real Node SDKs of OpenAI and Anthropic through a MultiProxy, in every way to use them.

What they hand out is compared as JSON. Their types are those of the Python SDKs, which check
the same answers in test_sdks.py.
"""

import json

import pytest
from e2e.sdk_house import DEATHS, sdk_house
from e2e.sdk_questions import (
    CHAT_TOOLS,
    DIALECTS,
    ENDLESS,
    MESSAGES_TOOLS,
    RESPONSES_TOOLS,
    THREE_CALLS,
    formed,
    said,
    shown,
)
from node_sdks import NodeError, NodeSdks, needs_node

pytestmark = needs_node

TOOLS = {"chat": CHAT_TOOLS, "messages": MESSAGES_TOOLS, "responses": RESPONSES_TOOLS}
THINKS = {
    "messages": {"thinking": {"type": "enabled", "budget_tokens": 1024}, "max_tokens": 2000},
    "responses": {"reasoning": {"summary": "auto"}},
}
CITY = {
    "type": "object",
    "properties": {"name": {"type": "string"}},
    "required": ["name"],
    "additionalProperties": False,
}

every_way = pytest.mark.parametrize("way", ["whole", "raw", "helper"])
every_dialect = pytest.mark.parametrize("dialect", DIALECTS)


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    """A simulator, and the MultiProxy before it."""
    with sdk_house(tmp_path_factory.mktemp("sdks")) as built:
        yield built


@pytest.fixture(scope="module")
def node(house):
    """The Node SDKs before it."""
    sdks = NodeSdks(house.proxy.url)
    yield sdks
    sdks.end()


@pytest.fixture
def ask(node):
    """``ask("messages", "@script text")``: the answer, which every way must agree on."""

    def asking(dialect, content, **members):
        question = said(dialect, content, **members)
        whole, helped = (node.ask(dialect, way, question) for way in ("whole", "helper"))
        assert SUMMARY[dialect](helped) == SUMMARY[dialect](whole)
        events = node.ask(dialect, "raw", question)
        assert LAST[dialect](events) == SUMMARY[dialect](whole)[-1]
        if dialect == "messages":
            assert helped["told"]["blocks"] == helped["content"] == whole["content"]
            assert helped["told"]["text"] in ("", *texts(whole["content"]))
        return whole

    return asking


def texts(blocks):
    return [block["text"] for block in blocks if block["type"] == "text"]


def chat_summary(completion):
    """What was said and called, and why it ended; thoughts are put together by no helper."""
    [choice] = completion["choices"]
    return (
        choice["message"]["content"] or "",
        [
            (call["id"], call["function"]["name"], json.loads(call["function"]["arguments"]))
            for call in choice["message"].get("tool_calls", ())
        ],
        completion["usage"],
        choice["finish_reason"],
    )


def messages_summary(message):
    return (
        message["content"],
        message["usage"],
        (message["stop_reason"], message["stop_sequence"]),
    )


def responses_summary(response):
    own = {"id", "call_id", "created_at", "completed_at"}
    output = [{key: item[key] for key in item.keys() - own} for item in response["output"]]
    for item in output:
        for part in item.get("content", ()):
            part.pop("parsed", None)  # the helper's
        item.pop("parsed_arguments", None)
    return output, response["usage"], response["output_text"], response["status"]


SUMMARY = {"chat": chat_summary, "messages": messages_summary, "responses": responses_summary}


def last_of_chat(chunks):
    return [choice["finish_reason"] for chunk in chunks for choice in chunk["choices"]][-1]


def last_of_messages(events):
    *_, delta, stop = events
    assert stop == {"type": "message_stop"}
    return delta["delta"]["stop_reason"], delta["delta"]["stop_sequence"]


def last_of_responses(events):
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    return events[-1]["response"]["status"]


LAST = {"chat": last_of_chat, "messages": last_of_messages, "responses": last_of_responses}


def last_body(house):
    """What the backend was last sent."""
    return json.loads([body for body in house.backend.facts.bodies if body][-1])


# -- answers ---------------------------------------------------------------------------------


def test_text_and_its_usage(ask):
    completion = ask("chat", "@script text")
    assert chat_summary(completion)[0] == "Hello"
    assert completion["usage"]["total_tokens"] == 14
    message = ask("messages", "@script text")
    assert message["content"] == [{"type": "text", "text": "Hello"}]
    assert message["usage"] == {
        "input_tokens": 4,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": 6,
        "output_tokens": 4,
    }
    response = ask("responses", "@script text")
    assert (response["output_text"], response["status"]) == ("Hello", "completed")
    assert response["usage"]["input_tokens_details"]["cached_tokens"] == 6


def test_thinking_is_a_field_a_block_and_an_item(ask):
    message = ask("chat", "@script think")["choices"][0]["message"]
    assert (message["reasoning_content"], message["content"]) == ("hmm", "ok")
    thought, text = ask("messages", "@script think", **THINKS["messages"])["content"]
    assert (thought["type"], thought["thinking"], text["text"]) == ("thinking", "hmm", "ok")
    assert thought["signature"]
    thought, text = ask("responses", "@script think", **THINKS["responses"])["output"]
    assert (thought["type"], thought["summary"][0]["text"]) == ("reasoning", "hmm")
    thought, text = ask("responses", "@script think")["output"]
    assert thought["content"] == [{"type": "reasoning_text", "text": "hmm"}]


def test_one_tool_call(ask):
    completion = ask("chat", "@script call", tools=CHAT_TOOLS)
    assert chat_summary(completion)[1] == THREE_CALLS[:1]
    assert completion["choices"][0]["finish_reason"] == "tool_calls"
    message = ask("messages", "@script call", tools=MESSAGES_TOOLS)
    assert message["stop_reason"] == "tool_use"
    assert [(each["id"], each["input"]) for each in message["content"]] == [("c0", {"city": "A"})]
    [item] = ask("responses", "@script call", tools=RESPONSES_TOOLS)["output"]
    assert (item["type"], item["call_id"]) == ("function_call", "c0")
    assert item["arguments"] == '{"city":"A"}'


def test_three_parallel_tool_calls(ask):
    completion = ask("chat", "@script calls", tools=CHAT_TOOLS)
    assert chat_summary(completion)[:2] == ("I look.", THREE_CALLS)
    text, *blocks = ask("messages", "@script calls", tools=MESSAGES_TOOLS)["content"]
    assert text["text"] == "I look."
    assert [(each["id"], each["name"], each["input"]) for each in blocks] == THREE_CALLS
    told, *items = ask("responses", "@script calls", tools=RESPONSES_TOOLS)["output"]
    assert told["content"][0]["text"] == "I look."
    calls = [(each["call_id"], each["name"], json.loads(each["arguments"])) for each in items]
    assert calls == THREE_CALLS


def results(dialect, answer):
    """The history of a call that was answered, with what the SDK handed out put back into it."""
    question = {"role": "user", "content": "weather?"}
    if dialect == "chat":
        message = answer["choices"][0]["message"]
        tools = [
            {"role": "tool", "tool_call_id": call["id"], "content": "sunny"}
            for call in message["tool_calls"]
        ]
        return {"messages": [question, message, *tools]}
    if dialect == "messages":
        told = [
            {"type": "tool_result", "tool_use_id": block["id"], "content": "sunny"}
            for block in answer["content"][1:]
        ]
        assistant = {"role": "assistant", "content": answer["content"]}
        return {"messages": [question, assistant, {"role": "user", "content": told}]}
    told = [
        {"type": "function_call_output", "call_id": item["call_id"], "output": "sunny"}
        for item in answer["output"][1:]
    ]
    return {"input": [question, *answer["output"], *told]}


@every_dialect
@pytest.mark.parametrize("way", ["whole", "helper"])
def test_results_of_tools_go_back(house, node, dialect, way):
    first = node.ask(dialect, way, said(dialect, "@script calls", tools=TOOLS[dialect]))
    question = said(dialect, "", tools=TOOLS[dialect]) | results(dialect, first)
    assert node.ask(dialect, way, question)
    _, assistant, *tools = last_body(house)["messages"]
    calls = [
        (call["id"], call["function"]["name"], json.loads(call["function"]["arguments"]))
        for call in assistant["tool_calls"]
    ]
    assert calls == THREE_CALLS
    assert [(each["role"], each["tool_call_id"]) for each in tools] == [
        ("tool", "c0"), ("tool", "c1"), ("tool", "c2"),
    ]  # fmt: skip


@pytest.mark.parametrize("way", ["parsed", "parsedHelper"])
def test_structured_output_is_parsed_by_every_helper(node, way):
    completion = node.ask("chat", way, formed("chat", CITY))
    assert completion["choices"][0]["message"]["parsed"] == {"name": "word"}
    message = node.ask("messages", way, formed("messages", CITY))
    assert message["parsed_output"] == {"name": "word"}
    response = node.ask("responses", way, formed("responses", CITY))
    assert response["output_parsed"] == {"name": "word"}


def test_a_stop_sequence_is_told_where_the_dialect_can(ask):
    assert last_of_whole(ask("chat", "@script word", stop=["END"])) == "stop"
    message = ask("messages", "@script word", stop_sequences=["END"])
    assert (message["stop_reason"], message["stop_sequence"]) == ("stop_sequence", "END")


def last_of_whole(completion):
    return completion["choices"][0]["finish_reason"]


def test_the_limit_ends_an_answer_and_is_told(ask):
    assert last_of_whole(ask("chat", "@script length")) == "length"
    assert ask("messages", "@script length")["stop_reason"] == "max_tokens"
    response = ask("responses", "@script length")
    assert (response["status"], response["output_text"]) == ("incomplete", "abc")
    assert response["incomplete_details"] == {"reason": "max_output_tokens"}


# -- errors ----------------------------------------------------------------------------------


@every_way
@every_dialect
def test_an_image_that_no_model_can_see_is_the_clients_error(node, dialect, way):
    with pytest.raises(NodeError, match="image") as told:
        node.ask(dialect, way, shown(dialect))
    assert (told.value.kind, told.value.status) == ("BadRequestError", 400)


TOO_LONG = {
    "chat": "maximum context length is 2048 tokens",
    "messages": "prompt is too long: 5.* tokens > 2048 maximum",
    "responses": "maximum context length is 2048 tokens",
}


@every_way
@every_dialect
def test_a_prompt_past_the_context_has_the_words_that_agents_look_for(node, dialect, way):
    with pytest.raises(NodeError, match=TOO_LONG[dialect]) as told:
        node.ask(dialect, way, said(dialect, ENDLESS))
    assert (told.value.kind, told.value.status) == ("BadRequestError", 400)
    if dialect != "messages":
        assert told.value.code == "context_length_exceeded"


@pytest.mark.parametrize("death", DEATHS)
@every_way
@every_dialect
def test_a_backend_that_dies_is_never_taken_for_success(node, dialect, way, death):
    with pytest.raises(NodeError) as told:
        node.ask(dialect, way, said(dialect, f"@script {death}"))
    assert told.value.is_sdks, told.value
    if way == "whole":
        assert (told.value.kind, told.value.status) == ("InternalServerError", 502)
