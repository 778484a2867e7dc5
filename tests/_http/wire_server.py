"""A client connection on a transport that is a list: bytes in, requests and bytes out."""

import asyncio
import re
from dataclasses import dataclass, field

from multiproxy._http.guard import Guard
from multiproxy._http.head import RequestHead
from multiproxy._http.server import ClientConnection
from multiproxy._http.service import Limits, Service
from multiproxy.errors import ProxyError

BODY_CAP = 1 << 20


class ListTransport(asyncio.Transport):
    """Keeps what is written; ``closed``, ``aborted`` and ``half_closed`` tell how it ended."""

    def __init__(self) -> None:
        super().__init__({"peername": ("127.0.0.1", 1)})
        self.written = b""
        self.closed = self.aborted = self.half_closed = False
        self.reading = True

    def write(self, data: bytes) -> None:
        assert not self.half_closed, "written after write_eof"
        if not self.closed:
            self.written += data

    def writelines(self, parts) -> None:
        self.write(b"".join(parts))

    def set_write_buffer_limits(self, high=None, low=None) -> None:
        self.high, self.low = high, low

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        self.half_closed = True

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        self.closed = True

    def abort(self) -> None:
        self.closed = self.aborted = True

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True


@dataclass
class Seen:
    """What one request came to: its body, or the error that its body was."""

    head: RequestHead
    body: bytes = b""
    error: ProxyError | None = None
    gone: bool = False


class Echo:
    """An exchange that reads the body and answers with its length."""

    def __init__(self, wire: "Wire", connection: ClientConnection, head: RequestHead) -> None:
        self.connection = connection
        self.seen = Seen(head)
        self.calls: list[str] = []
        wire.seen.append(self.seen)
        wire.exchanges.append(self)
        self.task = asyncio.get_running_loop().create_task(self.run(wire))

    async def run(self, wire: "Wire") -> None:
        try:
            self.seen.body = await self.connection.body(BODY_CAP)
        except ProxyError as error:
            self.seen.error = error
            if not self.seen.gone:
                self.connection.answer(error.status, b"", b"", close=error.closes)
            return
        if wire.answers:
            self.connection.answer(200, b"", b"%d" % len(self.seen.body))

    def client_gone(self) -> None:
        self.seen.gone = True
        self.calls.append("gone")

    def client_slow(self) -> None:
        self.calls.append("slow")

    def client_ready(self) -> None:
        self.calls.append("ready")


@dataclass
class Wire:
    """One connection; ``feed`` bytes, look at ``seen`` and ``transport``."""

    answers: bool = True
    limits: Limits = field(default_factory=Limits)
    seen: list[Seen] = field(default_factory=list)
    exchanges: list[Echo] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.transport = ListTransport()
        self.service = Service(
            guard=Guard(origins=["https://good.example"]),
            limits=self.limits,
            open_exchange=lambda connection, head: Echo(self, connection, head),
            render=lambda error, head: (error.status, b"", (error.code or "").encode()),
            connections=set(),
        )
        self.connection = ClientConnection(self.service)
        self.connection.connection_made(self.transport)

    async def feed(self, *pieces: bytes) -> "Wire":
        """Deliver pieces as a loop would: none after the transport was closed."""
        for piece in pieces:
            if not self.transport.closed:
                self.connection.data_received(piece)
            await self.settle()
        return self

    async def settle(self) -> None:
        """Let tasks and callbacks run until nothing is left to do."""
        for _ in range(6):
            await asyncio.sleep(0)

    @property
    def statuses(self) -> list[int]:
        """The status of every answer written, in order."""
        return [
            int(status) for status in re.findall(rb"HTTP/1\.1 (\d{3}) ", self.transport.written)
        ]

    @property
    def ended(self) -> bool:
        """Whether the connection will take no further request."""
        return self.transport.closed or self.transport.half_closed
