"""What the real OpenAI SDK makes of our bytes, without a network."""

from collections.abc import Callable
from typing import Any

import openai
import orjson
import pytest
from chat_notation import (
    DONE,
    ERROR,
    ROLE,
    call,
    finish,
    reasoning,
    refusal,
    text,
    usage,
)
from dialects.responses_run import emitter, fold
from dialects.running import run
from openai import APIError, AsyncOpenAI, BadRequestError, OpenAI
from pydantic import BaseModel

from multiproxy.dialects.errors import render_responses
from multiproxy.dialects.policy import Policy
from multiproxy.dialects.responses_request import translate
from multiproxy.errors import ContextExceeded

try:
    import httpx2 as httpx
except ImportError:  # older SDKs
    import httpx

END = usage() + DONE
TEXT = ROLE + text("Hel") + text("lo") + finish() + END
CALLS = (
    ROLE
    + call(0, "c0", "weather", '{"city":')
    + call(1, "c1", "weather", '{"city":"B"}')
    + call(0, arguments='"A"}')
    + call(2, "c2", "clock", "")
    + finish("tool_calls")
    + END
)
TOOLS: list[Any] = [
    {"type": "function", "name": "weather", "parameters": {"type": "object"}, "strict": False},
    {"type": "function", "name": "clock", "parameters": {"type": "object"}, "strict": False},
    {"type": "custom", "name": "patch"},
    {"type": "namespace", "name": "ns", "description": "d",
     "tools": [{"type": "function", "name": "member"}]},
]  # fmt: skip


def answerer(backend: bytes) -> Callable[[httpx.Request], httpx.Response]:
    """A server that translates the SDK's own request, and ``backend`` as its answer."""

    def answer(request: httpx.Request) -> httpx.Response:
        body = orjson.loads(request.content)
        turn = translate(body, Policy())
        if not body.get("stream"):
            translator = fold(turn)
            content = run(translator, [backend])
            status = translator.failure.status if translator.failure else 200
            return httpx.Response(
                status, headers={"content-type": "application/json"}, content=content
            )
        translator_of_stream = emitter(turn)
        content = translator_of_stream.open() + translator_of_stream.keep_alive()
        content += translator_of_stream.feed(backend)
        if not translator_of_stream.finished:
            content += translator_of_stream.eof()
        if translator_of_stream.failure:
            content += translator_of_stream.fail(translator_of_stream.failure)
        return httpx.Response(200, headers={"content-type": "text/event-stream"}, content=content)

    return answer


def client(backend: bytes) -> OpenAI:
    transport = httpx.MockTransport(answerer(backend))
    return OpenAI(
        api_key="k",
        base_url="http://multiproxy.invalid/v1",
        max_retries=0,
        http_client=httpx.Client(transport=transport),
    )


def final(backend: bytes, **members: Any) -> Any:
    """The final response of the stream helper, which must equal the folded one."""
    api = client(backend)
    with api.responses.stream(model="demo", input="hi", **members) as stream:
        for _ in stream:
            pass
        streamed = stream.get_final_response()
    whole = api.responses.create(model="demo", input="hi", **members)
    assert streamed.output_text == whole.output_text
    assert [item.type for item in streamed.output] == [item.type for item in whole.output]
    assert streamed.usage == whole.usage
    return streamed


def test_text_through_the_stream_helper_and_without_a_stream() -> None:
    response = final(TEXT)
    assert response.output_text == "Hello" and response.status == "completed"
    assert response.usage.total_tokens == 14
    assert response.usage.input_tokens_details.cached_tokens == 6


def test_text_deltas_carry_a_growing_snapshot() -> None:
    with client(TEXT).responses.stream(model="demo", input="hi") as stream:
        snapshots = [event.snapshot for event in stream if event.type.endswith("text.delta")]
    assert snapshots == ["Hel", "Hello"]


def test_a_raw_stream_has_typed_events() -> None:
    stream = client(TEXT).responses.create(model="demo", input="hi", stream=True)
    events = list(stream)
    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert "".join(event.delta for event in events if event.type.endswith("delta")) == "Hello"
    assert all(type(event).__name__.startswith("Response") for event in events)


@pytest.mark.parametrize("summary", [None, "auto"])
def test_reasoning_is_an_item_of_its_own(summary: str | None) -> None:
    backend = ROLE + reasoning("th") + reasoning("ink") + text("ok") + finish() + END
    response = final(backend, reasoning={"effort": "high", "summary": summary})
    item = response.output[0]
    parts = item.summary if summary else item.content
    assert item.type == "reasoning" and parts[0].text == "think"
    assert response.output_text == "ok"


def test_three_parallel_calls_are_accumulated() -> None:
    response = final(CALLS, tools=TOOLS)
    calls = [(item.name, item.call_id, item.arguments) for item in response.output]
    assert calls == [
        ("weather", "c0", '{"city":"A"}'),
        ("weather", "c1", '{"city":"B"}'),
        ("clock", "c2", "{}"),
    ]


def test_argument_deltas_carry_a_growing_snapshot() -> None:
    with client(CALLS).responses.stream(model="demo", input="hi", tools=TOOLS) as stream:
        events = [each for each in stream if each.type == "response.function_call_arguments.delta"]
    assert [each.snapshot for each in events if each.output_index == 0] == [
        '{"city":', '{"city":"A"}',
    ]  # fmt: skip


def test_custom_and_namespaced_calls_keep_their_types() -> None:
    backend = ROLE + call(0, "c0", "patch", '{"input":"a\\nb"}') + call(1, "c1", "ns__member", "{}")
    response = final(backend + finish("tool_calls") + END, tools=TOOLS)
    custom, member = response.output
    assert (custom.type, custom.input) == ("custom_tool_call", "a\nb")
    assert (member.type, member.name, member.namespace) == ("function_call", "member", "ns")


def test_a_tools_result_goes_back_with_the_items_as_the_sdk_dumps_them() -> None:
    first = final(CALLS, tools=TOOLS)
    items: list[Any] = [{"role": "user", "content": "hi"}]
    items += [item.model_dump(exclude_none=True) for item in first.output]
    items += [
        {"type": "function_call_output", "call_id": item.call_id, "output": "sunny"}
        for item in first.output
    ]
    seen: list[Any] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(translate(orjson.loads(request.content), Policy()).body["messages"])
        return answerer(TEXT)(request)

    api = OpenAI(api_key="k", base_url="http://multiproxy.invalid/v1",
                 http_client=httpx.Client(transport=httpx.MockTransport(answer)))  # fmt: skip
    assert api.responses.create(model="demo", input=items, tools=TOOLS).output_text == "Hello"
    assert [message["role"] for message in seen[0]] == ["user", "assistant"] + ["tool"] * 3


class City(BaseModel):
    name: str


def test_structured_output_is_parsed_by_both_helpers() -> None:
    backend = ROLE + text('{"name":') + text('"Oslo"}') + finish() + END
    api = client(backend)
    parsed = api.responses.parse(model="demo", input="hi", text_format=City)
    assert parsed.output_parsed == City(name="Oslo")
    with api.responses.stream(model="demo", input="hi", text_format=City) as stream:
        assert stream.get_final_response().output_parsed == City(name="Oslo")


def test_a_refusal_has_its_own_type() -> None:
    response = final(ROLE + refusal("No.") + finish() + END)
    assert response.output[0].content[0].refusal == "No."


def test_an_answer_cut_by_the_limit_is_not_taken_for_a_complete_one() -> None:
    backend = ROLE + text("abc") + finish("length") + END
    with client(backend).responses.stream(model="demo", input="hi") as stream:
        with pytest.raises(RuntimeError, match="response.completed"):
            stream.get_final_response()
    whole = client(backend).responses.create(model="demo", input="hi", max_output_tokens=1)
    assert whole.status == "incomplete" and whole.output_text == "abc"
    assert whole.incomplete_details is not None
    assert whole.incomplete_details.reason == "max_output_tokens"


@pytest.mark.parametrize(
    "backend",
    [ROLE + text("a"), ROLE + text("a") + DONE, ROLE + text("a") + ERROR, ERROR, b""],
    ids=["cut", "[DONE] without finish", "error", "error first", "nothing"],
)
def test_a_dead_backend_raises_everywhere(backend: bytes) -> None:
    api = client(backend)
    with pytest.raises(APIError) as caught:
        for _ in api.responses.create(model="demo", input="hi", stream=True):
            pass
    assert caught.value.code == "server_error"
    with pytest.raises(APIError):
        with api.responses.stream(model="demo", input="hi") as stream:
            stream.get_final_response()
    with pytest.raises(openai.InternalServerError):
        api.responses.create(model="demo", input="hi")


def test_an_overflow_has_its_code_in_a_stream_and_without() -> None:
    message = "the request exceeds the available context size"
    error = {"error": {"code": 400, "message": message, "type": "invalid_request_error"}}
    api = client(b"data: " + orjson.dumps(error) + b"\n\n")
    with pytest.raises(APIError) as caught:
        list(api.responses.create(model="demo", input="hi", stream=True))
    assert caught.value.code == "context_length_exceeded"
    with pytest.raises(BadRequestError) as refused:
        api.responses.create(model="demo", input="hi")
    assert refused.value.code == "context_length_exceeded" and refused.value.param == "input"


def test_an_error_before_the_stream_is_a_typed_error() -> None:
    rendered = render_responses(ContextExceeded(6010, 2048), "req_1")

    def answer(_: httpx.Request) -> httpx.Response:
        headers = {"content-type": "application/json"}
        return httpx.Response(rendered.status, headers=headers, content=rendered.body)

    api = OpenAI(api_key="k", base_url="http://multiproxy.invalid/v1",
                 http_client=httpx.Client(transport=httpx.MockTransport(answer)))  # fmt: skip
    with pytest.raises(BadRequestError, match="2048") as caught:
        api.responses.create(model="demo", input="hi", stream=True)
    assert caught.value.code == "context_length_exceeded"


async def test_the_async_helper_gives_the_same_response() -> None:
    transport = httpx.MockTransport(answerer(CALLS))
    async with httpx.AsyncClient(transport=transport) as http_client:
        api = AsyncOpenAI(
            api_key="k", base_url="http://multiproxy.invalid/v1", http_client=http_client
        )
        async with api.responses.stream(model="demo", input="hi", tools=TOOLS) as stream:
            response = await stream.get_final_response()
    assert [item.type for item in response.output] == ["function_call"] * 3
