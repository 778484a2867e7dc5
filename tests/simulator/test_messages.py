"""llama-server's own Messages, as recorded."""

import pytest
from recordings import names

THINKING = {"messages.nonstream.thinking": False, "messages.stream.thinking": True}
OTHERS = {"messages.stream.no-message_start", *THINKING}
NAMES = [name for name in names("messages.*") if name not in OTHERS]


def test_the_recordings_are_there():
    assert len(NAMES) >= 8


@pytest.mark.parametrize("name", NAMES)
async def test_an_answer_has_the_recorded_bytes_but_for_ids_times_and_words(name, replay):
    assert await replay.simulated(name) == replay.recorded(name)


async def test_an_answer_that_begins_with_half_a_character_has_no_start(simulate, client, wire):
    recorded = wire.answer("messages.stream.no-message_start")
    server = await simulate(model="tiny-chat")
    body = {"messages": [{"role": "user", "content": "@emoji"}], "max_tokens": 6, "stream": True}
    async with client(server.port) as connection:
        answer = await connection.answer(wire.post(body, "/v1/messages"))
    assert wire.split(answer) == wire.split(recorded)


@pytest.mark.parametrize("name", THINKING)
async def test_an_answer_of_thinking_alone_is_a_block_with_an_empty_signature(
    simulate, client, wire, user, name
):
    server = await simulate(model="tiny-think", reasoning=True)
    body = user("hello", max_tokens=5, stream=THINKING[name])  # it ends amid its thoughts
    async with client(server.port) as connection:
        answer = await connection.answer(wire.post(body, "/v1/messages"))
    assert wire.split(answer) == wire.split(wire.answer(name))


async def test_a_system_prompt_counts(talk, user):
    body = user("hi", max_tokens=1)
    plain = await talk.ask(body, "/v1/messages/count_tokens")
    system = await talk.ask(body | {"system": "be brief"}, "/v1/messages/count_tokens")
    answer = await talk.ask(body | {"system": "be brief"}, "/v1/messages")
    assert system["input_tokens"] > plain["input_tokens"]
    assert answer["usage"]["input_tokens"] == system["input_tokens"]
