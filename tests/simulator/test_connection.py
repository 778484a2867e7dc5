"""Connections: keep-alive limits, pipelining, Expect, keys, and what a new request sees."""

import pytest

NAMES = """
chunked-request-body error.bad-request-line error.content-length-invalid error.header-too-long
error.too-many-headers error.uri-too-long
""".split()
HEALTH = b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n"


async def test_the_hundredth_answer_closes_the_connection(simulate, client):
    server = await simulate(keep_alive_max=3)
    async with client(server.port) as connection:
        answers = [await connection.answer(HEALTH) for _ in range(3)]
        assert await connection.rest() == b""
    assert [b"\r\nKeep-Alive: timeout=5, max=3\r\n" in answer for answer in answers] == [
        True,
        True,
        False,
    ]
    assert b"\r\nConnection: close\r\n" in answers[2]


@pytest.mark.parametrize("requests", [0, 1])
async def test_an_idle_connection_is_closed_in_silence(simulate, client, requests):
    server = await simulate(keep_alive_timeout=0.05)
    async with client(server.port) as connection:
        for _ in range(requests):
            await connection.answer(HEALTH)
        assert await connection.rest() == b""


async def test_an_error_closes_the_connection(simulate, client):
    server = await simulate()
    async with client(server.port) as connection:
        answer = await connection.answer(b"GET /nope HTTP/1.1\r\n\r\n")
        assert b"\r\nConnection: close\r\n" in answer
        assert await connection.rest() == b""


async def test_pipelined_requests_are_answered_in_order(simulate, client, wire):
    server = await simulate()
    async with client(server.port) as connection:
        connection.writer.write(wire.post("@tokens 2") + HEALTH + HEALTH)
        stream = await connection.until(b"\r\n0\r\n\r\n")
        assert stream.count(b"[DONE]") == 1
        assert (await connection.until(b'"ok"}')).startswith(b"HTTP/1.1 200 OK\r\n")
        assert (await connection.until(b'"ok"}')).startswith(b"HTTP/1.1 200 OK\r\n")


async def test_expect_is_answered_before_the_body_and_not_for_an_unknown_path(simulate, client):
    server = await simulate(api_keys=("k",))
    ask = b"POST %b HTTP/1.1\r\nContent-Length: 2\r\nExpect: 100-continue\r\n%b\r\n"
    async with client(server.port) as connection:
        connection.writer.write(ask % (b"/tokenize", b"X-Api-Key: k\r\n"))
        assert await connection.until(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        assert (await connection.answer(b"{}")).startswith(b"HTTP/1.1 200 OK\r\n")
        connection.writer.write(ask % (b"/tokenize", b""))
        assert (await connection.answer(b"{}")).startswith(b"HTTP/1.1 401 Unauthorized\r\n")


async def test_an_upgrade_offer_is_ignored(simulate, client):
    server = await simulate()
    offer = b"GET /health HTTP/1.1\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n\r\n"
    async with client(server.port) as connection:
        assert (await connection.answer(offer)).startswith(b"HTTP/1.1 200 OK\r\n")
        assert (await connection.answer(HEALTH)).startswith(b"HTTP/1.1 200 OK\r\n")


async def test_an_http_1_0_client_gets_chunks_and_then_the_end(simulate, client, wire):
    server = await simulate()
    async with client(server.port) as connection:
        request = wire.post("@tokens 1").replace(b"HTTP/1.1", b"HTTP/1.0")
        connection.writer.write(request)
        answer = await connection.rest()
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n") and answer.endswith(b"\r\n0\r\n\r\n")


async def test_the_facts_count_connections_and_keep_bodies_when_asked(simulate, client, wire):
    server = await simulate(keep_bodies=True)
    async with client(server.port) as connection:
        await connection.ask({"content": "a"}, "/tokenize")
        await connection.answer(HEALTH)
        assert server.facts.open_connections == 1
    assert len(server.facts.connections) == 1
    assert server.facts.requests == {"POST /tokenize": 1, "GET /health": 1}
    assert server.facts.bodies == [b'{"content":"a"}', b""]


async def test_no_open_connection_is_left_after_close(simulate, client):
    server = await simulate()
    async with client(server.port) as connection:
        await connection.answer(HEALTH)
        await server.close()
        assert await connection.rest() in (b"", b"<reset>")
    assert server.facts.open_connections == 0


@pytest.mark.parametrize("name", NAMES)
async def test_framing_is_accepted_or_refused_as_recorded(name, replay):
    assert await replay.simulated(name) == replay.recorded(name)
