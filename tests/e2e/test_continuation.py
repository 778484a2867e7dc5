"""A stream whose backend dies in its text is continued by another one, in three dialects."""

import json

import anthropic
import openai
import pytest
from e2e.raw_client import ask, chat

from multiproxy.simulator import Settings

SPEED = {"tokens_per_second": 500.0, "prompt_tokens_per_second": 100_000.0}
CITY = {"type": "object", "properties": {"city": {"type": "string"}, "days": {"type": "integer"}}}
TOOL = {"type": "function", "function": {"name": "get_weather", "parameters": CITY}}
SCHEMA = {"type": "object", "properties": {"city": {"enum": ["Paris", "Rome"]}}}
COUNTED = {"stream_options": {"include_usage": True}}
PATHS = {"chat": "/v1/chat/completions", "messages": "/v1/messages", "responses": "/v1/responses"}


def fast(**more):
    """A simulator's settings: its own, for its faults are kept in them."""
    return Settings(**SPEED, **more)


async def whole_and_broken(place, body, fault, path=PATHS["chat"]):
    """The answer to a request, and to the same one when its backend fails on the way."""
    whole = await ask(place.port, body, path)
    asked = 1
    while True:
        last = (await place.logged(asked))[-1]["backend"]
        other = place.simulators[last == "sim-0"]
        other.set_faults([])
        simulator = place.simulators[last != "sim-0"]
        simulator.set_faults([f"{fault},count=1"])
        broken = await ask(place.port, body, path)
        asked += 1
        await place.logged(asked)
        if not simulator.settings.faults[0].count:
            return whole, broken


def told(answer):
    """What a Chat client puts together: reasoning, text, finish reasons, usage."""
    said = {"reasoning_content": "", "content": ""}
    ids, reasons, usage, roles = set(), [], None, 0
    assert answer.outcome == "ok"
    for event in answer.events[:-1]:
        chunk = json.loads(event)
        ids.add(chunk["id"])
        usage = chunk.get("usage") or usage
        for choice in chunk["choices"]:
            delta = choice["delta"]
            roles += "role" in delta
            for name in said:
                said[name] += delta.get(name) or ""
            reasons += [choice["finish_reason"]] if choice["finish_reason"] else []
    assert (len(ids), roles) == (1, 1)
    return said, reasons, {**usage, "prompt_tokens_details": None} if usage else None


@pytest.mark.parametrize("fault", ["cut", "cut:reset=1", "early-end"])
@pytest.mark.parametrize("events", [3, 4, 9, 15])  # the first ones are the prompt's progress
async def test_a_chat_stream_goes_on_behind_its_last_byte(house, fault, events):
    place = await house(fast(), fast())
    point = f"{fault}{',' if ':' in fault else ':'}after_events={events}"
    body = chat("tell me", max_tokens=20, **COUNTED)
    whole, broken = await whole_and_broken(place, body, point)
    assert told(broken) == told(whole)
    line = (await place.logged(2))[-1]
    assert (line["status"], line["end"], line["attempts"]) == (200, "--", 2)
    assert line["continued"] is True
    assert (line["prompt_tokens"], line["output_tokens"]) == (
        told(whole)[2]["prompt_tokens"], 20,
    )  # fmt: skip


QUESTIONS = {
    "text": (False, {}),
    "thinking": (True, {}),
    "a tool is offered": (False, {"tools": [TOOL]}),
    "JSON is wanted": (False, {
        "response_format": {"type": "json_schema", "json_schema": {"schema": SCHEMA}}}),
}  # fmt: skip


@pytest.mark.parametrize("name", QUESTIONS)
async def test_what_an_engine_can_continue_is_continued(house, name):
    thinks, more = QUESTIONS[name]
    place = await house(fast(reasoning=thinks), fast(reasoning=thinks))
    for events in (3, 14, 30):
        body = chat(f"tell me {events}", max_tokens=60, **COUNTED, **more)
        whole, broken = await whole_and_broken(place, body, f"cut:after_events={events}")
        assert told(broken)[:2] == told(whole)[:2]


OPTIONS = {"api_key": "unused", "max_retries": 0, "timeout": 20}
HELLO = [{"role": "user", "content": "tell me"}]


async def by_sdk(dialect, port):
    """The answer as the dialect's own SDK puts it together, without what is new each time."""
    url = f"http://127.0.0.1:{port}"
    if dialect == "messages":
        async with anthropic.AsyncAnthropic(base_url=url, **OPTIONS) as client:
            question = {"model": "demo", "max_tokens": 70, "messages": HELLO,
                        "thinking": {"type": "enabled", "budget_tokens": 1024}}  # fmt: skip
            async with client.messages.stream(**question) as stream:
                message = await stream.get_final_message()
            usage = message.usage
            return (
                [block.model_dump() for block in message.content],
                message.stop_reason,
                usage.input_tokens + usage.cache_read_input_tokens,
                usage.output_tokens,
            )
    async with openai.AsyncOpenAI(base_url=f"{url}/v1", **OPTIONS) as client:
        if dialect == "responses":
            question = {"model": "demo", "max_output_tokens": 70, "input": "tell me"}
            numbers = []
            async with client.responses.stream(**question) as stream:
                async for event in stream:
                    numbers.append(event.sequence_number)
                response = await stream.get_final_response()
            assert numbers == list(range(len(numbers)))
            items = [item.model_dump(exclude={"id"}) for item in response.output]
            usage = response.usage
            return items, response.status, usage.input_tokens, usage.output_tokens
        question = {"model": "demo", "max_tokens": 70, "messages": HELLO, **COUNTED}
        async with client.chat.completions.stream(**question) as stream:
            completion = await stream.get_final_completion()
        [choice] = completion.choices
        usage = completion.usage
        return (
            choice.message.model_dump(),
            choice.finish_reason,
            usage.prompt_tokens,
            usage.completion_tokens,
        )


@pytest.mark.parametrize("events", [4, 40])  # in the thinking, in the text
@pytest.mark.parametrize("dialect", PATHS)
async def test_an_sdk_does_not_see_the_seam(house, dialect, events):
    place = await house(fast(reasoning=True), fast(reasoning=True))
    whole = await by_sdk(dialect, place.port)
    for number in range(20):
        last = (await place.logged(number + 1))[-1]
        if last.get("continued"):
            return
        for each in place.simulators:
            each.set_faults([])
        place.simulators[last["backend"] != "sim-0"].set_faults(
            [f"cut:after_events={events},count=1"]
        )
        assert await by_sdk(dialect, place.port) == whole
    pytest.fail("no stream was broken")


# -- what is not continued ------------------------------------------------------------------

NEVER = {
    "in a tool call": chat("use get_weather", tools=[TOOL]),
    "with two choices": chat("tell me", n=2, max_tokens=20),
    "with logprobs": chat("tell me", logprobs=True, max_tokens=20),
    "behind the client's own beginning": {
        **chat("tell me", max_tokens=20),
        "messages": [*HELLO, {"role": "assistant", "content": "The "}],
    },
    "with a slot of the backend that died": chat("tell me", id_slot=1, max_tokens=20),
}


@pytest.mark.parametrize("name", NEVER)
async def test_what_cannot_be_continued_ends_with_one_error_event(house, name):
    place = await house(fast(), fast())
    for each in place.simulators:
        each.set_faults(["cut:after_events=8"])
    answer = await ask(place.port, NEVER[name])
    assert answer.outcome == "error-after" and not answer.ended
    assert sum(b'"error"' in event for event in answer.events) == 1
    assert b"[DONE]" not in answer.body
    assert place.generations == NEVER[name].get("n", 1)
    (line,) = await place.logged(1)
    assert (line["attempts"], line["continued"], line["end"]) == (1, False, "BD")


@pytest.mark.parametrize("path", PATHS.values(), ids=PATHS)
async def test_a_second_death_is_told(house, path):
    place = await house(fast(), fast(), fast())
    for each in place.simulators:
        each.set_faults(["cut:after_events=6"])
    body = chat("tell me", max_tokens=40, input="tell me")
    answer = await ask(place.port, body, path)
    assert answer.outcome in ("error-after", "cut") and not answer.ended
    assert answer.body.count(b'"type":"error"') + answer.body.count(b'"error":{') >= 1
    (line,) = await place.logged(1)
    assert (line["attempts"], line["continued"], line["end"]) == (2, True, "BD")
    assert place.generations == 2


async def test_without_another_backend_the_first_death_is_told(house):
    place = await house(fast(), fast())
    await place.simulators[1].close()
    place.simulators[0].set_faults(["cut:after_events=6"])
    while True:
        answer = await ask(place.port, chat("tell me", max_tokens=40))
        if answer.outcome == "error-after":
            break
    assert b'"code":"backend_disconnected"' in answer.body
    assert (await place.logged(1))[-1]["end"] == "BD"


async def test_a_continuation_that_is_refused_tells_the_first_death(house):
    place = await house(fast(), fast(context_size=8))
    body = chat("tell me", max_tokens=40)
    place.simulators[0].set_faults(["cut:after_events=6"])
    while True:
        answer = await ask(place.port, body)
        if answer.outcome == "error-after":
            break
    assert b'"code":"backend_disconnected"' in answer.body
    assert (await place.logged(1))[-1]["end"] == "BD"


async def test_an_operator_can_switch_it_off(house):
    place = await house(fast(), fast(), retry={"after_commit": "error"})
    for each in place.simulators:
        each.set_faults(["cut:after_events=6"])
    answer = await ask(place.port, chat("tell me", max_tokens=40))
    assert answer.outcome == "error-after"
    assert place.generations == 1


async def test_a_whole_answer_is_asked_for_again(house):
    place = await house(fast(), fast())
    body = chat("tell me", max_tokens=20, stream=False)
    whole, broken = await whole_and_broken(place, body, "cut:after_events=10")
    said = [json.loads(answer.body)["choices"] for answer in (whole, broken)]
    assert said[0] == said[1]
    assert (await place.logged(2))[-1]["continued"] is False
