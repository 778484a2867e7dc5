"""The load: clients that ask, wait or leave, and write down what they saw.

A process of its own; it judges nothing. Records go to standard output, for the judge. It ends
when every request ended, or after ``seconds``. Run it by hand as

    python -m faults.load '{"port": 8001, "requests": 100}' | python -m faults.judge_process
"""

import asyncio
import json
import random
import re
import resource
import signal
import socket
import struct
import sys
import time
from dataclasses import dataclass, field
from typing import Any, BinaryIO

import uvloop
from faults.asked import PATHS, Asked
from faults.verdict import CLOSED, HAS_LEFT, OPEN, RESET, TIMED_OUT

from framing import AnswerReader, Place, WireError

GARBAGE = (
    b"GET / HTTP/9.9\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 32 + b"\r\n\r\n",
    b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    b'POST /v1/messages HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n{"model":',
    b"POST /v1/chat/completions HTTP/1.1\r\nHost: evil.example\r\nContent-Length: 2\r\n\r\n{}",
    b"GET /v1/nothing HTTP/1.1\r\nHost: localhost\r\n\r\n",
)  # fmt: skip

ERROR = re.compile(rb'data: \{"error":\{|event: error\n|event: response.failed\n')


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the load shall be. Shares are 0 to 1, times seconds, ranges inclusive."""

    port: int
    requests: int
    at_once: int = 8
    seed: int = 1
    seconds: float = 3600.0  # nothing new is asked behind this
    limit_s: float = 20.0  # what takes longer hangs
    prefixes: list[str] = field(default_factory=lambda: ["n"])  # of nonces, in turns
    dialects: list[str] = field(default_factory=lambda: ["chat"])
    tokens: tuple[int, int] = (3, 12)
    streamed: float = 1.0  # share of streams
    leaving: float = 0.0  # share of clients that leave before the end
    leave_s: float = 0.05  # ... at a moment up to this
    kept: float = 0.5  # share of connections that are used again
    garbage: float = 0.0  # share of clients that speak no HTTP, or wrong one
    counted: bool = True  # see ``Asked.is_counted``
    pause_s: float = 0.0  # of a client between two requests
    after_error_s: float = 0.1  # how long to look what follows an error event; SDKs close at once
    key: str = ""


class Load:
    """All clients of one run."""

    def __init__(self, wanted: Wanted, records: BinaryIO) -> None:
        self._wanted = wanted
        self._records = records
        self._chance = random.Random(wanted.seed)
        self._next = 0
        self._until = time.monotonic() + wanted.seconds

    def stop(self) -> None:
        """Ask nothing new."""
        self._until = 0.0

    async def run(self) -> None:
        """Ask everything, or until SIGUSR1."""
        asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, self.stop)
        async with asyncio.TaskGroup() as group:
            for _ in range(self._wanted.at_once):
                group.create_task(self._client())

    def _ask(self) -> Asked | None:
        wanted, chance = self._wanted, self._chance
        if self._next >= wanted.requests or time.monotonic() > self._until:
            return None
        number, self._next = self._next, self._next + 1
        prefix = wanted.prefixes[number % len(wanted.prefixes)]
        nonce = f"{prefix}.{wanted.seed}-{number}"
        if chance.random() < wanted.garbage:
            return Asked(number, f"garbage.{number}", 0, "garbage", False)
        return Asked(
            number,
            nonce,
            chance.randint(*wanted.tokens),
            chance.choice(wanted.dialects),
            chance.random() < wanted.streamed,
            chance.random() < wanted.leaving,
            wanted.counted,
        )

    async def _client(self) -> None:
        connection: Connection | None = None
        while asked := self._ask():
            connection = await self._exchange(asked, connection)
            if self._wanted.pause_s:
                await asyncio.sleep(self._wanted.pause_s)
        if connection is not None:
            connection.close()

    async def _exchange(self, asked: Asked, kept: "Connection | None") -> "Connection | None":
        """One request and its record; the connection, if it is to be used again."""
        self._record({"sent": asked.record()})
        connection, raw = kept, b""
        try:
            if connection is None:
                connection = Connection(
                    *await asyncio.open_connection("127.0.0.1", self._wanted.port)
                )
            connection.writer.write(self._bytes_of(asked))
            limit = self._wanted.limit_s
            if asked.leaves:
                limit = self._chance.random() * self._wanted.leave_s
            try:
                async with asyncio.timeout(limit) as timeout:
                    how = await connection.receive(timeout, self._wanted.after_error_s)
            except TimeoutError:
                how = HAS_LEFT if asked.leaves else TIMED_OUT
                if connection.tells_error:
                    how = CLOSED
            raw = connection.take()
        except OSError as error:
            how = f"{RESET}: {error}"
        at = connection.last_byte_at if connection else time.monotonic()
        self._record({"ended": asked.number, "how": how, "size": len(raw), "at": at}, raw)
        if connection is None:
            return None
        if how == OPEN and self._chance.random() < self._wanted.kept:
            return connection
        connection.close(reset=how == HAS_LEFT and self._chance.random() < 0.5)
        return None

    def _bytes_of(self, asked: Asked) -> bytes:
        if asked.dialect == "garbage":
            return GARBAGE[asked.number % len(GARBAGE)]
        data = json.dumps(asked.body()).encode()
        key = f"Authorization: Bearer {self._wanted.key}\r\n" if self._wanted.key else ""
        head = (
            f"POST {PATHS[asked.dialect]} HTTP/1.1\r\nHost: localhost\r\n{key}"
            f"Content-Type: application/json\r\nContent-Length: {len(data)}\r\n\r\n"
        )
        return head.encode() + data

    def _record(self, record: dict[str, Any], raw: bytes = b"") -> None:
        self._records.write(json.dumps(record).encode() + b"\n" + raw)
        self._records.flush()


class Connection:
    """One connection of a client; keeps all bytes until they are taken."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.writer = writer
        self.last_byte_at = time.monotonic()
        self._reader = reader
        self._raw = b""
        self.tells_error = False

    async def receive(self, timeout: asyncio.Timeout, after_error_s: float) -> str:
        """Read to the end of one answer; tell what the connection is then."""
        framing, self._raw, self.tells_error = AnswerReader(), b"", False
        while framing.place is not Place.DONE:
            try:
                data = await self._reader.read(65536)
            except ConnectionError:
                return RESET
            if not data:
                return CLOSED
            self.last_byte_at = time.monotonic()
            self._raw += data
            if not self.tells_error and ERROR.search(data):
                self.tells_error = True
                timeout.reschedule(asyncio.get_running_loop().time() + after_error_s)
            try:
                framing.feed(data)
            except WireError:
                return CLOSED  # the judge will say so too
        return CLOSED if framing.closes else OPEN

    def take(self) -> bytes:
        """The bytes of the answer so far."""
        raw, self._raw = self._raw, b""
        return raw

    def close(self, *, reset: bool = False) -> None:
        if reset:
            linger = struct.pack("ii", 1, 0)
            sock = self.writer.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            self.writer.transport.abort()
        else:
            self.writer.close()


if __name__ == "__main__":
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    uvloop.run(Load(Wanted(**json.loads(sys.argv[1])), sys.stdout.buffer).run())
