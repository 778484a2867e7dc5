"""Which method and path is answered, and which keys are asked for, as recorded."""

import pytest

NAMES = """
error.wrong-method.get-on-post infill.error key.health-needs-none key.models-needs
key.unknown-route key.x-api-key
""".split()


@pytest.mark.parametrize("name", NAMES)
async def test_a_route_answers_with_the_recorded_bytes(name, replay):
    assert await replay.simulated(name) == replay.recorded(name)


async def test_infill_is_answered_as_a_native_completion(talk):
    body = {"input_prefix": "a", "input_suffix": "b", "n_predict": 3}
    answer = await talk.ask(body, "/infill")
    assert (answer["tokens_predicted"], answer["stop_type"]) == (3, "limit")


async def test_tokenize_and_detokenize_are_inverse(talk):
    tokens = await talk.ask({"content": "café 日本"}, "/tokenize")
    assert await talk.ask(tokens, "/detokenize") == {"content": "café 日本"}


async def test_a_member_of_another_type_is_told_as_the_server_s_own_error(talk):
    calls = {"role": "assistant", "tool_calls": ["no call"]}
    answer = await talk.ask({"messages": [calls, {"role": "user", "content": "hi"}]})
    assert answer["error"]["code"] == 500
    assert answer["error"]["message"].startswith("[json.exception.type_error.302]")
