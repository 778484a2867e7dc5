"""Load and backend over real sockets: straight, and through proxies that are broken on purpose."""

import asyncio
import contextlib
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager

import pytest

import answers
import backend
from plan import blocks_in
from requesters import run_requests
from streams import run_streams
from tally import Load, Tally

Spoil = Callable[[bytes], bytes]
STREAMS = 4


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    """The port of a backend in a process of its own, as in a real run."""
    process = subprocess.Popen(
        [sys.executable, backend.__file__, "--port", "0"], stdout=subprocess.PIPE, text=True
    )
    with process:
        yield int(process.stdout.readline().split()[-1])
        process.terminate()


@asynccontextmanager
async def relay(port: int, spoil: Spoil, asked: Spoil = lambda piece: piece) -> AsyncIterator[int]:
    """A proxy of bytes that gives every piece of an answer to ``spoil`` first.

    Pieces of requests are given to ``asked``.
    """
    tasks: list[asyncio.Task[None]] = []

    async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, how: Spoil) -> None:
        with contextlib.suppress(ConnectionError):
            while piece := await reader.read(65536):
                writer.write(how(piece))
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()

    async def pair(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        upstream_reader, upstream = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.gather(copy(reader, upstream, asked), copy(upstream_reader, writer, spoil))

    server = await asyncio.start_server(
        lambda reader, writer: tasks.append(asyncio.create_task(pair(reader, writer))),
        "127.0.0.1",
        0,
    )
    yield server.sockets[0].getsockname()[1]
    server.close()
    await asyncio.gather(*tasks)


async def outcomes(port: int, question: str = "chat", **shape: int) -> dict[str, int]:
    """How the requests of one short load ended."""
    tally = Tally()
    told = {"seconds": 0.2, "hang_s": 0.5, "rate": 50, **shape}
    asked = Load("127.0.0.1", port, "test", question=question, **told)
    await (run_streams if asked.streams else run_requests)(asked, tally)
    return dict(tally.outcomes)


async def test_streams_straight_from_the_backend_are_all_ok(port):
    assert await outcomes(port, streams=STREAMS) == {"ok": STREAMS}


async def test_requests_go_on_when_the_backend_renews_its_connections(port):
    ended = await outcomes(port, "embedding", connections=2, rate=2000)
    assert set(ended) == {"ok"}
    assert ended["ok"] > 2 * 100  # more than two connections may carry


@pytest.mark.parametrize("question", ["chat", "whole chat", "rewritten embedding"])
async def test_every_kind_of_request_is_answered_straight_from_the_backend(question, port):
    tokens = 0 if "embedding" in question else 3
    asked = {"connections": 2, "rate": 40, "tokens": tokens, "period_us": 1000}
    assert set(await outcomes(port, question, **asked)) == {"ok"}


async def test_a_proxy_that_loses_a_part_of_a_big_request_is_caught(port):
    asked = {"connections": 1, "rate": 10, "tokens": 1, "ballast": blocks_in(100_000)}
    assert set(await outcomes(port, "whole chat", **asked)) == {"ok"}
    async with relay(port, lambda piece: piece, asked=swapping_byte(50_000)) as through:
        assert (await outcomes(through, "whole chat", **asked))["wrong"] == 1


def swapping_byte(number: int) -> Spoil:
    """Makes one byte of everything that passes another letter."""
    passed = 0

    def spoil(piece: bytes) -> bytes:
        nonlocal passed
        at, passed = number - passed, passed + len(piece)
        return piece[:at] + b"z" + piece[at + 1 :] if 0 <= at < len(piece) else piece

    return spoil


def dropping_byte(number: int) -> Spoil:
    """Leaves out one byte of everything that passes."""
    passed = 0

    def spoil(piece: bytes) -> bytes:
        nonlocal passed
        at, passed = number - passed, passed + len(piece)
        return piece[:at] + piece[at + 1 :] if 0 <= at < len(piece) else piece

    return spoil


def holding_back() -> Spoil:
    """Gives each piece to the reader of the next one: with two streams, the other stream's."""
    held = [b""]

    def spoil(piece: bytes) -> bytes:
        if not piece.startswith((b"HTTP", b"0\r\n")):
            held.append(piece)
            piece = held.pop(0)
        return piece

    return spoil


@pytest.mark.parametrize(
    "spoil",
    [
        dropping_byte(1000),
        holding_back(),
        lambda piece: answers.DONE_CHUNK + answers.LAST_CHUNK if b"/2/" in piece else piece,
        lambda piece: piece.replace(b'"finish_reason":"stop"', b'"finish_reason":null  '),
    ],
    ids=["drops byte 1000", "mixes streams", "invents [DONE]", "hides the end"],
)
async def test_a_proxy_that_spoils_answers_is_caught(spoil, port):
    async with relay(port, spoil) as through:
        assert (await outcomes(through, streams=STREAMS)).get("ok", 0) < STREAMS


def cut(piece: bytes) -> bytes:
    """Ends the connection at event 2."""
    if b"/2/" in piece:
        raise ConnectionResetError
    return piece


async def test_a_proxy_that_cuts_answers_makes_resets(port):
    async with relay(port, cut) as through:
        assert await outcomes(through, streams=STREAMS) == {"reset": STREAMS}


async def test_a_proxy_that_never_ends_an_answer_makes_hangs(port):
    async with relay(port, lambda piece: piece.replace(b"0\r\n\r\n", b"")) as through:
        assert await outcomes(through, streams=STREAMS) == {"hang": STREAMS}
