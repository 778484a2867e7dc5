"""The paths that are counted: one piece of an answer, and one whole request, nothing else.

A real worker with keys, limits and affinity, as the tests build it, between a client and a
backend that are transports without sockets.
"""

import asyncio
import hashlib
import sys
from abc import abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests"), str(ROOT / "perf")]

from worker.workplace import Client, LogLines, Workplace  # noqa: E402

import answers  # noqa: E402
from multiproxy._http.client import BackendConnection  # noqa: E402
from multiproxy.config import Key  # noqa: E402
from multiproxy.worker.main import TICK_S  # noqa: E402
from plan import Plan, blocks_in  # noqa: E402
from questions import QUESTIONS  # noqa: E402

_SECRET = "sk-micro-0123456789"
_DIGEST = hashlib.sha256(_SECRET.encode()).hexdigest()
_PIECE = 65536  # bytes of a request that are read at a time
_CREATED = 1_795_396_732
_DUE_US = 10_000_000
_WARM = 10  # times that a path is walked before it is counted
_EVENTS = 1_000_000  # that an answer would have to its end
_MOST_TURNS = 10_000  # of the loop, for what should take a few


class Wire(asyncio.Transport):
    """Counts what is written, and keeps the last of it."""

    def __init__(self) -> None:
        super().__init__({"peername": ("127.0.0.1", 1)})
        self.writes = 0
        self.last = b""
        self.closed = False

    def write(self, data: Any) -> None:
        self.writes += 1
        self.last = data

    def writelines(self, parts: Any) -> None:
        self.writes += 1
        self.last = parts[0]

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Nothing is ever buffered."""

    def pause_reading(self) -> None:
        """Nothing comes by itself."""

    resume_reading = pause_reading

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        self.closed = True

    abort = close


class _NoLog(LogLines):
    """An access log that keeps nothing, as a real one."""

    def write(self, record: Any, backend: str) -> None:
        """It is written."""


class Walk:
    """One path; ``step`` walks it once, ``begin`` comes before the first time."""

    steps = 10  # over which is averaged

    def __init__(self, question: str, plan: Plan) -> None:
        self._plan = plan
        self._request = _request(question, plan)
        key = Key("micro", f"sha256:{_DIGEST}", max_concurrent=1000, requests_per_minute=10**6)
        self._workplace = Workplace(9, config={"keys": (key,)})
        self._workplace.board.backends.write_facts(0, orjson.dumps({"models": [{"id": "perf"}]}))
        self._workplace.worker.refresh()
        self._workplace.worker._log = _NoLog()  # type: ignore[assignment]
        self.client_wire, self.backend_wire = Wire(), Wire()
        self._client = Client(self._workplace, self.client_wire)  # type: ignore[arg-type]
        self._backend = BackendConnection()
        self._backend.connection_made(self.backend_wire)

    async def begin(self) -> None:
        """Bring everything to where it is when the path is walked for the thousandth time."""

    @abstractmethod
    async def step(self) -> None:
        """Walk the path."""

    async def end(self) -> None:
        """Leave, so that nothing of it runs on."""
        self._client.leave()
        await self._until(lambda: not self._workplace.exchanges)
        self._workplace.close()

    @property
    def writes(self) -> int:
        """Writes to both sides so far: each is a system call."""
        return self.client_wire.writes + self.backend_wire.writes

    async def _ask(self) -> None:
        """The client's request, to where the backend has it."""
        pool = self._workplace.worker.backends.by_index[0].pool
        self._backend.uses = 0
        self._backend.idle_since = asyncio.get_running_loop().time()
        if self._backend not in pool._idle:
            pool._idle.append(self._backend)
        before = self.backend_wire.writes
        for piece in self._request:
            self._client.connection.data_received(piece)
        await self._until(lambda: self.backend_wire.writes > before)

    async def _until(self, look: Callable[[], object]) -> None:
        for _ in range(_MOST_TURNS):
            if look():
                return
            await asyncio.sleep(0)
        raise RuntimeError(f"it did not come so far; the client has {self.client_wire.last!r}")


class Token(Walk):
    """One token of a stream: in as the backend's chunk, out in the client's dialect."""

    def __init__(self, question: str) -> None:
        super().__init__(question, Plan("micro", 1, _EVENTS, 20_000))
        self._text = answers.StreamText(self._plan, _CREATED)
        self._seq = 100_000  # so that all tokens have as many digits

    async def begin(self) -> None:
        await self._ask()
        self._backend.data_received(answers.stream_head(closes=False))
        self._backend.data_received(self._text.token(0, self._seq))
        for _ in range(_WARM):
            await self.step()

    async def step(self) -> None:
        self._seq += 1
        self._backend.data_received(self._text.token(self._seq, _DUE_US + self._seq))


class Look(Token):
    """One look of the worker's clock at an open stream on which nothing moves."""

    async def begin(self) -> None:
        self._now = asyncio.get_running_loop().time()
        await super().begin()

    async def step(self) -> None:
        self._now += TICK_S
        [exchange] = self._workplace.exchanges
        exchange.tick(self._now, int(self._now * 1e9))


class Embedding(Walk):
    """A whole small request, and its answer of 1 KB, relayed byte by byte."""

    def __init__(self) -> None:
        super().__init__("embedding", Plan("micro", 1, size=1024))
        self._answer = answers.json_answer(answers.small_body(self._plan))

    async def begin(self) -> None:
        for _ in range(_WARM):
            await self.step()

    async def step(self) -> None:
        await self._ask()
        self._backend.data_received(self._answer)
        await self._until(lambda: not self._workplace.exchanges)


class Stream(Walk):
    """A whole stream with one token: what a chat costs beside its tokens."""

    def __init__(self, question: str, ballast: int = 0) -> None:
        super().__init__(question, Plan("micro", 1, 1, 20_000, ballast=blocks_in(ballast)))
        self.steps = 5 if ballast else 10
        text = answers.StreamText(self._plan, _CREATED)
        self._answer = [
            answers.stream_head(closes=False),
            text.token(0, _DUE_US),
            text.finish(1.0),
            answers.DONE_CHUNK,
            answers.LAST_CHUNK,
        ]

    async def begin(self) -> None:
        for _ in range(_WARM):
            await self.step()

    async def step(self) -> None:
        await self._ask()
        for piece in self._answer:
            self._backend.data_received(piece)
        await self._until(lambda: not self._workplace.exchanges)


def _request(question: str, plan: Plan) -> list[bytes]:
    """What the client sends, as it is read."""
    asked = QUESTIONS[question]
    body = orjson.dumps(asked.body(plan))
    head = (
        f"POST {asked.path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {_SECRET}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    raw = head.encode() + body
    return [raw[start : start + _PIECE] for start in range(0, len(raw), _PIECE)]


PATHS: dict[str, Callable[[], Walk]] = {
    "token, relayed": lambda: Token("chat"),
    "token, as Messages": lambda: Token("messages"),
    "token, as Responses": lambda: Token("responses"),
    "token, folded": lambda: Token("whole chat"),
    "look at a quiet stream": lambda: Look("chat"),
    "request, relayed": Embedding,
    "request, streamed": lambda: Stream("chat"),
    "request, as Messages": lambda: Stream("messages"),
    "request, as Responses": lambda: Stream("responses"),
    "request, folded": lambda: Stream("whole chat"),
    "request of 1 MB, streamed": lambda: Stream("chat", ballast=1_000_000),
    "request of 1 MB, as Messages": lambda: Stream("messages", ballast=1_000_000),
}
