"""The real OpenAI and Anthropic SDKs, whole answers and stream helpers, through a MultiProxy."""

import gzip
import http.client
import json

import openai
import pytest
import zstandard
from e2e.sdk_house import sdk_house
from e2e.sdk_questions import CHAT_TOOLS, MESSAGES_TOOLS, RESPONSES_TOOLS, THREE_CALLS
from e2e.typed_answers import typed, typed_events
from pydantic import BaseModel


class City(BaseModel):
    name: str


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    """A simulator, the MultiProxy before it, and both SDKs without retries."""
    with sdk_house(tmp_path_factory.mktemp("sdks")) as built:
        yield built


@pytest.fixture
def chat(house):
    """``chat("@script text", tools=...)``: the whole answer, equal to the stream helper's."""

    def ask(said, **members):
        messages = [{"role": "user", "content": said}] if isinstance(said, str) else said
        question = {"model": "demo", "messages": messages, **members}
        whole = typed(house.openai.chat.completions.create(**question))
        counting = {"stream_options": {"include_usage": True}}
        with house.openai.chat.completions.stream(**question, **counting) as stream:
            streamed = typed(stream.get_final_completion())
        chunks = typed_events(
            house.openai.chat.completions.create(**question, **counting, stream=True)
        )
        assert said_by(chunks) == whole.choices[0].message.content
        assert chunks[-1].usage == streamed.usage
        told, helped = whole.choices[0], streamed.choices[0]
        assert helped.finish_reason == told.finish_reason
        assert (helped.message.content or "") == told.message.content
        assert calls_of(helped.message) == calls_of(told.message)
        assert streamed.usage.total_tokens == whole.usage.total_tokens
        return whole

    return ask


@pytest.fixture
def messages(house):
    """``messages("@script text", tools=...)``: the same for Anthropic's SDK."""

    def ask(said, **members):
        history = [{"role": "user", "content": said}] if isinstance(said, str) else said
        question = {"model": "demo", "max_tokens": 500, "messages": history, **members}
        whole = typed(house.anthropic.messages.create(**question))
        with house.anthropic.messages.stream(**question) as stream:
            streamed = typed(stream.get_final_message())
        events = typed_events(house.anthropic.messages.create(**question, stream=True))
        assert [event.type for event in events[-2:]] == ["message_delta", "message_stop"]
        assert events[-2].delta.stop_reason == whole.stop_reason
        dumps = [
            each.model_dump(exclude_none=True, exclude={"id", "usage"})
            for each in (whole, streamed)
        ]
        assert dumps[0] == dumps[1]
        assert streamed.usage.output_tokens == whole.usage.output_tokens
        return whole

    return ask


@pytest.fixture
def responses(house):
    """``responses("@script text", tools=...)``: the same for Responses."""

    def ask(said, **members):
        question = {"model": "demo", "input": said, **members}
        whole = typed(house.openai.responses.create(**question))
        with house.openai.responses.stream(**question) as stream:
            streamed = typed(stream.get_final_response())
        events = typed_events(house.openai.responses.create(**question, stream=True))
        assert [event.sequence_number for event in events] == list(range(len(events)))
        assert events[-1].type == "response.completed"
        assert events[-1].response.output_text == whole.output_text
        assert streamed.status == whole.status
        assert streamed.output_text == whole.output_text
        assert [item.type for item in streamed.output] == [item.type for item in whole.output]
        assert streamed.usage.total_tokens == whole.usage.total_tokens
        return whole

    return ask


def calls_of(message):
    return [
        (call.id, call.function.name, json.loads(call.function.arguments))
        for call in message.tool_calls or ()
    ]


def said_by(chunks):
    return "".join(choice.delta.content or "" for chunk in chunks for choice in chunk.choices)


def last_body(house):
    """What the backend was last sent."""
    return json.loads([body for body in house.backend.facts.bodies if body][-1])


# -- text, thinking, ends --------------------------------------------------------------------


def test_text_and_its_usage_in_three_dialects(chat, messages, responses):
    completion = chat("@script text")
    assert completion.choices[0].message.content == "Hello"
    assert completion.choices[0].finish_reason == "stop"
    assert (completion.usage.prompt_tokens, completion.usage.completion_tokens) == (10, 4)
    message = messages("@script text")
    assert (message.content[0].text, message.stop_reason) == ("Hello", "end_turn")
    assert (message.usage.input_tokens, message.usage.cache_read_input_tokens) == (4, 6)
    response = responses("@script text")
    assert (response.output_text, response.status) == ("Hello", "completed")
    assert response.usage.input_tokens_details.cached_tokens == 6


def test_thinking_is_a_field_a_block_and_an_item(chat, messages, responses):
    assert chat("@script think").choices[0].message.reasoning_content == "hmm"
    message = messages("@script think", thinking={"type": "enabled", "budget_tokens": 1024},
                       max_tokens=2000)  # fmt: skip
    assert [block.type for block in message.content] == ["thinking", "text"]
    assert (message.content[0].thinking, message.content[1].text) == ("hmm", "ok")
    response = responses("@script think", reasoning={"effort": "high", "summary": "auto"})
    assert [item.type for item in response.output] == ["reasoning", "message"]
    assert response.output[0].summary[0].text == "hmm"


def test_a_stop_sequence_is_told_where_the_dialect_can(chat, messages):
    assert chat("@script word", stop=["END"]).choices[0].finish_reason == "stop"
    message = messages("@script word", stop_sequences=["END"])
    assert (message.stop_reason, message.stop_sequence) == ("stop_sequence", "END")


def test_the_limit_ends_an_answer_and_is_told(house, messages):
    history = [{"role": "user", "content": "@script length"}]
    completion = house.openai.chat.completions.create(model="demo", messages=history)
    assert completion.choices[0].finish_reason == "length"
    with (  # the helper's own way of telling it
        pytest.raises(openai.LengthFinishReasonError),
        house.openai.chat.completions.stream(model="demo", messages=history) as stream,
    ):
        stream.get_final_completion()
    assert messages("@script length").stop_reason == "max_tokens"
    question = {"model": "demo", "input": "@script length", "max_output_tokens": 1}
    response = house.openai.responses.create(**question)
    assert (response.status, response.output_text) == ("incomplete", "abc")
    assert response.incomplete_details.reason == "max_output_tokens"
    last = list(house.openai.responses.create(**question, stream=True))[-1]
    assert (last.type, last.response.status) == ("response.incomplete", "incomplete")


# -- tools -----------------------------------------------------------------------------------


def test_one_tool_call(chat, messages, responses):
    choice = chat("@script call", tools=CHAT_TOOLS).choices[0]
    assert choice.finish_reason == "tool_calls"
    assert calls_of(choice.message) == THREE_CALLS[:1]
    message = messages("@script call", tools=MESSAGES_TOOLS)
    assert message.stop_reason == "tool_use"
    assert [(each.id, each.input) for each in message.content] == [("c0", {"city": "A"})]
    [item] = responses("@script call", tools=RESPONSES_TOOLS).output
    assert (item.type, item.call_id, item.arguments) == ("function_call", "c0", '{"city":"A"}')


def test_three_parallel_tool_calls(chat, messages, responses):
    choice = chat("@script calls", tools=CHAT_TOOLS).choices[0]
    assert calls_of(choice.message) == THREE_CALLS
    text, *blocks = messages("@script calls", tools=MESSAGES_TOOLS).content
    assert text.text == "I look."
    assert [(each.id, each.name, each.input) for each in blocks] == THREE_CALLS
    said, *items = responses("@script calls", tools=RESPONSES_TOOLS).output
    assert said.content[0].text == "I look."
    told = [(each.call_id, each.name, json.loads(each.arguments)) for each in items]
    assert told == THREE_CALLS


def history_after_three_calls(house):
    """The Chat messages that the backend was sent after the user's own."""
    _, assistant, *results = last_body(house)["messages"]
    return calls_as_sent(assistant), [(each["role"], each["tool_call_id"]) for each in results]


def calls_as_sent(assistant):
    return [
        (call["id"], call["function"]["name"], json.loads(call["function"]["arguments"]))
        for call in assistant["tool_calls"]
    ]


RESULTS = [("tool", "c0"), ("tool", "c1"), ("tool", "c2")]


def test_results_of_tools_go_back_in_chat(house, chat):
    first = chat("@script calls", tools=CHAT_TOOLS).choices[0].message
    history = [{"role": "user", "content": "weather?"}, first.model_dump(exclude_none=True)]
    history += [
        {"role": "tool", "tool_call_id": call.id, "content": "sunny"} for call in first.tool_calls
    ]
    assert chat(history, tools=CHAT_TOOLS).choices[0].finish_reason == "stop"
    assert history_after_three_calls(house) == (THREE_CALLS, RESULTS)


def test_results_of_tools_go_back_in_messages(house, messages):
    first = messages("@script calls", tools=MESSAGES_TOOLS)
    results = [
        {"type": "tool_result", "tool_use_id": block.id, "content": "sunny"}
        for block in first.content[1:]
    ]
    history = [
        {"role": "user", "content": "weather?"},
        {"role": "assistant", "content": first.content},
        {"role": "user", "content": results},
    ]
    assert messages(history, tools=MESSAGES_TOOLS).stop_reason == "end_turn"
    assert history_after_three_calls(house) == (THREE_CALLS, RESULTS)


def test_results_of_tools_go_back_in_responses(house, responses):
    first = responses("@script calls", tools=RESPONSES_TOOLS)
    items = [{"role": "user", "content": "weather?"}]
    items += [item.model_dump(exclude_none=True) for item in first.output]
    items += [
        {"type": "function_call_output", "call_id": item.call_id, "output": "sunny"}
        for item in first.output[1:]
    ]
    assert responses(items, tools=RESPONSES_TOOLS).output_text
    assert history_after_three_calls(house) == (THREE_CALLS, RESULTS)


# -- structured output -----------------------------------------------------------------------


def test_structured_output_is_parsed_by_every_helper(house):
    question = [{"role": "user", "content": "Which city?"}]
    chat, responses = house.openai.chat.completions, house.openai.responses
    parsed = chat.parse(model="demo", messages=question, response_format=City)
    assert isinstance(parsed.choices[0].message.parsed, City)
    with chat.stream(model="demo", messages=question, response_format=City) as stream:
        assert isinstance(stream.get_final_completion().choices[0].message.parsed, City)
    answer = responses.parse(model="demo", input="Which city?", text_format=City)
    assert isinstance(answer.output_parsed, City)
    with responses.stream(model="demo", input="Which city?", text_format=City) as stream:
        assert isinstance(stream.get_final_response().output_parsed, City)
    messages, options = house.anthropic.messages, {"model": "demo", "max_tokens": 200}
    message = messages.parse(messages=question, output_format=City, **options)
    assert isinstance(message.parsed_output, City)
    with messages.stream(messages=question, output_format=City, **options) as stream:
        assert isinstance(stream.get_final_message().parsed_output, City)


# -- counting, stored responses, encodings ---------------------------------------------------


def test_tokens_are_counted_as_the_answer_then_tells_them(house):
    history = [{"role": "user", "content": "How many tokens are these?"}]
    counted = house.anthropic.messages.count_tokens(
        model="demo", messages=history, tools=MESSAGES_TOOLS
    )
    used = house.anthropic.messages.create(
        model="demo", messages=history, tools=MESSAGES_TOOLS, max_tokens=1
    ).usage
    assert counted.input_tokens == used.input_tokens + used.cache_read_input_tokens


def test_a_stored_response_is_continued_read_and_deleted(house):
    responses = house.openai.responses
    first = responses.create(model="demo", input="@script text", instructions="Be brief.")
    second = responses.create(model="demo", input="and?", previous_response_id=first.id)
    assert second.previous_response_id == first.id
    sent = [(each["role"], each["content"]) for each in last_body(house)["messages"]]
    assert sent == [("user", "@script text"), ("assistant", "Hello"), ("user", "and?")]
    assert responses.retrieve(first.id).output_text == "Hello"
    [item] = responses.input_items.list(first.id).data
    assert item.content[0].text == "@script text"
    responses.delete(first.id)
    with pytest.raises(openai.NotFoundError):
        responses.retrieve(first.id)
    with pytest.raises(openai.APIStatusError) as told:
        responses.create(model="demo", input="and?", previous_response_id=first.id)
    assert told.value.code == "previous_response_not_found"


def test_a_response_that_was_not_to_be_stored_is_not(house):
    kept = house.openai.responses.create(model="demo", input="@script text", store=False)
    with pytest.raises(openai.NotFoundError):
        house.openai.responses.retrieve(kept.id)


@pytest.mark.parametrize(
    ("coding", "compress"), [("gzip", gzip.compress), ("zstd", zstandard.compress)]
)
@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/messages", "/v1/responses"])
def test_compressed_bodies_are_read_in_every_dialect(house, coding, compress, path):
    said = [{"role": "user", "content": "@script text"}]
    body = {"model": "demo", "max_tokens": 9, "messages": said}
    if path == "/v1/responses":
        body = {"model": "demo", "input": said}
    connection = http.client.HTTPConnection("127.0.0.1", house.proxy.port, timeout=10)
    try:
        fields = {"Content-Type": "application/json", "Content-Encoding": coding}
        connection.request("POST", path, compress(json.dumps(body).encode()), fields)
        answer = connection.getresponse()
        assert (answer.status, b'"Hello"' in answer.read()) == (200, True)
    finally:
        connection.close()
