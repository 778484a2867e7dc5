"""What the real Anthropic SDK makes of our bytes, without a network."""

from collections.abc import Callable
from typing import Any

import anthropic
import orjson
import pytest
from anthropic import Anthropic, APIStatusError, AsyncAnthropic, BadRequestError
from chat_notation import (
    DONE,
    ERROR,
    ROLE,
    call,
    finish,
    progress,
    reasoning,
    text,
    usage,
    verbose,
)
from dialects.messages_run import emitter, fold
from dialects.running import run

from multiproxy.dialects.errors import render_messages
from multiproxy.dialects.messages_request import translate
from multiproxy.dialects.policy import Policy
from multiproxy.errors import ContextExceeded, Overloaded, ProxyError, UnknownModel

try:
    import httpx2 as httpx
except ImportError:  # older SDKs
    import httpx

END = usage() + DONE
TEXT = ROLE + text("Hel") + text("lo") + finish() + END
CALLS = (
    ROLE
    + text("I look.")
    + call(0, "c0", "weather", '{"city":')
    + call(1, "c1", "weather", '{"city":"B"}')
    + call(0, arguments='"A"}')
    + call(2, "c2", "clock", "")
    + finish("tool_calls")
    + END
)
TOOLS: list[Any] = [
    {"name": "weather", "input_schema": {"type": "object"}},
    {"name": "clock", "input_schema": {"type": "object"}},
]
HI: list[Any] = [{"role": "user", "content": "hi"}]
REQUEST: dict[str, Any] = {"model": "demo", "max_tokens": 99, "messages": HI}


def answerer(backend: bytes) -> Callable[[httpx.Request], httpx.Response]:
    """A server that translates the SDK's own request, and ``backend`` as its answer."""

    def answer(request: httpx.Request) -> httpx.Response:
        body = orjson.loads(request.content)
        turn = translate(body, Policy(), version=request.headers["anthropic-version"])
        if not body.get("stream"):
            translator = fold(turn)
            content = run(translator, [backend])
            failed = translator.failure
            status = render_messages(failed, "req_1").status if failed else 200
            return httpx.Response(
                status, headers={"content-type": "application/json"}, content=content
            )
        events = emitter(turn)
        content = events.keep_alive()
        for piece in (backend[: len(backend) // 2], backend[len(backend) // 2 :]):
            told = events.feed(piece)
            content += (
                (events.open() if events.started or events.finished else b"")
                + told
                + events.keep_alive()
            )
        told = b"" if events.finished else events.eof()
        content += events.open() + told
        content += events.fail(events.failure) if events.failure else b""
        # The ping may stand between any two events, but not inside one: pieces are whole.
        return httpx.Response(200, headers={"content-type": "text/event-stream"}, content=content)

    return answer


def client(backend: bytes) -> Anthropic:
    transport = httpx.MockTransport(answerer(backend))
    return Anthropic(
        api_key="k",
        base_url="http://multiproxy.invalid",
        max_retries=0,
        http_client=httpx.Client(transport=transport),
    )


def final(backend: bytes, **members: Any) -> Any:
    """The final message of the stream helper, which must equal the folded one."""
    api = client(backend)
    with api.messages.stream(**REQUEST, **members) as stream:
        for _ in stream:
            pass
        streamed = stream.get_final_message()
    whole = api.messages.create(**REQUEST, **members)
    # The helper sets members to None that no server sent.
    dumped = [each.model_dump(exclude_none=True, exclude={"id"}) for each in (streamed, whole)]
    assert dumped[0] == dumped[1]
    return streamed


def test_text_through_the_stream_helper_and_without_a_stream() -> None:
    message = final(TEXT)
    assert message.content[0].text == "Hello" and message.stop_reason == "end_turn"
    assert message.usage.input_tokens == 4 and message.usage.cache_read_input_tokens == 6
    assert message.usage.output_tokens == 4


def test_text_deltas_carry_a_growing_snapshot() -> None:
    with client(TEXT).messages.stream(**REQUEST) as stream:
        assert [event.snapshot for event in stream if event.type == "text"] == ["Hel", "Hello"]


def test_a_raw_stream_has_typed_events() -> None:
    events = list(client(TEXT).messages.create(**REQUEST, stream=True))
    assert [event.type for event in events] == [
        "message_start",
        "content_block_start",
        "content_block_delta",
        "content_block_delta",
        "content_block_stop",
        "message_delta",
        "message_stop",
    ]


def test_thinking_is_a_block_with_a_signature() -> None:
    backend = progress(9, 3, 9) + reasoning("th") + reasoning("ink") + text("ok") + finish() + END
    message = final(backend, thinking={"type": "enabled", "budget_tokens": 1024})
    assert message.content[0].thinking == "think" and message.content[0].signature
    assert message.content[1].text == "ok"


def test_three_parallel_calls_are_accumulated() -> None:
    message = final(CALLS, tools=TOOLS)
    assert message.stop_reason == "tool_use" and message.content[0].text == "I look."
    calls = [(block.id, block.name, block.input) for block in message.content[1:]]
    assert calls == [
        ("c0", "weather", {"city": "A"}),
        ("c1", "weather", {"city": "B"}),
        ("c2", "clock", {}),
    ]


def test_a_stop_sequence_and_the_limit_are_told() -> None:
    word = ROLE + text("a") + finish(__verbose=verbose("word", "END")) + END
    message = final(word, stop_sequences=["END"])
    assert (message.stop_reason, message.stop_sequence) == ("stop_sequence", "END")
    assert final(ROLE + text("abc") + finish("length") + END).stop_reason == "max_tokens"


def test_an_empty_answer_is_no_accident() -> None:
    assert final(ROLE + finish() + END).content == []


def test_a_tools_result_goes_back_with_the_blocks_as_the_sdk_dumps_them() -> None:
    first = final(CALLS, tools=TOOLS)
    results = [
        {"type": "tool_result", "tool_use_id": block.id, "content": "sunny"}
        for block in first.content[1:]
    ]
    history = [
        *HI,
        {"role": "assistant", "content": [block.to_dict() for block in first.content]},
        {"role": "user", "content": results},
    ]
    body = {"model": "demo", "messages": history, "tools": TOOLS}
    messages = translate(orjson.loads(orjson.dumps(body)), Policy()).body["messages"]
    assert [message["role"] for message in messages] == ["user", "assistant"] + ["tool"] * 3
    arguments = [call["function"]["arguments"] for call in messages[1]["tool_calls"]]
    assert arguments == ['{"city":"A"}', '{"city":"B"}', "{}"]


@pytest.mark.parametrize(
    "backend",
    [ROLE + text("a"), ROLE + text("a") + DONE, ROLE + text("a") + ERROR, ERROR, b""],
    ids=["cut", "[DONE] without finish", "error", "error first", "nothing"],
)
def test_a_dead_backend_raises_everywhere(backend: bytes) -> None:
    api = client(backend)
    with pytest.raises(APIStatusError) as caught:
        for _ in api.messages.create(**REQUEST, stream=True):
            pass
    assert orjson.loads(orjson.dumps(caught.value.body))["error"]["type"] == "api_error"
    with pytest.raises(APIStatusError):
        with api.messages.stream(**REQUEST) as stream:
            stream.get_final_message()
    with pytest.raises(anthropic.InternalServerError):
        api.messages.create(**REQUEST)


def test_an_overflow_has_its_words_in_a_stream_and_without() -> None:
    message = "the request exceeds the available context size"
    error = {"error": {"code": 400, "message": message, "type": "invalid_request_error"}}
    api = client(b"data: " + orjson.dumps(error) + b"\n\n")
    with pytest.raises(APIStatusError, match="prompt is too long"):
        list(api.messages.create(**REQUEST, stream=True))
    with pytest.raises(BadRequestError, match="prompt is too long"):
        api.messages.create(**REQUEST)


TYPED: list[tuple[ProxyError, str]] = [
    (ContextExceeded(6010, 2048), "BadRequestError"),
    (UnknownModel("The model `x` does not exist."), "NotFoundError"),
    (Overloaded("No slot."), "OverloadedError"),
]


@pytest.mark.parametrize(("error", "name"), TYPED)
def test_an_error_before_the_stream_is_a_typed_error(error: ProxyError, name: str) -> None:
    rendered = render_messages(error, "req_1")

    def answer(_: httpx.Request) -> httpx.Response:
        fields = [(b"content-type", b"application/json"), *rendered.fields]
        return httpx.Response(rendered.status, headers=fields, content=rendered.body)

    api = Anthropic(
        api_key="k",
        base_url="http://multiproxy.invalid",
        max_retries=0,
        http_client=httpx.Client(transport=httpx.MockTransport(answer)),
    )
    with pytest.raises(APIStatusError) as caught:
        api.messages.create(**REQUEST, stream=True)
    assert type(caught.value).__name__ == name
    assert caught.value.status_code == rendered.status


async def test_the_async_helper_gives_the_same_message() -> None:
    transport = httpx.MockTransport(answerer(CALLS))
    async with httpx.AsyncClient(transport=transport) as http_client:
        api = AsyncAnthropic(
            api_key="k", base_url="http://multiproxy.invalid", http_client=http_client
        )
        async with api.messages.stream(**REQUEST, tools=TOOLS) as stream:
            message = await stream.get_final_message()
    assert [block.type for block in message.content] == ["text"] + ["tool_use"] * 3
