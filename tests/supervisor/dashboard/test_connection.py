"""Raw bytes against the real listener: framing, limits, timers and headers."""

import asyncio

import pytest
from dashboard_client import request

from multiproxy.supervisor.dashboard import connection
from multiproxy.supervisor.dashboard.messages import CONTENT_SECURITY_POLICY

GET = request("GET", "/healthz")


async def test_a_page_carries_the_strict_headers(serve):
    answer = await (await serve()).get("/")
    assert answer.status == 200
    assert answer.headers["content-security-policy"] == CONTENT_SECURITY_POLICY
    assert "unsafe" not in CONTENT_SECURITY_POLICY
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "same-origin"
    assert answer.headers["cross-origin-opener-policy"] == "same-origin"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["content-type"] == "text/html; charset=utf-8"


async def test_a_connection_serves_one_request_after_the_other(serve):
    client = await (await serve()).connect()
    for _ in range(3):
        client.send(GET)
        assert (await client.answer()).body == b"ok\n"


async def test_requests_that_arrive_together_are_answered_in_order(serve):
    client = await (await serve()).connect()
    client.send(GET + request("GET", "/readyz") + request("GET", "/nothing"))
    answers = [await client.answer() for _ in range(3)]
    assert [answer.status for answer in answers] == [200, 200, 404]


async def test_head_gets_the_head_of_get_without_its_body(serve):
    client = await (await serve()).connect()
    client.send(request("HEAD", "/healthz") + GET)
    assert (await client.answer(to_head=True)).headers["content-length"] == "3"
    assert (await client.answer()).body == b"ok\n"


async def test_a_request_may_come_byte_by_byte(serve):
    client = await (await serve()).connect()
    for byte in GET:
        client.send(bytes([byte]))
        await asyncio.sleep(0)
    assert (await client.answer()).status == 200


async def test_connection_close_is_honoured(serve):
    client = await (await serve()).connect()
    client.send(request("GET", "/healthz", connection="close"))
    assert (await client.answer()).headers["connection"] == "close"
    assert await client.at_end()


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", 400),  # no Host
        (b"GET / HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a b\r\n\r\n", 400),
        (b"GET  / HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
        (b"GET / HTTP/1.1\nHost localhost\n\n", 400),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400),  # TLS by mistake
        (b"POST /theme HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n", 400),
        (b"GET * HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
        (b"POST /theme HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: gzip\r\n\r\n", 501),
        (request("GET", "/", host="evil.example"), 421),
        (b"GET http://evil.example/ HTTP/1.1\r\nHost: localhost\r\n\r\n", 421),
        (request("DELETE", "/"), 405),
        (request("OPTIONS", "/", origin="http://evil.example"), 405),
        (request("POST", "/theme", origin="http://evil.example"), 403),
        (request("POST", "/theme", sec_fetch_site="cross-site"), 403),
    ],
)
async def test_a_request_that_is_not_for_us_is_refused_and_the_connection_closed(
    serve, data, status
):
    client = await (await serve()).connect()
    client.send(data)
    answer = await client.answer()
    assert answer.status == status
    assert answer.headers["connection"] == "close"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert await client.at_end()


async def test_a_refused_head_request_gets_no_body(serve):
    client = await (await serve()).connect()
    client.send(request("HEAD", "/", host="evil.example"))
    assert (await client.answer(to_head=True)).status == 421
    assert await client.at_end()


async def test_the_absolute_form_names_the_host_and_the_path(serve):
    served = await serve()
    data = b"GET http://localhost:8080/healthz HTTP/1.1\r\nHost: whatever.example\r\n\r\n"
    assert (await served.ask(data)).body == b"ok\n"


@pytest.mark.parametrize("pieces", [1, 40])
async def test_a_head_over_the_limit_is_refused_however_it_arrives(serve, pieces):
    client = await (await serve()).connect()
    data = request("GET", "/healthz", x_filler="x" * connection.MAX_HEAD)
    step = len(data) // pieces + 1
    for start in range(0, len(data), step):
        client.send(data[start : start + step])
        await asyncio.sleep(0)
    assert (await client.answer()).status == 431


async def test_a_declared_body_over_the_limit_is_refused_before_it_is_sent(serve):
    client = await (await serve()).connect()
    size = connection.MAX_BODY + 1
    client.send(
        f"POST /theme HTTP/1.1\r\nHost: localhost\r\nContent-Length: {size}\r\n\r\n".encode()
    )
    assert (await client.answer()).status == 413


async def test_a_chunked_body_is_measured_while_it_arrives(serve):
    client = await (await serve()).connect()
    client.send(b"POST /theme HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n")
    chunk = b"4000\r\n" + b"x" * 0x4000 + b"\r\n"
    client.send(chunk * 5)
    assert (await client.answer()).status == 413


async def test_expect_100_continue_is_answered_before_the_body(serve):
    client = await (await serve()).connect()
    head = request("POST", "/theme", b"theme=dark", expect="100-continue")[: -len(b"theme=dark")]
    client.send(head)
    assert (await client.head()).status == 100
    client.send(b"theme=dark")
    assert (await client.answer()).status == 403  # no token


async def test_an_unfinished_head_is_timed_out(serve, monkeypatch):
    monkeypatch.setattr(connection, "HEAD_TIMEOUT_S", 0.02)
    client = await (await serve()).connect()
    client.send(GET[:-1])
    assert (await client.answer()).status == 408
    assert await client.at_end()


async def test_an_unfinished_body_is_timed_out(serve, monkeypatch):
    monkeypatch.setattr(connection, "BODY_TIMEOUT_S", 0.02)
    client = await (await serve()).connect()
    client.send(request("POST", "/theme", b"theme=dark")[:-1])
    assert (await client.answer()).status == 408


async def test_an_idle_connection_is_closed_without_a_word(serve, monkeypatch):
    monkeypatch.setattr(connection, "IDLE_TIMEOUT_S", 0.02)
    client = await (await serve()).connect()
    client.send(GET)
    await client.answer()
    assert await client.at_end()


async def test_a_client_that_never_reads_is_dropped(serve, monkeypatch):
    monkeypatch.setattr(connection, "STALL_TIMEOUT_S", 0.05)
    served = await serve()
    client = await served.connect()
    client.writer.transport.pause_reading()
    pages = request("GET", "/") * 200  # far more than every buffer between us holds
    client.send(pages)
    while len(served.dashboard._connections):
        await asyncio.sleep(0.01)


async def test_a_stream_is_an_event_stream_that_no_proxy_may_hold_back(serve):
    client = await (await serve()).connect()
    client.send(request("GET", "/live/overview"))
    head = await client.head()
    assert head.status == 200
    assert head.headers["content-type"] == "text/event-stream"
    assert head.headers["cache-control"] == "no-store"
    assert head.headers["x-accel-buffering"] == "no"


async def test_head_of_a_stream_takes_no_seat(serve):
    served = await serve()
    client = await served.connect()
    client.send(request("HEAD", "/live/overview") + GET)
    assert (await client.answer(to_head=True)).status == 200
    assert len(served.dashboard.feed) == 0


async def test_a_viewer_that_leaves_frees_its_seat(serve):
    served = await serve()
    client = await served.connect()
    client.send(request("GET", "/live/overview"))
    await client.head()
    assert len(served.dashboard.feed) == 1
    client.close()
    while len(served.dashboard.feed):
        await asyncio.sleep(0.005)


async def test_a_viewer_that_talks_during_its_stream_is_dropped(serve):
    served = await serve()
    client = await served.connect()
    client.send(request("GET", "/live/overview"))
    await client.head()
    client.send(GET)
    while len(served.dashboard.feed):
        await asyncio.sleep(0.005)
