"""The Anthropic SDK: a tool call, its result, and words, streamed."""

# -- settings
from anthropic import Anthropic

client = Anthropic(base_url="http://127.0.0.1:8001", api_key="unused")
# -- end

TOOLS = [
    {
        "name": "get_weather",
        "description": "the weather of a city",
        "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}},
    }
]
question = {"role": "user", "content": "Call get_weather for Oslo."}


def ask(messages):
    with client.messages.stream(
        model="demo", max_tokens=1000, messages=messages, tools=TOOLS
    ) as stream:
        return stream.get_final_message()


asked = ask([question])
(call,) = [block for block in asked.content if block.type == "tool_use"]
assert (asked.stop_reason, call.name) == ("tool_use", "get_weather")
result = {"type": "tool_result", "tool_use_id": call.id, "content": "rain"}
answer = ask(
    [
        question,
        {"role": "assistant", "content": asked.content},
        {"role": "user", "content": [result]},
    ]
)
assert answer.stop_reason == "end_turn" and answer.content[0].text
