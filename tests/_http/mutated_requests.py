"""Requests with mistakes, what became of each, and what a strict reader makes of it.

``CORPUS`` holds one request for each way that one was ever read or refused; every run of the
tests reads it again. After a change of the rules, or to look for more ways:

    PYTHONPATH=.:tests python -m _http.mutated_requests [--rounds 200000]
"""

import argparse
import ast
import asyncio
import random
import re
from pathlib import Path

import h11
from _http.damage import damaged
from _http.malformed import get, post
from _http.wire_server import Wire

CORPUS = Path(__file__).parent / "request_corpus.txt"
LONGEST = 700  # bytes of what is kept
SEEDS = (
    get(),
    get(b"Host: [::1]:8001\r\nAccept: */*\r\n") + get(),
    post(b"Content-Length: 5\r\n", b"hello") + get(),
    post(b"Content-Length: 5\r\nConnection: close\r\n", b"hello"),
    post(b"Transfer-Encoding: chunked\r\n", b"5\r\nhello\r\n0\r\n\r\n") + get(),
    post(b"Transfer-Encoding: Chunked\r\n", b"3;a=b\r\nabc\r\n2\r\nde\r\n0\r\nX: y\r\n\r\n"),
    post(b"Expect: 100-continue\r\nContent-Length: 2\r\n", b"{}"),
)
SPLICES = (
    b"\r\n", b"\n", b"\r", b"\0", b":", b" ", b"\t", b"\xff", b"0\r\n\r\n", b"ffffffffffffffff\r\n",
    b"Content-Length: 3\r\n", b"Content-Length: 5\r\n", b"Transfer-Encoding: chunked\r\n",
    b"Transfer-Encoding: gzip, chunked\r\n", b"Host: a\r\n", b"Connection: close\r\n",
    b"GET /smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n", b"HTTP/1.0", b"-2\r\n", b";a=\"",
    b"Content-Length : 5\r\n", b" Content-Length: 5\r\n", b"+5", b"0x5", b"A" * 300,
)  # fmt: skip
Request = tuple[bytes, bytes, bytes]  # method, target, body


class Reading:
    """What we made of some bytes: ``verdict`` in words, ``requests`` that were accepted."""

    def __init__(self, wire: Wire) -> None:
        finals = [str(status) for status in wire.statuses if status != 100]
        self.verdict = " ".join([*finals, "ended" if wire.ended else "open"])
        self.requests: list[Request] = [
            (seen.head.method, seen.head.target, seen.body)
            for seen, exchange in zip(wire.seen, wire.exchanges, strict=True)
            if exchange.task.done() and seen.error is None
        ]
        fields = [len(seen.head.fields) for seen in wire.seen]
        errors = [type(seen.error).__name__ for seen in wire.seen]
        self.way = (self.verdict, tuple(fields), tuple(errors), wire.transport.written[-40:])


async def read(data: bytes, *cuts: int) -> Reading:
    """Let a connection read bytes, cut there."""
    ends = sorted({*cuts, len(data)})
    pieces = [data[start:end] for start, end in zip([0, *ends], ends, strict=False)]
    wire = await Wire().feed(*pieces)
    reading = Reading(wire)
    wire.connection.connection_lost(None)
    await wire.settle()
    return reading


def strictly(data: bytes) -> list[Request]:
    """The requests that h11 reads, up to the first that it refuses.

    Blank lines before a request may be ignored (RFC 9112 section 2.2), and blanks may stand before
    a chunk's extension (7.1.1), which h11 does not know.
    """
    found: list[Request] = []
    data = re.sub(rb"(?<=\r\n)([0-9A-Fa-f]{1,16})[ \t]+;", rb"\1;", data)
    try:
        while data := data.lstrip(b"\r\n"):
            server = h11.Connection(h11.SERVER, max_incomplete_event_size=1 << 20)
            server.receive_data(data)
            if not isinstance(request := server.next_event(), h11.Request):
                break
            body = b""
            while isinstance(event := server.next_event(), h11.Data):
                body += bytes(event.data)
            if not isinstance(event, h11.EndOfMessage):
                break
            found.append((request.method, request.target, body))
            server.send(h11.Response(status_code=200, headers=[("Content-Length", "0")]))
            server.send(h11.EndOfMessage())
            if server.our_state is h11.MUST_CLOSE:
                break
            data = server.trailing_data[0]
    except h11.ProtocolError:
        pass
    return found


def corpus() -> list[tuple[str, bytes]]:
    """Each verdict, and the bytes it was given to."""
    lines = CORPUS.read_text().splitlines()
    pairs = (line.split("\t") for line in lines)
    return [(verdict, ast.literal_eval(data)) for verdict, data in pairs]


async def search(rounds: int) -> None:
    """Write one request for each way; the shortest of those that were found."""
    chance = random.Random(1)
    found: dict[object, tuple[str, bytes]] = {}
    known = [data for _, data in corpus()] if CORPUS.exists() else []
    for number in range(rounds + len(known)):
        source = chance.choice([*SEEDS, *known]) if number >= len(known) else b""
        data = damaged(source, chance, SPLICES) if source else known[number]
        if len(data) > LONGEST:
            continue
        reading = await read(data)
        kept = found.get(reading.way)
        if kept is None or len(data) < len(kept[1]):
            found[reading.way] = reading.verdict, data
    lines = sorted(f"{verdict}\t{data!r}\n" for verdict, data in found.values())
    CORPUS.write_text("".join(lines))
    print(f"{len(lines)} ways in {rounds} rounds")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=20_000)
    asyncio.run(search(parser.parse_args().rounds))
