"""Deterministic words and the magic prompts that choose them."""


async def test_the_text_is_a_function_of_prompt_and_seed(talk, user):
    one = await talk.ask(user("hi", seed=1))
    same = await talk.ask(user("hi", seed=1))
    other = await talk.ask(user("hi", seed=2))
    assert one["choices"] == same["choices"]
    assert one["choices"] != other["choices"]


async def test_tokens_gives_exactly_so_many_events(talk, user):
    events = await talk.events(user("@tokens 25", stream=True))
    assert sum("content" in event["choices"][0]["delta"] for event in events) == 25 + 1
    assert events[-1]["timings"]["predicted_n"] == 25 + 1  # and the end-of-text token


async def test_echo_carries_nonce_and_number_in_every_event(talk, user, said):
    events = await talk.events(user("@echo n0nce 3", stream=True))
    assert said(events) == " n0nce:0 n0nce:1 n0nce:2"
