"""Bodies: what is refused, in the recorded words."""

import pytest

NAMES = """
error.bad-json error.body-array error.context.stream error.empty-body error.form-encoded-body
error.type.max_tokens-string error.type.stream-string
""".split()


@pytest.mark.parametrize("name", NAMES)
async def test_a_body_is_refused_in_the_recorded_words(name, replay):
    assert await replay.simulated(name) == replay.recorded(name)


async def test_max_tokens_ends_with_length_and_is_not_called_truncated(talk, user):
    answer = await talk.ask(user("@tokens 9", max_tokens=4, verbose=True))
    assert answer["choices"][0]["finish_reason"] == "length"
    assert answer["usage"]["completion_tokens"] == 4
    assert answer["__verbose"]["truncated"] is False


async def test_the_end_of_the_context_is_called_truncated(simulate, client, user):
    server = await simulate(context_size=64)
    async with client(server.port) as connection:
        answer = await connection.ask(user("@tokens 900", verbose=True))
    assert answer["usage"]["total_tokens"] == 64
    assert answer["__verbose"]["truncated"] is True
