"""What an answer says: stop words, and going on where an answer broke off."""

import pytest


async def test_a_stop_word_ends_the_text_before_it_and_is_reported(talk, user):
    full = (await talk.ask(user("hi")))["choices"][0]["message"]["content"]
    word = full.split()[3]
    stopped = await talk.ask(
        user("hi", stop=[word], verbose=True, response_fields=["stop_type", "stopping_word"])
    )
    assert stopped["choices"][0]["message"]["content"] == full[: full.index(word)]
    assert stopped["choices"][0]["finish_reason"] == "stop"
    assert stopped["__verbose"] == {"stop_type": "word", "stopping_word": word}


async def test_a_stop_word_is_found_across_tokens(talk, user, said):
    events = await talk.events(user("@echo abc 6", stream=True, stop=["bc:2 abc:3"]))
    assert said(events) == " abc:0 abc:1 a"
    assert events[-1]["timings"]["predicted_n"] == 4


async def test_text_that_may_begin_a_stop_word_is_held_back_and_not_lost(talk, user, said):
    full = said(await talk.events(user("@echo abc 6", stream=True)))
    held = said(await talk.events(user("@echo abc 6", stream=True, stop=["bc:3 abX", "abc:9"])))
    assert held == full


@pytest.mark.parametrize("cut", range(1, 60, 7))
async def test_a_continued_answer_goes_on_where_it_broke_off(talk, cut, user, said):
    full = said(await talk.events(user("tell me", stream=True)))
    body = user("tell me", stream=True, continue_final_message=True, add_generation_prompt=False)
    body["messages"].append({"role": "assistant", "content": full[:cut]})
    assert said(await talk.events(body)) == full[cut:]


async def test_continuing_a_thought_goes_on_thinking(simulate, client, user, said):
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
