"""Simulators for tests, raw exchanges with them, and recordings of the real server."""

import asyncio
import re
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Self

import orjson
import pytest
import uvloop

from multiproxy.simulator import Server, Settings, start

WIRE = Path(__file__).parent.parent / "wire"

# What differs from run to run: ids, times, and the words that a seed makes.
_VARIES = (
    (rb"chatcmpl-\w{32}", b"chatcmpl-ID"),
    (rb'"id":"\w{32}"', b'"id":"ID"'),
    (rb"(resp|msg|rs)_\w{32}", rb"\1_ID"),
    (
        rb'"((?:reasoning_)?content|text|arguments|token|thinking|delta)":"(?:[^"\\]|\\.)*"',
        rb'"\1":"T"',
    ),
    (rb'"finish_reason":"(?:stop|length)"', b'"finish_reason":"END"'),
    (rb'"stop_reason":"\w+"', b'"stop_reason":"END"'),
    (rb'"stop_type":"\w+"', b'"stop_type":"END"'),
    (
        rb'"((?:\w+_)?(?:ms|second|n|tokens|logprob|created|at|cache|processed|total))":[-+.\de]+',
        rb'"\1":0',
    ),
    (rb'"(tokens_predicted|tokens_evaluated|tokens_cached|id_slot|created|id)":-?\d+', rb'"\1":0'),
    (rb'"(tokens|embedding|bytes)":(?:\[[-\d.e,\[\]]*?\]+|"[^"]{99,}")', rb'"\1":[]'),
    (rb'score":[-\d.]+', b'score":0'),
    (rb"request \(\d+ tokens", b"request (0 tokens"),
    (rb"input \(\d+ tokens", b"input (0 tokens"),
    (rb"Content-Length: \d+", b"Content-Length: N"),
    (rb"Start-Time-Unix: \d+", b"Start-Time-Unix: N"),
)


def masked(data: bytes) -> bytes:
    """Return ``data`` without what differs from run to run."""
    for pattern, mask in _VARIES:
        data = re.sub(pattern, mask, data)
    return data


def split(answer: bytes) -> tuple[bytes, list[bytes]]:
    """Return an answer's masked head, and its chunks (or its one body) with runs made one."""
    head, _, rest = answer.partition(b"\r\n\r\n")
    if b"\nTransfer-Encoding: chunked" not in head:
        return masked(head), [masked(rest)]
    chunks: list[bytes] = []
    while True:
        size, _, rest = rest.partition(b"\r\n")
        length = int(size, 16)
        payload, ending, rest = rest[:length], rest[length : length + 2], rest[length + 2 :]
        assert ending == b"\r\n"
        if not length:
            assert rest == b""
            return masked(head), chunks
        if chunks[-1:] != [masked(payload)]:
            chunks.append(masked(payload))


def is_complete(answer: bytes) -> bool:
    """Whether ``answer`` is one whole answer."""
    head, blank, body = answer.partition(b"\r\n\r\n")
    if not blank:
        return False
    if b"\nTransfer-Encoding: chunked" in head:
        return body.endswith(b"\r\n0\r\n\r\n")
    length = re.search(rb"\nContent-Length: (\d+)", head)
    return b"\nAccept-Ranges" in head or (length is not None and len(body) >= int(length[1]))


def post(body: object, path: str = "/v1/chat/completions", *fields: str) -> bytes:
    """Return a POST; a string is one user message."""
    if isinstance(body, str):
        body = {"messages": [{"role": "user", "content": body}], "stream": True}
    raw = orjson.dumps(body)
    head = [f"POST {path} HTTP/1.1", "Host: x", f"Content-Length: {len(raw)}", *fields, "", ""]
    return "\r\n".join(head).encode() + raw


class Client:
    """One raw connection to a simulator."""

    def __init__(self, port: int) -> None:
        self._port = port
        self.reader: asyncio.StreamReader
        self.writer: asyncio.StreamWriter

    async def __aenter__(self) -> Self:
        self.reader, self.writer = await asyncio.open_connection("127.0.0.1", self._port)
        return self

    async def __aexit__(self, *error: object) -> None:
        self.writer.transport.abort()

    async def until(self, wanted: bytes) -> bytes:
        """Read up to and including ``wanted``."""
        async with asyncio.timeout(10):
            return await self.reader.readuntil(wanted)

    async def rest(self) -> bytes:
        """Read to the end-of-file, or the reset."""
        pieces = []
        async with asyncio.timeout(10):
            while True:
                try:
                    piece = await self.reader.read(65536)
                except ConnectionResetError:
                    return b"".join(pieces) + b"<reset>"
                if not piece:
                    return b"".join(pieces)
                pieces.append(piece)

    async def answer(self, request: bytes) -> bytes:
        """Send ``request`` and read one whole answer, or up to the end-of-file."""
        self.writer.write(request)
        answer = b""
        async with asyncio.timeout(10):
            while not is_complete(answer):
                piece = await self.reader.read(65536)
                if not piece:
                    break
                answer += piece
        return answer

    async def ask(self, body: object, path: str = "/v1/chat/completions") -> Any:
        """Post ``body`` and return the JSON of the answer."""
        answer = await self.answer(post(body, path))
        return orjson.loads(answer.partition(b"\r\n\r\n")[2])

    async def events(self, body: object, path: str = "/v1/chat/completions") -> list[Any]:
        """Post ``body`` and return the JSON of each SSE event; ``[DONE]`` is left out."""
        answer = await self.answer(post(body, path))
        lines = re.findall(rb"^data: ([{n].*)$", answer, re.MULTILINE)
        return [orjson.loads(line) for line in lines]


def pytest_asyncio_loop_factories(item: pytest.Item) -> dict[str, Callable[[], Any]]:
    """Run what depends on transports on both loops that a simulator may own."""
    factories: dict[str, Callable[[], Any]] = {"asyncio": asyncio.new_event_loop}
    if item.path.stem in ("test_connection", "test_faults"):
        factories["uvloop"] = uvloop.new_event_loop
    return factories


def settings_for(name: str, request: bytes) -> dict[str, object]:
    """Return the settings of the server that was recorded (one port each)."""
    settings: dict[str, object] = {"model": "tiny-chat", "slots": 2, "context_size": 2048}
    if b":18102" in request:
        settings |= {"model": "tiny-think", "reasoning": True}
    elif b":18103" in request:
        settings |= {"model": "tiny-embed", "embeddings": True}
    elif b":18104" in request:
        settings |= {"model": "tiny-rerank", "rerank": True}
    elif b":18105" in request:
        settings |= {"model": "tiny-key", "api_keys": ("sekret", "other")}
    elif b":18140" in request:
        settings |= {"load_time": 3600}
    return settings | ({"infill": False} if name.startswith("infill") else {})


Simulate = Callable[..., Awaitable[Server]]


@pytest.fixture
async def simulate() -> AsyncIterator[Simulate]:
    """A function that starts a simulator without rates, with the given settings."""
    servers = []

    async def begin(**settings: object) -> Server:
        fast: dict[str, object] = {"tokens_per_second": 0, "prompt_tokens_per_second": 0}
        servers.append(await start(Settings(**(fast | settings))))  # type: ignore[arg-type]
        return servers[-1]

    yield begin
    for server in servers:
        await server.close()


@pytest.fixture
def client() -> type[Client]:
    """The raw client."""
    return Client


@pytest.fixture
async def talk(simulate: Simulate) -> AsyncIterator[Client]:
    """A connection to a simulator with default settings."""
    server = await simulate()
    async with Client(server.port) as connection:
        yield connection


def recorded(name: str) -> bytes:
    """Return the real server's answer."""
    return (WIRE / f"{name}.txt").read_bytes()


@pytest.fixture
def wire() -> SimpleNamespace:
    """Recorded answers, requests (``post``), and what to compare (``split``)."""
    return SimpleNamespace(answer=recorded, post=post, split=split)


@pytest.fixture
def replay(simulate: Simulate) -> SimpleNamespace:
    """The recorded and the simulated answer to one recorded request, masked alike."""

    async def simulated(name: str) -> tuple[bytes, list[bytes]]:
        request = (WIRE / f"{name}.req").read_bytes()
        server = await simulate(**settings_for(name, request))
        async with Client(server.port) as connection:
            return split(await connection.answer(request))

    return SimpleNamespace(simulated=simulated, recorded=lambda name: split(recorded(name)))


def user(text: str, **fields: object) -> dict[str, Any]:
    """Return a body with one user message."""
    return {"messages": [{"role": "user", "content": text}], **fields}


def said(events: list[Any], kind: str = "content") -> str:
    """Join one kind of text of a stream's events."""
    deltas = [event["choices"][0]["delta"] for event in events if event["choices"]]
    return "".join(delta.get(kind) or "" for delta in deltas)


@pytest.fixture(name="user")
def user_fixture() -> Callable[..., dict[str, Any]]:
    """See ``user``."""
    return user


@pytest.fixture(name="said")
def said_fixture() -> Callable[..., str]:
    """See ``said``."""
    return said


RUN = "import sys; from multiproxy.simulator import main; sys.exit(main(sys.argv[1:]))"
STREAM = b'{"stream":true,"ignore_eos":true,"messages":[{"role":"user","content":"%b"}]}'


@pytest.fixture
def launch() -> Iterator[Callable[..., tuple[subprocess.Popen[bytes], int]]]:
    """A function that starts a simulator process and returns it with its port."""
    processes: list[subprocess.Popen[bytes]] = []

    def begin(
        *arguments: str, pass_fds: tuple[int, ...] = ()
    ) -> tuple[subprocess.Popen[bytes], int]:
        where = () if "--fd" in arguments else ("--port", "0")
        process = subprocess.Popen(
            [sys.executable, "-c", RUN, *where, *arguments],
            stdout=subprocess.PIPE,
            pass_fds=pass_fds,
        )
        processes.append(process)
        line = process.stdout.readline().decode()
        return process, int(re.fullmatch(r".*http://127\.0\.0\.1:(\d+)\n", line)[1])

    yield begin
    for process in processes:
        process.kill()
        process.wait()
        process.stdout.close()


def open_stream(port: int, content: bytes = b"hi") -> socket.socket:
    """Return a connection on which a stream has been asked for."""
    sock = socket.create_connection(("127.0.0.1", port), timeout=10)
    body = STREAM % content
    head = b"POST /v1/chat/completions HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % len(body)
    sock.sendall(head + body)
    return sock


def read_all(sock: socket.socket) -> bytes:
    """Read to the end-of-file."""
    answer = b""
    while piece := sock.recv(65536):
        answer += piece
    return answer


def read_until(sock: socket.socket, wanted: bytes) -> bytes:
    """Read until ``wanted`` was seen."""
    answer = b""
    while wanted not in answer:
        answer += sock.recv(65536)
    return answer


@pytest.fixture
def streams() -> SimpleNamespace:
    """Streams of a simulator process, on blocking sockets."""
    return SimpleNamespace(open=open_stream, rest=read_all, until=read_until)
