"""llama-server's own Responses, as recorded."""

import pytest
from recordings import names

NAMES = [name for name in names("responses.*") if not name.endswith(".tools")]


def test_the_recordings_are_there():
    assert len(NAMES) >= 7


@pytest.mark.parametrize("name", NAMES)
async def test_an_answer_has_the_recorded_bytes_but_for_ids_times_and_words(name, replay):
    assert await replay.simulated(name) == replay.recorded(name)


async def test_instructions_count(talk):
    body = {"input": "hi", "max_output_tokens": 1, "instructions": "be brief"}
    counted = await talk.ask(body, "/v1/responses/input_tokens")
    answer = await talk.ask(body, "/v1/responses")
    assert answer["usage"]["input_tokens"] == counted["input_tokens"]
    plain = await talk.ask({"input": "hi"}, "/v1/responses/input_tokens")
    assert plain["input_tokens"] < counted["input_tokens"]
