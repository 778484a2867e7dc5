"""What a simulated model says: deterministic words, commands, tools, JSON, continuations."""

import orjson
import pytest

WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
        },
    },
}
CLOCK = {"type": "function", "function": {"name": "get_time", "parameters": {"type": "object"}}}


def user(text: str, **fields: object) -> dict[str, object]:
    """Return a body with one user message."""
    return {"messages": [{"role": "user", "content": text}], **fields}


def said(events, kind: str = "content") -> str:
    """Join one kind of text of a stream's events."""
    deltas = [event["choices"][0]["delta"] for event in events if event["choices"]]
    return "".join(delta.get(kind) or "" for delta in deltas)


@pytest.fixture
async def talk(simulate, client):
    """A connection to a simulator; keep-alive."""
    server = await simulate()
    async with client(server.port) as connection:
        yield connection


async def test_the_text_is_a_function_of_prompt_and_seed(talk):
    one = await talk.ask(user("hi", seed=1))
    same = await talk.ask(user("hi", seed=1))
    other = await talk.ask(user("hi", seed=2))
    assert one["choices"] == same["choices"]
    assert one["choices"] != other["choices"]


async def test_a_stream_says_what_the_whole_answer_says(talk):
    whole = await talk.ask(user("hi"))
    stream = await talk.events(user("hi", stream=True))
    assert said(stream) == whole["choices"][0]["message"]["content"]


async def test_tokens_gives_exactly_so_many_events(talk):
    events = await talk.events(user("@tokens 25", stream=True))
    assert sum("content" in event["choices"][0]["delta"] for event in events) == 25 + 1
    assert events[-1]["timings"]["predicted_n"] == 25 + 1  # and the end-of-text token


async def test_echo_carries_nonce_and_number_in_every_event(talk):
    events = await talk.events(user("@echo n0nce 3", stream=True))
    assert said(events) == " n0nce:0 n0nce:1 n0nce:2"


async def test_a_stop_word_ends_the_text_before_it_and_is_reported(talk):
    full = (await talk.ask(user("hi")))["choices"][0]["message"]["content"]
    word = full.split()[3]
    stopped = await talk.ask(
        user("hi", stop=[word], verbose=True, response_fields=["stop_type", "stopping_word"])
    )
    assert stopped["choices"][0]["message"]["content"] == full[: full.index(word)]
    assert stopped["choices"][0]["finish_reason"] == "stop"
    assert stopped["__verbose"] == {"stop_type": "word", "stopping_word": word}


async def test_a_stop_word_is_found_across_tokens(talk):
    events = await talk.events(user("@echo abc 6", stream=True, stop=["bc:2 abc:3"]))
    assert said(events) == " abc:0 abc:1 a"
    assert events[-1]["timings"]["predicted_n"] == 4


async def test_text_that_may_begin_a_stop_word_is_held_back_and_not_lost(talk):
    full = said(await talk.events(user("@echo abc 6", stream=True)))
    held = said(await talk.events(user("@echo abc 6", stream=True, stop=["bc:3 abX", "abc:9"])))
    assert held == full


async def test_max_tokens_ends_with_length_and_is_not_called_truncated(talk):
    answer = await talk.ask(user("@tokens 9", max_tokens=4, verbose=True))
    assert answer["choices"][0]["finish_reason"] == "length"
    assert answer["usage"]["completion_tokens"] == 4
    assert answer["__verbose"]["truncated"] is False


async def test_the_end_of_the_context_is_called_truncated(simulate, client):
    server = await simulate(context_size=64)
    async with client(server.port) as connection:
        answer = await connection.ask(user("@tokens 900", verbose=True))
    assert answer["usage"]["total_tokens"] == 64
    assert answer["__verbose"]["truncated"] is True


@pytest.mark.parametrize("cut", range(1, 60, 7))
async def test_a_continued_answer_goes_on_where_it_broke_off(talk, cut):
    full = said(await talk.events(user("tell me", stream=True)))
    body = user("tell me", stream=True, continue_final_message=True, add_generation_prompt=False)
    body["messages"].append({"role": "assistant", "content": full[:cut]})
    assert said(await talk.events(body)) == full[cut:]


async def test_continuing_a_thought_goes_on_thinking(simulate, client):
    server = await simulate(reasoning=True)
    async with client(server.port) as connection:
        full = await connection.events(user("why", stream=True))
        thought = said(full, "reasoning_content")
        body = user("why", stream=True, continue_final_message=True, add_generation_prompt=False)
        body["messages"].append(
            {"role": "assistant", "content": "", "reasoning_content": thought[:9]}
        )
        rest = await connection.events(body)
    assert said(rest, "reasoning_content") == thought[9:]
    assert said(rest) == said(full)


async def test_an_implicit_prefill_is_echoed_in_the_first_delta(talk):
    body = user("hi", stream=True)
    body["messages"].append({"role": "assistant", "content": "Well now"})
    assert said(await talk.events(body)).startswith("Well now")


async def test_every_tool_that_the_user_names_is_called_with_fitting_arguments(talk):
    body = user("use get_weather and get_time", tools=[WEATHER, CLOCK])
    choice = (await talk.ask(body))["choices"][0]
    calls = [call["function"] for call in choice["message"]["tool_calls"]]
    assert [call["name"] for call in calls] == ["get_weather", "get_time"]
    assert orjson.loads(calls[0]["arguments"]) == {"city": "word", "days": 7}
    assert choice["finish_reason"] == "tool_calls"


async def test_a_tool_is_not_called_again_after_its_result(talk):
    body = user("use get_weather", tools=[WEATHER])
    told = (await talk.ask(body))["choices"][0]["message"]
    body["messages"] += [told, {"role": "tool", "content": "sunny", "tool_call_id": "1"}]
    assert (await talk.ask(body))["choices"][0]["finish_reason"] == "stop"


async def test_a_json_schema_is_satisfied(talk):
    properties = {"ok": {"type": "boolean"}, "who": {"enum": ["a", "b"]}, "n": {"type": "array"}}
    form = {"type": "json_schema", "json_schema": {"schema": {"properties": properties}}}
    answer = await talk.ask(user("hi", response_format=form))
    value = orjson.loads(answer["choices"][0]["message"]["content"])
    assert value["ok"] is True and value["who"] in ("a", "b") and isinstance(value["n"], list)


async def test_thinking_can_be_switched_on_and_off_per_request(talk):
    thinking = user("hi", chat_template_kwargs={"enable_thinking": True})
    assert "reasoning_content" in (await talk.ask(thinking))["choices"][0]["message"]
    off = await talk.ask(thinking | {"reasoning_effort": "none"})
    assert "reasoning_content" not in off["choices"][0]["message"]


async def test_a_script_is_sent_word_for_word(simulate, client, wire):
    scripts = {
        "odd": [b": hello\n\n", 0.001, b"data: {}\n\n"],
        "raw": [b"HTTP/1.1 418 Tea\r\n\r\n"],
    }
    server = await simulate(scripts=scripts)
    async with client(server.port) as connection:
        answer = await connection.answer(wire.post("@script odd"))
        assert answer.endswith(b"\r\n\r\n9\r\n: hello\n\n\r\na\r\ndata: {}\n\n\r\n0\r\n\r\n")
        assert await connection.answer(wire.post("@script raw")) == b"HTTP/1.1 418 Tea\r\n\r\n"


async def test_tokenize_and_detokenize_are_inverse(talk):
    tokens = await talk.ask({"content": "café 日本"}, "/tokenize")
    assert await talk.ask(tokens, "/detokenize") == {"content": "café 日本"}


async def test_infill_is_answered_as_a_native_completion(talk):
    body = {"input_prefix": "a", "input_suffix": "b", "n_predict": 3}
    answer = await talk.ask(body, "/infill")
    assert (answer["tokens_predicted"], answer["stop_type"]) == (3, "limit")


async def test_reranking_puts_the_best_document_first(simulate, client):
    server = await simulate(rerank=True)
    async with client(server.port) as connection:
        body = {"query": "cat", "documents": ["dog", "cat"], "top_n": 1}
        answer = await connection.ask(body, "/v1/rerank")
    assert [result["index"] for result in answer["results"]] == [1]
