"""Backends that lie: each row of what a backend's bytes can do to a proxy, and what comes of it.

A server that sends literal bytes stands in for the backend. Whatever it does, the client gets an
error of its own dialect or a cut stream, its connection serves nobody again, and the next
request gets its own answer.
"""

import asyncio

import orjson
import pytest
from worker.workplace import Answer, Workplace, chat

from multiproxy.config import Limits, Retry

CHUNKED = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
)
JSON = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def event(text: str, finish: str | None = None) -> bytes:
    choice = {"index": 0, "delta": {"content": text}, "finish_reason": finish}
    return chunk(b"data: " + orjson.dumps({"choices": [choice]}) + b"\n\n")


END = chunk(b"data: [DONE]\n\n") + b"0\r\n\r\n"
GOOD = CHUNKED + event("mine", "stop") + END
WHOLE = orjson.dumps({"choices": [{"message": {"content": "whole"}, "finish_reason": "stop"}]})


class Liar:
    """Answers the first request with the given bytes and every later one with ``GOOD``."""

    def __init__(self, *pieces: bytes | None, hangs: bool = False) -> None:
        """None among the pieces waits for ``go``."""
        self.go = asyncio.Event()
        self.requests: list[bytes] = []
        self._pieces = pieces
        self._hangs = hangs

    async def __aenter__(self) -> "Liar":
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *error: object) -> None:
        self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(head.lower().partition(b"content-length: ")[2].split(b"\r")[0] or 0)
                await reader.readexactly(length)
                self.requests.append(head)
                lies = len(self.requests) == 1
                for piece in self._pieces if lies else (GOOD,):
                    if piece is None:
                        await self.go.wait()
                        continue
                    writer.write(piece)
                    await writer.drain()
                if lies and not self._hangs:
                    break
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        writer.close()


def place_for(liar: Liar, **config: object) -> Workplace:
    return Workplace(liar.port, config={"retry": Retry(mode="off"), **config})


BEFORE = {
    "55 two framings": JSON + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n{}",
    "55 two lengths": JSON + b"Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}",
    "55 bare LF": b"HTTP/1.1 200 OK\nContent-Length: 2\n\n{}\r\n\r\n",
    "55 folded line": b"HTTP/1.1 200 OK\r\nX: a\r\n b\r\nContent-Length: 2\r\n\r\n{}",
    "55 NUL": b"HTTP/1.1 200 OK\r\nX: a\0b\r\nContent-Length: 2\r\n\r\n{}",
    "55 bad chunk": CHUNKED + b"xyz\r\n",
    "55 chunk that is longer than it says": CHUNKED + b"2\r\nabc\r\n",
    "55 chunk size over 64 bits": CHUNKED + b"fffffffffffffffff\r\n",
    "56 switching protocols": b"HTTP/1.1 101 S\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n",
    "56 endless interim answers": b"HTTP/1.1 100 Continue\r\n\r\n" * 100,
    "58 no content": b"HTTP/1.1 304 Not Modified\r\n\r\n" + WHOLE,
    "59 short body": JSON + b"Content-Length: 1000\r\n\r\n" + WHOLE,
    "59 unfinished chunks": JSON + b"Transfer-Encoding: chunked\r\n\r\n" + chunk(WHOLE),
    "59 unfinished stream": CHUNKED + chunk(b": ping\n\n"),
    "59 nothing": b"",
    "59 half a head": b"HTTP/1.1 200 OK\r\nContent-Le",
    "60 status 099": b"HTTP/1.1 099 Odd\r\nContent-Length: 2\r\n\r\n{}",
    "60 status 999": b"HTTP/1.1 999 Odd\r\nContent-Length: 2\r\n\r\n{}",
    "60 redirect": b"HTTP/1.1 302 Found\r\nLocation: http://10.0.0.1/\r\nContent-Length: 0\r\n\r\n",
    "61 an event without end": CHUNKED + chunk(b"data: " + b"a" * 8192) * 20,
    "61 a line that is no event": CHUNKED + chunk(b"a" * 8192) * 20,
    "61 a head without end": b"HTTP/1.1 200 OK\r\nX: " + b"a" * 100_000,
    "61 chunk extensions without end": CHUNKED + b"1;" + b"a" * 100_000,
    "15 not HTTP": b"220 smtp.example.org ESMTP\r\n\r\n",
    "15 compressed": JSON + b"Content-Encoding: gzip\r\nContent-Length: 2\r\n\r\n\x1f\x8b",
    "15 a web page": b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 4\r\n\r\n<p/>",
    "15 endless answer": JSON + b"Transfer-Encoding: chunked\r\n\r\n" + chunk(b" " * 8192) * 40,
}  # fmt: skip


@pytest.mark.parametrize("lie", BEFORE)
@pytest.mark.parametrize("stream", [True, False])
async def test_a_lie_before_the_first_content_is_an_error_and_leaves_nothing(lie, stream):
    async with Liar(BEFORE[lie]) as liar:
        place = place_for(liar, limits=Limits(event=65536, answer=65536))
        answer = await place.client().ask(chat(stream=stream))
        assert answer.status == 502 and answer.complete, answer.head
        assert answer.json["error"]["type"] == "server_error"
        # Only an answer that ended to the byte leaves a connection that may be used again.
        is_whole = lie in ("60 redirect", "15 a web page")
        assert is_whole or place.worker.backends.by_index[0].pool.idle_count == 0
        second = await place.client().ask(chat())
        assert (second.status, second.text) == (200, "mine")
        assert place.is_clean() and place.in_flight == [0]
        place.close()


AFTER = {
    "55 bad chunk": b"xyz\r\n",
    "59 unfinished": b"",
    "59 a clean end that is none": b"0\r\n\r\n",
    "61 an event without end": chunk(b"data: " + b"a" * 8192) * 20,
    "61 a line that is no event": chunk(b"a" * 8192) * 20,
    "61 chunk extensions without end": b"1;" + b"a" * 100_000,
}


@pytest.mark.parametrize("lie", AFTER)
async def test_a_lie_amid_a_stream_ends_it_with_one_error_and_without_its_last_chunk(lie):
    async with Liar(CHUNKED + event("a"), None, AFTER[lie]) as liar:
        place = place_for(liar, limits=Limits(event=65536))
        client = place.client()
        client.send(chat())
        await place.until(lambda: b'"content":"a"' in client.transport.written)
        liar.go.set()
        await place.settled()
        answer = Answer(client.transport.written)
        assert (answer.status, answer.complete) == (200, False)
        assert answer.text.startswith("a")
        assert answer.body.count(b'"error"') == 1 and b"[DONE]" not in answer.body
        assert len(answer.body) < 250_000
        assert place.worker.backends.by_index[0].pool.idle_count == 0
        second = await place.client().ask(chat())
        assert (second.status, second.text) == (200, "mine")
        assert place.is_clean()
        place.close()


FOREIGN = b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{"a":"X"}'
EXTRA = {
    "54 a second answer": GOOD + FOREIGN,
    "54 one byte": GOOD + b"H",
    "54 behind a length": JSON + b"Content-Length: %d\r\n\r\n" % len(WHOLE) + WHOLE + FOREIGN,
    "58 a body of no content": b"HTTP/1.1 204 No Content\r\n\r\n" + FOREIGN,
}


@pytest.mark.parametrize("lie", EXTRA)
async def test_bytes_behind_an_answer_reach_nobody(lie):
    async with Liar(EXTRA[lie], hangs=True) as liar:
        place = place_for(liar)
        first = await place.client().ask(chat())
        second = await place.client().ask(chat())
        assert (second.status, second.text) == (200, "mine")
        assert b'"X"' not in first.body + second.body
        assert place.worker.backends.by_index[0].pool.opened == 2
        place.close()


async def test_bytes_that_come_later_on_an_idle_connection_reach_nobody():
    async with Liar(GOOD, hangs=True) as liar:
        place = place_for(liar)
        assert (await place.client().ask(chat())).text == "mine"
        (idle,) = place.worker.backends.by_index[0].pool._idle
        idle.data_received(FOREIGN)
        second = await place.client().ask(chat())
        assert (second.status, second.text) == (200, "mine")
        place.close()


async def test_a_backend_is_never_asked_with_head():
    """57: the parser could not know that no body follows."""
    answer = JSON + b"Content-Length: 2\r\n\r\n{}"
    async with Liar(answer) as liar:
        place = place_for(liar)
        got = await place.client().ask(None, "/props", "HEAD")
        assert (got.status, got.body) == (200, b"")
        assert liar.requests[0].startswith(b"GET /props")
        place.close()
