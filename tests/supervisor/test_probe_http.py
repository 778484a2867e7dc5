import asyncio
import contextlib
import socket
from dataclasses import dataclass, field

import pytest

from multiproxy.config import Url
from multiproxy.supervisor import probe_http
from multiproxy.supervisor.probe_http import Answer, ProbeConnection, ProbeFailed

HEALTHY = b"HTTP/1.1 200 OK\r\nServer: llama.cpp\r\nContent-Length: 15\r\n\r\n" + b'{"status":"ok"}'
MISSING = (
    b"HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n"
    b"Connection: close\r\nConnection: close\r\n\r\n{}"
)
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"


@dataclass
class Backend:
    """A server that answers each head with the next of ``answers``; None is silence."""

    answers: list[bytes | None]
    heads: list[bytes] = field(default_factory=list)
    connections: int = 0
    nudged: asyncio.Event = field(default_factory=asyncio.Event)
    tasks: list[asyncio.Task] = field(default_factory=list)

    async def serve(self, reader, writer):
        self.connections += 1
        self.tasks.append(asyncio.current_task())
        if self.connections > 1:
            self.nudged.set()
        with contextlib.suppress(asyncio.IncompleteReadError, OSError):
            while True:
                self.heads.append(await reader.readuntil(b"\r\n\r\n"))
                answer = self.answers.pop(0)
                if answer is None:
                    await self.nudged.wait()
                    answer = HEALTHY
                writer.write(answer)
                if b"Connection: close" in answer or not answer:
                    break
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


@contextlib.asynccontextmanager
async def running(*answers):
    backend = Backend(list(answers))
    server = await asyncio.start_server(backend.serve, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    connection = ProbeConnection(Url("http", host, port, "/gpu"), "secret", None)
    try:
        yield backend, connection
    finally:
        connection.close()
        server.close()
        await asyncio.gather(*backend.tasks)


async def test_questions_share_one_connection_and_carry_prefix_host_and_key():
    async with running(HEALTHY, CHUNKED) as (backend, connection):
        assert await connection.get("/health", 5) == Answer(200, b"llama.cpp", b'{"status":"ok"}')
        assert await connection.get("/props", 5) == Answer(200, b"", b"hello")
        assert backend.connections == 1
        lines = backend.heads[1].split(b"\r\n")
        assert lines[0] == b"GET /gpu/props HTTP/1.1"
        assert b"Authorization: Bearer secret" in lines
        assert any(line.startswith(b"Host: 127.0.0.1:") for line in lines)


async def test_a_closed_connection_is_replaced():
    async with running(MISSING, HEALTHY) as (backend, connection):
        assert (await connection.get("/props", 5)).status == 404
        assert (await connection.get("/v1/models", 5)).status == 200
        assert backend.connections == 2


async def test_a_silent_connection_is_nudged_by_a_second_one(monkeypatch):
    monkeypatch.setattr(probe_http, "NUDGE_S", 0.01)
    async with running(None) as (backend, connection):
        assert (await connection.get("/health", 5)).status == 200
        assert backend.connections == 2
        assert len(backend.heads) == 1


async def test_silence_ends_with_the_time_that_was_given():
    with socket.create_server(("127.0.0.1", 0)) as server:
        connection = ProbeConnection(Url("http", *server.getsockname()), None, None)
        with pytest.raises(ProbeFailed) as failure:
            await connection.get("/health", 0.05)
    assert failure.value.reason == "no answer to GET /health within 0.05 s"
    assert not failure.value.refused


async def test_a_refused_connection_says_where():
    with socket.create_server(("127.0.0.1", 0)) as server:
        host, port = server.getsockname()
    with pytest.raises(ProbeFailed) as failure:
        await ProbeConnection(Url("http", host, port), None, None).get("/health", 5)
    assert failure.value.refused
    assert failure.value.reason == f"connection refused to 127.0.0.1:{port}"


@pytest.mark.parametrize(
    "answer",
    [
        b"SSH-2.0-OpenSSH\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\nConnection: close\r\n\r\nshort",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        b"HTTP/1.1 200 OK\r\nX: " + b"a" * 140_000 + b"\r\n\r\n",
        b"",
    ],
)
async def test_what_is_not_http_is_a_failure_and_not_a_refusal(answer):
    async with running(answer) as (_, connection):
        with pytest.raises(ProbeFailed) as failure:
            await connection.get("/health", 5)
        assert failure.value.reason.startswith("not HTTP/1.1: ")
        assert not failure.value.refused


async def test_an_endless_body_is_cut_off(monkeypatch):
    monkeypatch.setattr(probe_http, "MAX_BODY", 10)
    async with running(HEALTHY) as (_, connection):
        with pytest.raises(ProbeFailed, match="more than 10 bytes"):
            await connection.get("/health", 5)
