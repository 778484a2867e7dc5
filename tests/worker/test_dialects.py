"""Whole exchanges in each dialect: refusals that are worked around, and those that are told."""

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import orjson
import pytest
from chat_notation import DONE, ROLE, finish, text, usage
from dialects.messages_grammar import check as check_messages
from dialects.responses_grammar import check as check_responses
from worker.conftest import Staff
from worker.workplace import Answer, Workplace, reports

from multiproxy.config import Limits, Timeouts, Translation
from multiproxy.scoreboard import BackendState

HI = [{"role": "user", "content": "hi"}]
SCHEMA = {"type": "object", "properties": {"a": {"type": "string", "pattern": "\\d+"}}}
CHAT, MESSAGES, RESPONSES = "/v1/chat/completions", "/v1/messages", "/v1/responses"
ASKED: dict[str, dict[str, Any]] = {
    CHAT: {"model": "demo", "messages": HI, "max_tokens": 4},
    MESSAGES: {"model": "demo", "messages": HI, "max_tokens": 4},
    RESPONSES: {"model": "demo", "input": "hi", "max_output_tokens": 4},
}
GOOD = ROLE + text("good") + finish() + usage() + DONE


def http(status: int, body: bytes, kind: bytes = b"application/json") -> bytes:
    head = b"HTTP/1.1 %d X\r\nContent-Type: %b\r\nContent-Length: %d\r\n\r\n"
    return head % (status, kind, len(body)) + body


def refusal(status: int, message: str, **more: object) -> bytes:
    return http(status, orjson.dumps({"error": {"code": status, "message": message, **more}}))


STREAM = http(200, GOOD, b"text/event-stream")


class Engine:
    """A backend that gives these answers, one after the other; ``bodies`` are what it was sent."""

    def __init__(self, *answers: bytes) -> None:
        self.bodies: list[Any] = []
        self._answers = list(answers)
        self._server: asyncio.Server | None = None

    async def open(self) -> int:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = re.search(rb"Content-Length: (\d+)", head)
                assert length is not None
                self.bodies.append(orjson.loads(await reader.readexactly(int(length[1]))))
                writer.write(self._answers.pop(0))
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def close(self) -> None:
        assert self._server is not None
        self._server.close()


Before = Callable[..., Awaitable[Workplace]]


@pytest.fixture
async def before() -> AsyncIterator[Before]:
    """``workplace = await before(engine, ...)``: llama-servers, the first one asked first."""
    opened: list[tuple[Workplace, tuple[Engine, ...]]] = []

    async def begin(*engines: Engine) -> Workplace:
        workplace = Workplace(*[await engine.open() for engine in engines])
        for index in range(len(engines)):
            facts = reports("demo", kind="llama.cpp")
            workplace.board.backends.write_facts(index, facts)
        for index in range(1, len(engines)):
            workplace.board.load.add(1, index, index)
        workplace.worker.refresh()
        opened.append((workplace, engines))
        return workplace

    yield begin
    for workplace, engines in opened:
        workplace.close()
        for engine in engines:
            await engine.close()


# -- refusals that are worked around ----------------------------------------------------------

TOOLS = {
    CHAT: {"type": "function", "function": {"name": "f", "parameters": SCHEMA}},
    MESSAGES: {"name": "f", "input_schema": SCHEMA},
    RESPONSES: {"type": "function", "name": "f", "parameters": SCHEMA},
}
GRAMMAR = refusal(400, "Failed to initialize samplers: failed to parse grammar")


@pytest.mark.parametrize("path", TOOLS)
async def test_a_refused_schema_is_sent_without_patterns_and_the_next_one_at_once(before, path):
    engine = Engine(GRAMMAR, STREAM, STREAM)
    workplace = await before(engine)
    body = ASKED[path] | {"tools": [TOOLS[path]]}
    for _ in range(2):
        answer = await workplace.client().ask(body, path)
        assert (answer.status, answer.complete) == (200, True)
    patterns = [b"pattern" in orjson.dumps(sent["tools"]) for sent in engine.bodies]
    assert patterns == [True, False, False]


@pytest.mark.parametrize("path", ASKED)
async def test_an_output_that_does_not_fit_is_asked_for_shorter(before, path):
    message = (
        "This model's maximum context length is 4096 tokens. However, you requested 33000 tokens "
        "(1000 in the messages, 32000 in the completion). Please reduce the length."
    )
    engine = Engine(refusal(400, message), STREAM)
    workplace = await before(engine)
    limit = "max_output_tokens" if path == RESPONSES else "max_tokens"
    answer = await workplace.client().ask(ASKED[path] | {limit: 32000}, path)
    assert answer.status == 200
    assert [sent["max_tokens"] for sent in engine.bodies] == [32000, 4096 - 1000 - 16]


@pytest.mark.parametrize(
    ("path", "said"),
    [
        (MESSAGES, {"messages": [*HI, {"role": "assistant", "content": "The"}]}),
        (RESPONSES, {"input": [*HI, {"role": "assistant", "content": "The"}]}),
    ],
)
async def test_a_prefill_that_thinking_forbids_is_sent_without_thinking(before, path, said):
    refused = refusal(400, "Assistant response prefill is incompatible with enable_thinking.")
    engine = Engine(refused, STREAM)
    workplace = await before(engine)
    answer = await workplace.client().ask(ASKED[path] | said, path)
    assert answer.status == 200
    assert [sent.get("chat_template_kwargs") for sent in engine.bodies] == [
        None, {"enable_thinking": False},
    ]  # fmt: skip
    assert engine.bodies[0]["continue_final_message"] is True


@pytest.mark.parametrize("path", TOOLS)
async def test_what_did_not_help_is_told(before, path):
    engine = Engine(GRAMMAR, GRAMMAR)
    workplace = await before(engine)
    answer = await workplace.client().ask(ASKED[path] | {"tools": [TOOLS[path]]}, path)
    assert answer.status == 400 and len(engine.bodies) == 2
    assert "failed to parse grammar" in answer.json["error"]["message"]


# -- refusals that are told --------------------------------------------------------------------

TOLD = {
    "image input is not supported - hint: you may need to provide the mmproj": 500,
    "Jinja Exception: Conversation roles must alternate user/assistant/user/assistant/...": 500,
    "System message must be at the beginning.": 500,
}


@pytest.mark.parametrize("message", TOLD)
@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("path", ASKED)
async def test_what_is_the_prompts_fault_is_a_400_and_asked_once(before, path, stream, message):
    first, second = Engine(refusal(TOLD[message], message)), Engine(STREAM)
    workplace = await before(first, second)
    answer = await workplace.client().ask(ASKED[path] | {"stream": stream}, path)
    assert (answer.status, answer.json["error"]["type"]) == (400, "invalid_request_error")
    assert message in answer.json["error"]["message"]
    assert (len(first.bodies), len(second.bodies)) == (1, 0)


@pytest.mark.parametrize("status", [401, 403, 404, 408, 429, 500, 502, 503])
@pytest.mark.parametrize("path", ASKED)
async def test_what_is_the_backends_fault_is_tried_elsewhere(before, path, status):
    first, second = Engine(refusal(status, "no")), Engine(STREAM)
    workplace = await before(first, second)
    answer = await workplace.client().ask(ASKED[path] | {"stream": True}, path)
    assert (answer.status, answer.complete) == (200, True) and b"good" in answer.body
    assert (len(first.bodies), len(second.bodies)) == (1, 1)


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("path", [MESSAGES, RESPONSES])
async def test_an_engine_that_does_not_stream_is_read_all_the_same(before, path, stream):
    message = {"role": "assistant", "content": "good"}
    document = {
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 10, "completion_tokens": 4},
    }
    workplace = await before(Engine(http(200, orjson.dumps(document))))
    answer = await workplace.client().ask(ASKED[path] | {"stream": stream}, path)
    assert (answer.status, answer.complete) == (200, True)
    if stream:
        check = check_messages if path == MESSAGES else check_responses
        check(answer.body)
    assert b'"good"' in answer.body and b'"output_tokens":4' in answer.body


# -- what never reaches a backend ---------------------------------------------------------------

COUNTING = ("/v1/messages/count_tokens", "/v1/responses/input_tokens")


@pytest.mark.parametrize("path", [*ASKED, *COUNTING])
async def test_every_dialect_has_its_own_words_for_a_bad_body_and_an_unknown_model(
    staff: Staff, path
):
    workplace, (server,) = await staff()
    deep = b'{"model":"demo","x":' + b"[" * 2000 + b"]" * 2000 + b"}"
    for body in (b"{", b"[]", b"", b'{"a":NaN}', deep, b"\xff"):
        answer = await workplace.client().ask(body, path)
        error = answer.json["error"]
        assert (answer.status, error["type"]) == (400, "invalid_request_error")
        assert (answer.json.get("type") == "error") is path.startswith(MESSAGES)
    answer = await workplace.client().ask({"model": "nope", "messages": HI, "input": "hi"}, path)
    assert answer.status == 404
    if path.startswith(MESSAGES):
        assert answer.json["error"] == {"type": "not_found_error", "message": "model: nope"}
    else:
        assert (answer.error, answer.json["error"]["param"]) == ("model_not_found", "model")
    assert not server.facts.requests


@pytest.mark.parametrize("path", ASKED)
async def test_a_byte_order_mark_and_a_lone_surrogate_are_no_mistakes(staff: Staff, path):
    workplace, _ = await staff()
    body = orjson.dumps(ASKED[path]).replace(b'"hi"', b'"hi \\ud83d"')
    answer = await workplace.client().ask(b"\xef\xbb\xbf" + body, path)
    assert answer.status == 200


IMAGES = {
    CHAT: ("messages", "image_url"),
    MESSAGES: ("messages", "image"),
    RESPONSES: ("input", "input_image"),
    "/v1/chat/completions/input_tokens": ("messages", "image_url"),
    "/apply-template": ("messages", "image_url"),
}


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("path", IMAGES)
async def test_no_backend_reads_a_file_or_fetches_what_it_shall_not(staff: Staff, path, stream):
    turns, kind = IMAGES[path]

    def asks(url: str) -> dict[str, Any]:
        part = {"type": kind, "image_url": {"url": url}, "source": {"type": "url", "url": url}}
        return {"model": "demo", "stream": stream, turns: [{"role": "user", "content": [part]}]}

    workplace, (server,) = await staff(config={"translation": Translation(image_urls="reject")})
    for url in ("file:///etc/passwd", "http://169.254.169.254/"):
        answer = await workplace.client().ask(asks(url), path)
        assert (answer.status, answer.json["error"]["type"]) == (400, "invalid_request_error")
    assert not server.facts.requests


@pytest.mark.parametrize("path", ASKED)
async def test_a_body_that_is_too_large_is_told_in_the_dialect(staff: Staff, path):
    workplace, _ = await staff(config={"limits": Limits(body=100)})
    answer = await workplace.client().ask(ASKED[path] | {"x": "y" * 200}, path)
    kind = "request_too_large" if path == MESSAGES else "invalid_request_error"
    assert (answer.status, answer.json["error"]["type"]) == (413, kind)


# -- waiting -------------------------------------------------------------------------------------


def fill(workplace: Workplace) -> None:
    workplace.board.load.add(1, 0, 4)


@pytest.mark.parametrize("path", ASKED)
async def test_a_full_server_is_told_in_the_dialects_words(staff: Staff, path):
    workplace, _ = await staff(config={"timeouts": Timeouts(queue=0.01)})
    fill(workplace)
    answer = await workplace.client().ask(ASKED[path], path)
    error = answer.json["error"]
    if path == MESSAGES:
        assert (answer.status, error["type"]) == (529, "overloaded_error")
    else:
        assert (answer.status, error["type"], error["code"]) == (503, "server_error", "overloaded")
    assert re.search(rb"\r\nretry-after: \d+", answer.head, re.IGNORECASE)


@pytest.mark.parametrize("path", ASKED)
async def test_a_stream_that_waited_in_vain_ends_with_the_dialects_error(staff: Staff, path):
    workplace, _ = await staff(config={"timeouts": Timeouts(comment=10)})
    fill(workplace)
    client = workplace.client()
    client.send(ASKED[path] | {"stream": True}, path)
    await workplace.until(lambda: workplace.worker.placer.waiting)
    (exchange,) = workplace.exchanges
    now = workplace.worker.now()
    for later in (0, 11, 22):
        exchange.tick(now + later, 0)
    board = workplace.board.backends
    board.write(0, board.read(0)._replace(state=BackendState.DOWN))
    workplace.worker.placer.wake()
    await workplace.settled()
    answer = Answer(client.transport.written)
    assert (answer.status, answer.complete) == (200, False)
    if path == MESSAGES:
        assert answer.body.startswith(b": keep-alive\n\n: keep-alive\n\n")
        assert check_messages(answer.body).names == ["error"]
    elif path == RESPONSES:
        told = check_responses(answer.body)
        assert told.names == ["response.created", *["response.in_progress"] * 2, "response.failed",
                              "error"]  # fmt: skip
    else:
        assert answer.body.startswith(b': keep-alive\n\n: keep-alive\n\ndata: {"error":')
        assert b"[DONE]" not in answer.body
