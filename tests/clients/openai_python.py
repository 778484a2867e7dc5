"""The OpenAI SDK: a tool call, its result, and words, by Chat Completions and by Responses."""

import json

# -- settings
from openai import OpenAI

client = OpenAI(base_url="http://127.0.0.1:8001/v1", api_key="unused")
# -- end

WEATHER = {
    "name": "get_weather",
    "description": "the weather of a city",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
}
question = {"role": "user", "content": "Call get_weather for Oslo."}
asked = client.chat.completions.create(
    model="demo", messages=[question], tools=[{"type": "function", "function": WEATHER}]
)
(call,) = asked.choices[0].message.tool_calls
assert call.function.name == "get_weather" and "city" in json.loads(call.function.arguments)
result = {"role": "tool", "tool_call_id": call.id, "content": "rain"}
answer = client.chat.completions.create(
    model="demo",
    messages=[question, asked.choices[0].message, result],
    tools=[{"type": "function", "function": WEATHER}],
)
assert answer.choices[0].message.content

first = client.responses.create(
    model="demo",
    input="Call get_weather for Oslo.",
    tools=[{"type": "function", **WEATHER}],
)
(called,) = [item for item in first.output if item.type == "function_call"]
second = client.responses.create(
    model="demo",
    previous_response_id=first.id,
    input=[{"type": "function_call_output", "call_id": called.call_id, "output": "rain"}],
    tools=[{"type": "function", **WEATHER}],
)
assert second.output_text
