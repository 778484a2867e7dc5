"""Three dialects before a real llama.cpp server: what is counted, called, cancelled and folded."""

import json
import re
import urllib.request
from typing import Literal

import anthropic
import openai
import pytest
from pydantic import BaseModel
from waiting import until

pytestmark = pytest.mark.engine

HELLO = [{"role": "user", "content": "hello"}]
ARGUMENTS = {
    "type": "object",
    "properties": {"city": {"type": "string", "enum": ["Paris", "Rome"]}},
    "required": ["city"],
}
CHAT_TOOLS = [{"type": "function", "function": {"name": "get_weather", "parameters": ARGUMENTS}}]
MESSAGES_TOOLS = [{"name": "get_weather", "input_schema": ARGUMENTS}]
RESPONSES_TOOLS = [
    {"type": "function", "name": "get_weather", "parameters": ARGUMENTS, "strict": False}
]
# The model talks gibberish: this makes it begin with <tool_call>, and the grammar does the rest.
# Not while it thinks, where no grammar holds: thinking is switched off in the dialect's own way.
WANTS_TO_CALL = {"logit_bias": [[263, 15]], "seed": 11}
NO_THINKING = {"chat_template_kwargs": {"enable_thinking": False}}
SAME_ANSWER = {"seed": 7, "temperature": 0, "max_tokens": 30}
OPTIONS = {"api_key": "unused", "max_retries": 0, "timeout": 30}
MULTI_TURN = [
    {"role": "user", "content": "hello"},
    {"role": "assistant", "content": "A slot reads the prompt."},
    {"role": "user", "content": "Which one?"},
]


@pytest.fixture
def before(multiproxy_process):
    """``before(engine)``: MultiProxy in front of it."""

    def start(engine, **config):
        return multiproxy_process({"backends": [{"id": "a", "url": engine.url}], **config})

    return start


@pytest.fixture(params=["chat", "think"])
def engine(request, shared_engine):
    """An engine of one slot: what a dialect left in its cache, the next one finds."""
    return shared_engine(request.param, slots=1, alias="tiny")


# -- usage and counting ----------------------------------------------------------------------


def test_the_usage_of_three_dialects_agrees_with_the_engines_timings(engine, before):
    _, said = engine.ask(
        "POST", "/v1/chat/completions", {"messages": HELLO, "model": "tiny", **SAME_ANSWER}
    )
    timings = said["timings"]
    expected = (timings["cache_n"] + timings["prompt_n"], timings["predicted_n"])
    proxy = before(engine)
    with openai.OpenAI(base_url=f"{proxy.url}/v1", **OPTIONS) as client:
        chat = client.chat.completions.create(model="tiny", messages=HELLO, **SAME_ANSWER)
        assert (chat.usage.prompt_tokens, chat.usage.completion_tokens) == expected
        assert chat.usage.prompt_tokens_details.cached_tokens == chat.timings["cache_n"]
        response = client.responses.create(
            model="tiny", input="hello", temperature=0, max_output_tokens=30,
            extra_body={"seed": 7},
        ).usage  # fmt: skip
        assert (response.input_tokens, response.output_tokens) == expected
        assert response.total_tokens == sum(expected)
        # The engine reads at least one token of a prompt again, however well it knows it.
        assert 0 < response.input_tokens_details.cached_tokens < expected[0]
    with anthropic.Anthropic(base_url=proxy.url, **OPTIONS) as client:
        question = {"model": "tiny", "messages": HELLO, "max_tokens": 30}
        options = {"extra_body": {"temperature": 0, "seed": 7}}
        whole = client.messages.create(**question, **options).usage
        with client.messages.stream(**question, **options) as stream:
            streamed = stream.get_final_message().usage
    for usage in (whole, streamed):
        assert usage.input_tokens + usage.cache_read_input_tokens == expected[0]
        assert usage.output_tokens == expected[1]
        assert usage.cache_read_input_tokens == response.input_tokens_details.cached_tokens


CALLED = [
    {"role": "user", "content": "Weather?"},
    {"role": "assistant", "content": [
        {"type": "tool_use", "id": "c0", "name": "get_weather", "input": {"city": "Rome"}}]},
    {"role": "user", "content": [
        {"type": "tool_result", "tool_use_id": "c0", "content": "sunny"}]},
]  # fmt: skip
COUNTED = {
    "text": {"messages": HELLO},
    "system": {"messages": HELLO, "system": "Be brief."},
    "tools": {"messages": HELLO, "tools": MESSAGES_TOOLS},
    "multi-turn": {"messages": MULTI_TURN},
    "tool result": {"messages": CALLED, "tools": MESSAGES_TOOLS},
}


@pytest.mark.parametrize("said", COUNTED.values(), ids=COUNTED.keys())
def test_counted_tokens_are_those_that_the_engine_then_reads(engine, before, said):
    proxy = before(engine)
    with anthropic.Anthropic(base_url=proxy.url, **OPTIONS) as client:
        counted = client.messages.with_raw_response.count_tokens(model="tiny", **said)
        assert "x-multiproxy-count" not in counted.headers
        usage = client.messages.create(model="tiny", max_tokens=1, **said).usage
    used = usage.input_tokens + usage.cache_read_input_tokens
    assert counted.parse().input_tokens == used


def test_the_counts_of_three_dialects_agree(engine, before):
    proxy = before(engine)
    questions = {
        "/v1/chat/completions/input_tokens": {"messages": HELLO, "tools": CHAT_TOOLS},
        "/v1/messages/count_tokens": {"messages": HELLO, "tools": MESSAGES_TOOLS},
        "/v1/responses/input_tokens": {"input": "hello", "tools": RESPONSES_TOOLS},
    }
    answers = [
        proxy.ask("POST", path, {"model": "tiny", **question})
        for path, question in questions.items()
    ]
    counts = {answer["input_tokens"] for _, answer in answers}
    assert [status for status, _ in answers] == [200, 200, 200]
    assert len(counts) == 1


# -- tools -----------------------------------------------------------------------------------


@pytest.mark.parametrize("choice", [{"type": "any"}, {"type": "tool", "name": "get_weather"}])
def test_a_tool_call_is_forced_through_messages(engine, before, choice):
    with anthropic.Anthropic(base_url=before(engine).url, **OPTIONS) as client:
        question = {"model": "tiny", "max_tokens": 200, "messages": HELLO}
        options = {"tools": MESSAGES_TOOLS, "tool_choice": choice, "extra_body": WANTS_TO_CALL,
                   "thinking": {"type": "disabled"}}  # fmt: skip
        whole = client.messages.create(**question, **options)
        with client.messages.stream(**question, **options) as stream:
            streamed = stream.get_final_message()
    for message in (whole, streamed):
        assert message.stop_reason == "tool_use"
        calls = [block for block in message.content if block.type == "tool_use"]
        assert calls[0].name == "get_weather"
        assert calls[0].input["city"] in ("Paris", "Rome")


def test_a_tool_call_is_forced_through_responses(engine, before):
    with openai.OpenAI(base_url=f"{before(engine).url}/v1", **OPTIONS) as client:
        question = {"model": "tiny", "input": "hello", "max_output_tokens": 200}
        options = {"tools": RESPONSES_TOOLS, "tool_choice": "required",
                   "reasoning": {"effort": "none"}}  # fmt: skip
        whole = client.responses.create(**question, **options, extra_body=WANTS_TO_CALL)
        with client.responses.stream(**question, **options, extra_body=WANTS_TO_CALL) as stream:
            streamed = stream.get_final_response()
    for response in (whole, streamed):
        assert response.status == "completed"
        calls = [item for item in response.output if item.type == "function_call"]
        assert calls[0].name == "get_weather"
        assert json.loads(calls[0].arguments)["city"] in ("Paris", "Rome")


def test_a_tool_call_is_forced_through_chat(engine, before):
    with openai.OpenAI(base_url=f"{before(engine).url}/v1", **OPTIONS) as client:
        question = {"model": "tiny", "messages": HELLO, "max_tokens": 200}
        options = {"tools": CHAT_TOOLS, "tool_choice": "required",
                   "extra_body": WANTS_TO_CALL | NO_THINKING}  # fmt: skip
        whole = client.chat.completions.create(**question, **options)
        with client.chat.completions.stream(**question, **options) as stream:
            streamed = stream.get_final_completion()
    for completion in (whole, streamed):
        [choice] = completion.choices
        assert choice.finish_reason == "tool_calls"
        function = choice.message.tool_calls[0].function
        assert function.name == "get_weather"
        assert json.loads(function.arguments)["city"] in ("Paris", "Rome")


class Destination(BaseModel):
    city: Literal["Paris", "Rome"]


def test_structured_output_is_what_the_grammar_made(engine, before):
    proxy = before(engine)
    with openai.OpenAI(base_url=f"{proxy.url}/v1", **OPTIONS) as client:
        chat, responses = client.chat.completions, client.responses
        question = {"model": "tiny", "messages": HELLO, "max_tokens": 200,
                    "response_format": Destination, "extra_body": NO_THINKING}  # fmt: skip
        parsed = [chat.parse(**question).choices[0].message.parsed]
        with chat.stream(**question) as stream:
            parsed.append(stream.get_final_completion().choices[0].message.parsed)
        question = {"model": "tiny", "input": "hello", "max_output_tokens": 200,
                    "text_format": Destination, "reasoning": {"effort": "none"}}  # fmt: skip
        parsed.append(responses.parse(**question).output_parsed)
        with responses.stream(**question) as stream:
            parsed.append(stream.get_final_response().output_parsed)
    with anthropic.Anthropic(base_url=proxy.url, **OPTIONS) as client:
        question = {"model": "tiny", "messages": HELLO, "max_tokens": 200,
                    "output_format": Destination, "thinking": {"type": "disabled"}}  # fmt: skip
        parsed.append(client.messages.parse(**question).parsed_output)
        with client.messages.stream(**question) as stream:
            parsed.append(stream.get_final_message().parsed_output)
    assert [type(each) for each in parsed] == [Destination] * 6


# -- folding ---------------------------------------------------------------------------------


VARYING = {"id", "created", "timings"}
FOLDED = {
    "text": {},
    "limit": {"max_tokens": 3},
    "stop word": {"stop": [" the"]},
    "tool call": {"tools": CHAT_TOOLS, "tool_choice": "required", "logit_bias": [[263, 15]],
                  "max_tokens": 200},
    "schema": {"response_format": {"type": "json_schema", "json_schema": {"schema": ARGUMENTS}},
               "max_tokens": 100},
}  # fmt: skip


@pytest.mark.parametrize("more", FOLDED.values(), ids=FOLDED.keys())
def test_a_folded_answer_equals_the_engines_own(engine, before, more):
    # One model, two names: only the second is folded.
    models = {
        "own": {"backends": ["a"], "send_as": "tiny", "fold": False},
        "folded": {"backends": ["a"], "send_as": "tiny"},
    }
    proxy = before(engine, models=models)
    question = {"messages": HELLO, **SAME_ANSWER, "cache_prompt": False, **more}
    own, folded = (
        proxy.ask("POST", "/v1/chat/completions", {"model": name, **question})
        for name in ("own", "folded")
    )
    assert (own[0], folded[0]) == (200, 200)
    assert own[1].keys() == folded[1].keys()
    assert own[1]["timings"].keys() == folded[1]["timings"].keys()
    plain, refolded = (without_ids(answer) for _, answer in (own, folded))
    assert refolded == plain
    assert list(folded[1]) == list(own[1])  # even the order


def without_ids(answer):
    """The answer without what is new each time."""
    for call in answer["choices"][0]["message"].get("tool_calls", ()):
        assert call.pop("id")
    return {name: value for name, value in answer.items() if name not in VARYING}


ENDLESS = {"logit_bias": [[260, -100]]}  # the token that ends an answer
WHOLE = {
    "chat": ("/v1/chat/completions", {"messages": HELLO, "max_tokens": 3900}),
    "messages": ("/v1/messages", {"messages": HELLO, "max_tokens": 3900}),
    "responses": ("/v1/responses", {"input": "hello", "max_output_tokens": 3900}),
}


@pytest.mark.parametrize("dialect", WHOLE)
def test_a_client_of_a_whole_answer_that_leaves_frees_its_slot_beside_a_busy_one(
    shared_engine, before, dialect
):
    # Left alone, the engine notices only when no slot has said anything for a second.
    engine = shared_engine("slow", slots=2, alias="slow")
    proxy = before(engine)
    path, body = WHOLE[dialect]
    with openai.OpenAI(base_url=f"{proxy.url}/v1", **OPTIONS) as client:
        busy = client.chat.completions.create(
            model="slow", messages=HELLO, stream=True, max_tokens=3900,
            extra_body=ENDLESS,
        )  # fmt: skip
        next(iter(busy))
        impatient = openai.OpenAI(base_url=proxy.url, **OPTIONS | {"timeout": 1.5})
        with impatient, pytest.raises(openai.APITimeoutError):
            impatient.post(path, cast_to=object, body={"model": "slow", **ENDLESS, **body})
        until(lambda: engine.busy_slots() == 1, limit_s=5)
        [line] = proxy.wait_for_requests(1)
        assert (line["end"][0], line["backend"]) == ("C", "a")
        busy.close()
    until(lambda: engine.busy_slots() == 0, limit_s=5)


# -- prefill ---------------------------------------------------------------------------------


BEGUN = "The proxy reads a"
PREFILLED = {
    "/v1/messages": {"messages": [*HELLO, {"role": "assistant", "content": BEGUN}],
                     "max_tokens": 12, "temperature": 0},
    "/v1/responses": {"input": [*HELLO, {"role": "assistant", "content": BEGUN}],
                      "max_output_tokens": 12, "temperature": 0, "seed": 7},
}  # fmt: skip


@pytest.mark.parametrize("path", PREFILLED)
def test_an_answer_goes_on_behind_the_assistants_words(engine, before, path):
    proxy = before(engine)
    status, answer = proxy.ask("POST", path, {"model": "tiny", **PREFILLED[path]})
    assert status == 200
    blocks = answer.get("content") or answer["output"][-1]["content"]
    assert blocks[-1]["text"] and not blocks[-1]["text"].startswith(BEGUN)


# -- native ----------------------------------------------------------------------------------


NATIVE = {
    "/v1/messages": {"messages": HELLO, "max_tokens": 12, "temperature": 0},
    "/v1/messages/count_tokens": {"messages": HELLO},
    "/v1/responses": {"input": "hello", "max_output_tokens": 12, "temperature": 0, "seed": 7},
    "/v1/responses/input_tokens": {"input": "hello"},
}
# Ids, times, and how much of the prompt was in the cache.
VARIES = re.compile(
    rb'"\w*id":"[^"]*"|"\w*_at":\d+|"\w*(?:input|cached)_tokens":\d+|"timings":\{[^}]*\}'
)


def said(url, path, body):
    """The body of the answer to a POST, which is a good one."""
    request = urllib.request.Request(url + path, json.dumps(body).encode())
    with urllib.request.urlopen(request, timeout=30) as answer:
        return answer.read()


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("path", NATIVE)
def test_a_native_backend_is_heard_in_its_own_words(engine, multiproxy_process, path, stream):
    proxy = multiproxy_process({"backends": [{"id": "a", "url": engine.url, "dialects": "native"}]})
    body = {"model": "tiny", **NATIVE[path], "stream": stream}
    own, relayed = (said(url, path, body) for url in (engine.url, proxy.url))
    if path.endswith("_tokens"):
        assert json.loads(relayed)["input_tokens"] == json.loads(own)["input_tokens"] > 0
        return
    assert VARIES.sub(b"", relayed) == VARIES.sub(b"", own)
    [line] = proxy.wait_for_requests(1)
    assert (line["end"], line["backend"]) == ("--", "a") and line["finish_reason"]
    numbers = re.findall(rb'"output_tokens":(\d+)', relayed)
    assert line["output_tokens"] == int(numbers[-1]) > 0
    assert line["prompt_tokens"] > line["cached_tokens"] > 0
