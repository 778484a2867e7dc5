"""Chat answers and chunks, as recorded."""

import pytest

NAMES = """
chat.nonstream chat.nonstream.cache_prompt-false chat.nonstream.cached
chat.nonstream.connection-close chat.nonstream.json_schema chat.nonstream.logprobs
chat.nonstream.max_tokens-0 chat.nonstream.n2 chat.nonstream.prefill chat.nonstream.reasoning
chat.nonstream.reasoning_format-none chat.nonstream.stop-word
chat.nonstream.think.prefill-reasoning-and-content chat.nonstream.tools-required chat.stream
chat.stream.connection-close chat.stream.include_usage chat.stream.json_schema
chat.stream.logprobs chat.stream.max_tokens-0 chat.stream.prefill
chat.stream.reasoning.include_usage chat.stream.return_progress chat.stream.stop-word
chat.stream.timings_per_token chat.stream.tools-required.include_usage
""".split()


@pytest.mark.parametrize("name", NAMES)
async def test_an_answer_has_the_recorded_bytes_but_for_ids_times_and_words(name, replay):
    assert await replay.simulated(name) == replay.recorded(name)


async def test_an_answer_whose_first_character_needs_four_tokens_has_no_role_event(
    simulate, client, wire
):
    recorded = wire.answer("chat.stream.utf8.emoji.max_tokens-5")
    server = await simulate(model="tiny-chat")
    async with client(server.port) as connection:
        body = {"messages": [{"role": "user", "content": "@emoji"}], "max_tokens": 5}
        answer = await connection.answer(wire.post(body | {"stream": True}))
    assert wire.split(answer) == wire.split(recorded)
    assert b"role" not in answer


async def test_a_stream_says_what_the_whole_answer_says(talk, user, said):
    whole = await talk.ask(user("hi"))
    stream = await talk.events(user("hi", stream=True))
    assert said(stream) == whole["choices"][0]["message"]["content"]


async def test_an_implicit_prefill_is_echoed_in_the_first_delta(talk, user, said):
    body = user("hi", stream=True)
    body["messages"].append({"role": "assistant", "content": "Well now"})
    assert said(await talk.events(body)).startswith("Well now")
