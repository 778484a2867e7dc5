"""From a request's bytes to its job: decoded within bounds, and of the right kind."""

import asyncio
import gzip
import zlib
from pathlib import Path

import orjson
import pytest
import zstandard
from worker.conftest import Staff
from worker.workplace import Workplace

from multiproxy._http.head import RequestHead
from multiproxy.config import Model
from multiproxy.dialects.jobs import FoldedChat, Job, Messages, Relayed, Responses
from multiproxy.dialects.policy import Policy
from multiproxy.dialects.request import Request
from multiproxy.errors import (
    BodyTooLarge,
    InvalidJSON,
    InvalidRequest,
    UnsupportedEncoding,
)
from multiproxy.routing.table import Route
from multiproxy.worker import endpoints, understanding
from multiproxy.worker.stored import Stored
from multiproxy.worker.understanding import (
    OFF_LOOP,
    breathe,
    decode,
    dropped_field,
    make_job,
    read,
)

LIMIT = 1 << 20
TEXT = orjson.dumps({"model": "demo", "text": "na " * 1000})
# So large when compressed that a thread decodes it.
LARGE = b"".join(zlib.crc32(b"%d" % number).to_bytes(4, "big") for number in range(OFF_LOOP // 3))
CODINGS = {
    b"gzip": gzip.compress,
    b"deflate": zlib.compress,
    b"zstd": zstandard.ZstdCompressor().compress,
}
CHAT = {"model": "demo", "messages": [{"role": "user", "content": "hi"}]}
RESPONSE = {"model": "demo", "input": "hi"}


def head(target: str, method: bytes = b"POST", **fields: bytes) -> RequestHead:
    path, _, query = target.encode().partition(b"?")
    lines = [(name.replace("_", "-").encode(), value) for name, value in fields.items()]
    return RequestHead(method, target.encode(), b"1.1", lines, True, path=path, query=query)


async def job_of(workplace: Workplace, target: str, body: object, **fields: bytes) -> Job:
    request_head = head(target, **fields)
    endpoint = endpoints.find(request_head)
    request = read(endpoint, request_head, orjson.dumps(body), 100)
    route = workplace.worker.backends.table.resolve(request.model)
    assert isinstance(route, Route)
    return await make_job(workplace.worker, endpoint, request_head, request, route, "req_1", "")


# -- large requests -------------------------------------------------------------------------


async def test_others_run_between_two_steps_of_a_large_request():
    ran: list[int] = []
    asyncio.get_running_loop().call_soon(ran.append, 1)
    await breathe(Request(raw=bytes(understanding.LARGE)))
    assert not ran
    await breathe(Request(raw=bytes(understanding.LARGE + 1)))
    assert ran == [1]


@pytest.mark.parametrize("target", ["/v1/chat/completions", "/v1/messages", "/v1/responses"])
async def test_a_large_request_is_read_mapped_and_sent_in_three_steps(
    staff: Staff, monkeypatch: pytest.MonkeyPatch, target: str
):
    workplace, (server,) = await staff(context_size=1 << 20)
    steps = []

    async def noted(request: Request) -> None:
        steps.append((request.model, request._prefix, sum(server.facts.requests.values())))

    monkeypatch.setattr(understanding, "breathe", noted)
    said = {"input": "hi"} if target == "/v1/responses" else {"messages": CHAT["messages"]}
    body = {"model": "demo", "max_tokens": 4, **said}
    assert (await workplace.client().ask(body, target)).status == 200
    assert steps == [("demo", None, 0)] * 2


async def test_a_client_may_leave_between_the_steps(staff: Staff):
    workplace, _ = await staff()
    body = CHAT | {"user": "x" * understanding.LARGE}
    for turns in range(6):
        client = workplace.client()
        client.send(body)
        for _ in range(turns):
            await asyncio.sleep(0)
        client.leave()
        await workplace.settled()
    assert {status for status, _ in workplace.endings} == {499}
    assert workplace.is_clean()


# -- decoding -------------------------------------------------------------------------------


@pytest.mark.parametrize("body", [TEXT, LARGE], ids=["small", "large"])
@pytest.mark.parametrize("coding", CODINGS)
async def test_a_compressed_body_is_unpacked(coding: bytes, body: bytes):
    packed = CODINGS[coding](body)
    assert (len(packed) > OFF_LOOP) is (body is LARGE)
    assert await decode(packed, coding, LIMIT) == body


async def test_a_body_may_be_packed_twice():
    assert await decode(gzip.compress(zlib.compress(TEXT)), b"deflate, gzip", LIMIT) == TEXT


@pytest.mark.parametrize("coding", [b"gzip", b"zstd"])
async def test_the_bound_holds_for_what_is_unpacked(coding: bytes):
    packed = CODINGS[coding](bytes(LIMIT))
    assert await decode(packed, coding, LIMIT) == bytes(LIMIT)
    with pytest.raises(BodyTooLarge):
        await decode(CODINGS[coding](bytes(LIMIT + 1)), coding, LIMIT)


async def test_the_bound_holds_in_the_thread_as_well():
    with pytest.raises(BodyTooLarge):
        await decode(gzip.compress(LARGE), b"gzip", len(LARGE) - 1)


@pytest.mark.parametrize(
    ("body", "coding", "error"),
    [
        (TEXT, b"br", UnsupportedEncoding),
        (TEXT, b"\xff", UnsupportedEncoding),
        (TEXT, b"gzip", InvalidRequest),
        (gzip.compress(TEXT)[:-1], b"gzip", InvalidRequest),
        (gzip.compress(LARGE)[:-1], b"gzip", InvalidRequest),
    ],
)
async def test_what_cannot_be_unpacked_is_refused(body: bytes, coding: bytes, error: type):
    with pytest.raises(error):
        await decode(body, coding, LIMIT)


async def test_a_compressed_request_is_served(staff: Staff):
    workplace, _ = await staff()
    body = gzip.compress(orjson.dumps(CHAT | {"max_tokens": 2}))
    line = b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Encoding: gzip\r\n"
    client = workplace.client()
    client.connection.data_received(line + b"Content-Length: %d\r\n\r\n" % len(body) + body)
    await workplace.settled()
    assert client.transport.written.startswith(b"HTTP/1.1 200 ")


async def test_codings_are_a_list_on_one_line(staff: Staff):
    workplace, _ = await staff()
    body = gzip.compress(zlib.compress(orjson.dumps(CHAT | {"max_tokens": 2})))
    head = b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n"
    for lines, status in (
        (b"Content-Encoding: deflate, gzip\r\n", b"200"),
        (b"Content-Encoding: deflate\r\nContent-Encoding: gzip\r\n", b"400"),
        (b"Content-Encoding: br, gzip\r\n", b"415"),
        (b"Content-Encoding: gzip, gzip, gzip\r\n", b"415"),
    ):
        client = workplace.client()
        client.connection.data_received(head % len(body) + lines + b"\r\n" + body)
        await workplace.settled()
        assert client.transport.written.startswith(b"HTTP/1.1 %b " % status)


# -- reading --------------------------------------------------------------------------------


def test_a_query_names_its_model():
    request_head = head("/props?model=demo%2F1", b"GET")
    assert read(endpoints.find(request_head), request_head, b"", 100).model == "demo/1"


def test_a_body_names_its_model_and_whether_to_stream():
    request_head = head("/v1/completions")
    request = read(
        endpoints.find(request_head), request_head, b'{"model":"demo","stream":true}', 100
    )
    assert (request.model, request.stream) == ("demo", True)


@pytest.mark.parametrize(("body", "error"), [(b"{", InvalidJSON), (b"[]", InvalidRequest)])
def test_a_body_that_is_no_object_is_refused(body: bytes, error: type):
    request_head = head("/v1/messages")
    with pytest.raises(error):
        read(endpoints.find(request_head), request_head, body, 100)


# -- jobs -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("target", "body", "kind", "path"),
    [
        ("/v1/chat/completions", CHAT | {"stream": True}, Relayed, b"/v1/chat/completions"),
        ("/chat/completions", CHAT, FoldedChat, b"/v1/chat/completions"),
        ("/v1/chat/completions/input_tokens", CHAT, Relayed, b"/v1/chat/completions"),
        ("/v1/messages", CHAT, Messages, b"/v1/chat/completions"),
        ("/v1/messages/count_tokens", CHAT, Messages, b"/v1/chat/completions"),
        ("/v1/responses", RESPONSE, Responses, b"/v1/chat/completions"),
        ("/v1/responses/input_tokens", RESPONSE, Responses, b"/v1/chat/completions"),
        ("/v1/v1/completions", {"model": "demo"}, Relayed, b"/v1/completions"),
        ("/completion", {"model": "demo"}, Relayed, b"/completion"),
        ("/v1/embeddings", {"model": "demo"}, Relayed, b"/v1/embeddings"),
    ],
)
async def test_every_endpoint_has_its_job(staff: Staff, target, body, kind, path):
    workplace, _ = await staff()
    job = await job_of(workplace, target, body)
    assert type(job) is kind
    assert (job.path, job.model, job.stream) == (path, "demo", "stream" in body)
    assert job.translates is (kind is not Relayed)


async def test_native_streams_are_read_as_such(staff: Staff):
    workplace, _ = await staff()
    native = await job_of(workplace, "/completion", {"model": "demo", "stream": True})
    older = await job_of(workplace, "/v1/completions", {"model": "demo", "stream": True})
    piece = b'data: {"content":"a","stop":false}\n\n'
    readers = [job.translator(None) for job in (native, older)]
    for reader in readers:
        reader.feed(piece)
    assert [reader.started for reader in readers] == [True, False]


async def test_a_model_that_is_not_folded_is_relayed(staff: Staff):
    workplace, _ = await staff(config={"models": (Model("demo", fold=False),)})
    assert type(await job_of(workplace, "/v1/chat/completions", CHAT)) is Relayed


async def test_anthropics_header_fields_reach_the_job(staff: Staff):
    workplace, _ = await staff()
    fields = {"anthropic_version": b"2026-10-21", "anthropic_beta": b"one,two"}
    job = await job_of(workplace, "/v1/messages", CHAT, **fields)
    assert isinstance(job, Messages)
    job.encode(Policy(), None)
    assert job._turn.knows_window_stop
    plain = await job_of(workplace, "/v1/messages", CHAT)
    plain.encode(Policy(), None)
    assert not plain._turn.knows_window_stop


async def test_a_response_that_is_not_stored_cannot_be_continued(staff: Staff):
    workplace, _ = await staff()
    body = RESPONSE | {"previous_response_id": "resp_" + "0" * 32}
    with pytest.raises(InvalidRequest) as caught:
        await job_of(workplace, "/v1/responses", body)
    assert caught.value.code == "previous_response_not_found"


async def test_a_response_that_is_stored_is_continued(staff: Staff, tmp_path: Path):
    workplace, _ = await staff()
    workplace.worker.stored.close()
    workplace.worker.stored = Stored(str(tmp_path / "responses"))
    first = (await workplace.client().ask(RESPONSE, "/v1/responses")).json
    body = RESPONSE | {"input": "and then?", "previous_response_id": first["id"]}
    job = await job_of(workplace, "/v1/responses", body)
    assert isinstance(job, Responses)
    user, answer, now = orjson.loads(job.encode(Policy(), None))["messages"]
    assert (user["content"], now["content"]) == ("hi", "and then?")
    assert answer["content"] == first["output"][-1]["content"][0]["text"]
    assert job.turn is not None and job.turn.stores
    workplace.worker.stored.close()


# -- what was dropped -----------------------------------------------------------------------


def test_dropped_fields_are_named():
    assert dropped_field(("seed", "tools[0].x-y")) == (
        b"x-multiproxy-dropped: seed,tools[0].x-y\r\n"
    )


@pytest.mark.parametrize("name", ["", "a b", "a\r\nSet-Cookie: x", "a,b", "é", "x" * 65, "a\n"])
def test_what_could_be_a_clients_own_words_is_not_told(name: str):
    assert dropped_field((name,)) == b""
    assert dropped_field((name, "seed")) == b"x-multiproxy-dropped: seed\r\n"


def test_nothing_dropped_is_no_field():
    assert dropped_field(()) == b""


def test_the_list_of_dropped_fields_is_bounded():
    names = tuple(f"field_{number}" for number in range(1000))
    told = dropped_field(names).removeprefix(b"x-multiproxy-dropped: ").rstrip().split(b",")
    assert told == [name.encode() for name in names[: understanding.MAX_DROPPED]]
