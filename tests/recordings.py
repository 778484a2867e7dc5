"""Answers recorded from a real llama-server, and what they mean as h11 reads them."""

import re
from functools import cache
from pathlib import Path
from typing import NamedTuple

import h11

WIRE = Path(__file__).parent / "wire"


class Meaning(NamedTuple):
    """One answer: ``complete`` tells whether its framing came to its end."""

    status: int
    payload: bytes
    complete: bool


_CUT = b"[... cut "  # the recorder left out ordinary chunks here
_CHUNK = re.compile(rb"\r\n(?=[0-9a-f]+\r\n\S)")


def recording(name: str) -> bytes:
    """The bytes of a recorded answer, head included; without the chunks beside a cut."""
    data = (WIRE / f"{name}.txt").read_bytes()
    mark = data.find(_CUT)
    if mark >= 0:
        before = data.rindex(b"\n\n\r\n", 0, mark) + 4
        after = _CHUNK.search(data, mark)
        assert after is not None
        data = data[:before] + data[after.end() :]
    return data


def names(*patterns: str) -> list[str]:
    """The names of the recordings that match."""
    found = {path.name.removesuffix(".txt") for p in patterns for path in WIRE.glob(f"{p}.txt")}
    return sorted(found)


@cache
def meaning(name: str) -> Meaning:
    """What h11 makes of a recorded answer."""
    reader = h11.Connection(h11.CLIENT)
    reader.send(h11.Request(method="GET", target="/", headers=[("Host", "a")]))
    reader.send(h11.EndOfMessage())
    reader.receive_data(recording(name))
    status, payload = 0, b""
    while True:
        event = reader.next_event()
        if isinstance(event, h11.Response):
            status = event.status_code
        elif isinstance(event, h11.Data):
            payload += bytes(event.data)
        elif isinstance(event, h11.EndOfMessage):
            return Meaning(status, payload, True)
        elif event is h11.NEED_DATA:
            return Meaning(status, payload, False)


def stream(name: str) -> bytes:
    """The event stream that a recorded answer carries, chunked framing undone."""
    return meaning(name).payload


def body(name: str) -> bytes:
    """The body of a recorded answer, stream or not, chunked framing undone."""
    return meaning(name).payload


def chunks(name: str) -> list[bytes]:
    """The pieces that a recorded answer's writer wrote: its chunks, undone."""
    body = recording(name).rpartition(b"HTTP/1.1 200 OK")[2].partition(b"\r\n\r\n")[2]
    found = []
    while body:
        size, _, rest = body.partition(b"\r\n")
        length = int(size, 16)
        if length:
            found.append(rest[:length])
        body = rest[length + 2 :]
    return found


def pieces_at_every_cut(data: bytes, step: int = 1) -> list[tuple[bytes, bytes]]:
    """``data`` in two pieces, for every ``step``-th position; no piece is empty."""
    return [(data[:cut], data[cut:]) for cut in range(1, len(data), step)]
