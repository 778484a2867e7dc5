"""Chat bodies: recorded refusals and templates, tools, JSON, thinking."""

import orjson
import pytest

NAMES = """
apply-template apply-template.continue_final_message.conflict apply-template.prefill
apply-template.think apply-template.tools chat.input_tokens error.image-to-text-model
error.logprobs-tools-stream error.messages-not-array error.n-more-than-slots error.no-messages
error.prefill.tool_calls error.prefill.two-assistants error.response_format-unknown
error.tool_choice-unknown
""".split()

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


@pytest.mark.parametrize("name", NAMES)
async def test_a_body_is_refused_or_rendered_as_recorded(name, replay):
    assert await replay.simulated(name) == replay.recorded(name)


async def test_every_tool_that_the_user_names_is_called_with_fitting_arguments(talk, user):
    body = user("use get_weather and get_time", tools=[WEATHER, CLOCK])
    choice = (await talk.ask(body))["choices"][0]
    calls = [call["function"] for call in choice["message"]["tool_calls"]]
    assert [call["name"] for call in calls] == ["get_weather", "get_time"]
    assert orjson.loads(calls[0]["arguments"]) == {"city": "word", "days": 7}
    assert choice["finish_reason"] == "tool_calls"


async def test_a_tool_is_not_called_again_after_its_result(talk, user):
    body = user("use get_weather", tools=[WEATHER])
    told = (await talk.ask(body))["choices"][0]["message"]
    body["messages"] += [told, {"role": "tool", "content": "sunny", "tool_call_id": "1"}]
    assert (await talk.ask(body))["choices"][0]["finish_reason"] == "stop"


async def test_a_json_schema_is_satisfied(talk, user):
    properties = {"ok": {"type": "boolean"}, "who": {"enum": ["a", "b"]}, "n": {"type": "array"}}
    form = {"type": "json_schema", "json_schema": {"schema": {"properties": properties}}}
    answer = await talk.ask(user("hi", response_format=form))
    value = orjson.loads(answer["choices"][0]["message"]["content"])
    assert value["ok"] is True and value["who"] in ("a", "b") and isinstance(value["n"], list)


async def test_thinking_can_be_switched_on_and_off_per_request(talk, user):
    thinking = user("hi", chat_template_kwargs={"enable_thinking": True})
    assert "reasoning_content" in (await talk.ask(thinking))["choices"][0]["message"]
    off = await talk.ask(thinking | {"reasoning_effort": "none"})
    assert "reasoning_content" not in off["choices"][0]["message"]
