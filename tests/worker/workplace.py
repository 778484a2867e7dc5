"""A real worker on the test's own loop: clients on list transports, backends as they come."""

import asyncio
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import orjson
from _http.wire_server import ListTransport

from multiproxy._http.server import ClientConnection
from multiproxy.config import Backend, Config, Url
from multiproxy.scoreboard import BackendRow, BackendState, Finished, Scoreboard
from multiproxy.worker import main
from multiproxy.worker.exchange import Exchange

UP = BackendState.UP


class LogLines:
    """Stands in for the access log: ``records`` as they were written."""

    dropped = 0

    def __init__(self) -> None:
        self.records: list[tuple[Finished, str]] = []

    def write(self, record: Finished, backend: str) -> None:
        self.records.append((record, backend))

    def flush(self) -> None:
        """Nothing is buffered."""

    def close(self) -> None:
        """Nothing is open."""


def row(state: BackendState = UP, slots: int = 4, checked_ns: int = 1) -> BackendRow:
    return BackendRow(state, slots, 0, 1, checked_ns, 1, 0, 0)


def reports(*names: str, **more: object) -> bytes:
    """A backend's facts as the probes write them."""
    return orjson.dumps({"models": [{"id": name} for name in names], **more})


class Workplace:
    """Backends ``b0``, ``b1`` ... on these ports, all up and serving the model ``demo``.

    Those whose numbers are in ``native`` are asked in the clients' dialects.
    """

    def __init__(
        self, *ports: int, config: Mapping[str, Any] | None = None, native: Collection[int] = ()
    ) -> None:
        self.board = Scoreboard.create()
        backends = tuple(
            Backend(
                f"b{index}",
                Url("http", "127.0.0.1", port),
                dialects="native" if index in native else "translated",
            )
            for index, port in enumerate(ports)
        )
        self.config = Config(backends=backends, **(config or {}))
        for index in range(len(ports)):
            self.board.backends.write(index, row())
            self.board.backends.write_facts(index, reports("demo"))
        indices = {backend.id: index for index, backend in enumerate(backends)}
        self.board.workers[0].begin(1, 0)
        keys = {key.name: index for index, key in enumerate(self.config.keys)}
        extra = {"backends": indices, "keys": keys}
        self.worker = main.Worker(self.config, extra, self.board, 0)
        self.worker._log.close()
        self.log = LogLines()
        self.worker._log = self.log  # type: ignore[assignment]

    def client(self, transport: ListTransport | None = None) -> "Client":
        return Client(self, transport or ListTransport())

    @property
    def exchanges(self) -> list[Exchange]:
        return list(self.worker._exchanges)

    async def settled(self) -> None:
        """Wait until no exchange runs."""
        async with asyncio.timeout(20):
            while self.worker._exchanges:
                await asyncio.sleep(0)
            await asyncio.sleep(0)

    async def until(self, look: Callable[[], object]) -> None:
        async with asyncio.timeout(20):
            while not look():
                await asyncio.sleep(0)

    async def until_progress(self) -> Exchange:
        """Wait until the backend of the only exchange has told of its prompt."""
        (exchange,) = self.exchanges
        await self.until(
            lambda: (
                exchange._serving
                and exchange._serving.translator
                and exchange._serving.translator.progress
            )
        )
        return exchange

    def pass_time(self, exchange: Exchange, *seconds: int) -> None:
        """Let the worker's clock reach the exchange this much later, each time from now."""
        now = self.worker.now()
        for later in seconds:
            exchange.tick(now + later, 0)

    @property
    def in_flight(self) -> list[int]:
        return [self.board.load.in_flight(index) for index in range(len(self.config.backends))]

    @property
    def endings(self) -> list[tuple[int, str]]:
        """Status and termination code of every line of the log."""
        return [(record.status, record.termination) for record, _ in self.log.records]

    @property
    def records(self) -> list[Finished]:
        return self.board.ring(0).read(0)[0]

    def is_clean(self) -> bool:
        """Whether nothing of any exchange is left but records and idle connections."""
        idle = [
            connection
            for backend in self.worker.backends.by_index.values()
            for connection in backend.pool._idle
        ]
        return (
            not self.worker._exchanges
            and not any(self.in_flight)
            and not list(self.board.live[0].rows())
            and not self.worker.placer.waiting
            and all(connection.is_reusable for connection in idle)
            and len(self.log.records) == len(self.records)
        )

    def close(self) -> None:
        self.worker.backends.close()
        self.board.close()


class Client:
    """One client's connection to the worker."""

    def __init__(self, workplace: Workplace, transport: ListTransport) -> None:
        self._workplace = workplace
        self.transport = transport
        self.connection = ClientConnection(workplace.worker._service)
        self.connection.connection_made(transport)

    def send(
        self,
        body: object,
        path: str = "/v1/chat/completions",
        method: str = "POST",
        fields: str = "",
    ) -> None:
        """``fields`` are further header lines, each with its line end."""
        raw = b"" if body is None else body if isinstance(body, bytes) else orjson.dumps(body)
        length = f"Content-Length: {len(raw)}\r\n" if body is not None else ""
        head = f"{method} {path} HTTP/1.1\r\nHost: localhost\r\n{fields}{length}\r\n"
        self.connection.data_received(head.encode() + raw)

    def leave(self) -> None:
        self.connection.connection_lost(ConnectionResetError())

    async def ask(self, body: object, *more: str) -> "Answer":
        """Send one request and return its answer once its exchange ended."""
        start = len(self.transport.written)
        self.send(body, *more)
        await self._workplace.settled()
        return Answer(self.transport.written[start:])


class Answer:
    """One answer: ``status``, ``head``, ``body`` (framing undone), ``complete``."""

    def __init__(self, data: bytes) -> None:
        self.head, _, body = data.partition(b"\r\n\r\n")
        found = re.match(rb"HTTP/1.1 (\d+)", self.head)
        self.status = int(found[1]) if found else 0
        if b"Transfer-Encoding: chunked" in self.head:
            self.complete = body.endswith(b"0\r\n\r\n")
            parts = []
            while body and not body.startswith(b"0\r\n"):
                size, _, rest = body.partition(b"\r\n")
                parts.append(rest[: int(size, 16)])
                body = rest[int(size, 16) + 2 :]
            assert body in (b"", b"0\r\n\r\n"), body
            self.body = b"".join(parts)
        else:
            self.body = body
            length = re.search(rb"Content-Length: (\d+)", self.head)
            self.complete = length is not None and len(body) == int(length[1])

    @property
    def json(self) -> Any:
        return orjson.loads(self.body)

    @property
    def error(self) -> Any:
        return self.json["error"]["code"]

    @property
    def text(self) -> str:
        """The text of a streamed Chat answer."""
        events = re.findall(rb"^data: (\{.*)$", self.body, re.MULTILINE)
        choices = [choice for each in events for choice in orjson.loads(each).get("choices", ())]
        return "".join(choice["delta"].get("content") or "" for choice in choices)


def chat(content: str = "hi", **more: object) -> dict[str, object]:
    """A streamed Chat request."""
    messages: Sequence[object] = [{"role": "user", "content": content}]
    return {"model": "demo", "stream": True, "messages": messages, "max_tokens": 8, **more}
