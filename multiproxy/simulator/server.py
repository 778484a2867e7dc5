"""A simulator as a whole: listener, clock, engine; in this process or one of its own."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from .answer import StreamAnswer
from .clock import Clock
from .connection import Connection
from .engine import Engine
from .facts import Facts
from .faults import Fault
from .routes import Routes
from .settings import Settings

BACKLOG = 512  # llama-server's


class Server:
    """One simulated llama-server on the running loop.

    ``die`` is what the magic prompt and the fault of that name do: by default every
    connection ends and the listener closes, as the kernel does for a killed process.
    """

    def __init__(self, settings: Settings, die: Callable[[], None] | None = None) -> None:
        self.settings = settings
        self.loop = asyncio.get_running_loop()
        self.facts = Facts()
        self.clock = Clock(self.loop)
        self.engine = Engine(settings, self.clock, self.facts)
        self.started_at = self.clock.now()
        self.ready_at = self.started_at + settings.load_time
        self.routes = Routes(self)
        self.die = die or self.abort
        self.host = "127.0.0.1"
        self.port = 0
        self._listener: asyncio.Server | None = None
        self._reopening: asyncio.Task[None] | None = None
        self._connections: set[Connection] = set()

    @property
    def silent(self) -> bool:
        """Whether connections are accepted and never answered."""
        return any(fault.kind == "silence" for fault in self.settings.faults)

    async def listen(self, host: str, port: int, sock: socket.socket | None = None) -> None:
        """Begin to accept, on ``sock`` if one is given."""
        if sock is None:
            sock = _bind(host, port)
        self.host, self.port = sock.getsockname()[:2]
        self._listener = await self.loop.create_server(self._accept, sock=sock, backlog=BACKLOG)
        self._obey_refusals()

    def _accept(self) -> Connection:
        return Connection(self)

    def opened(self, connection: Connection) -> None:
        """A client connected."""
        self._connections.add(connection)
        self.facts.connections.append(self.clock.now())
        self.facts.open_connections += 1

    def closed(self, connection: Connection) -> None:
        """A connection ended."""
        self._connections.discard(connection)
        self.facts.open_connections -= 1
        if self.engine.halted and not self._connections:
            self.die()

    def set_faults(self, faults: list[Fault | dict[str, Any] | str]) -> None:
        """Replace the faults; running answers keep theirs.

        Raises:
            ValueError: one of them is none.
        """
        parsed = []
        for fault in faults:
            if isinstance(fault, str):
                parsed.append(Fault.parse(fault))
            else:
                parsed.append(fault if isinstance(fault, Fault) else Fault.of(fault))
        self.settings.faults[:] = parsed
        self._obey_refusals()

    def _obey_refusals(self) -> None:
        refuses = any(fault.kind == "refuse" for fault in self.settings.faults)
        if refuses and self._listener is not None:
            self._listener.close()
            self._listener = None
        elif not refuses and self._listener is None and self.port:
            self._reopening = self.loop.create_task(self.listen(self.host, self.port))

    async def listening(self) -> None:
        """Wait until a listener that ``set_faults`` opens again is open."""
        if self._reopening is not None:
            await self._reopening

    def facts_shown(self) -> dict[str, Any]:
        """Return the facts as JSON has them, without bodies."""
        facts = self.facts
        return {
            "connections": list(facts.connections),
            "open_connections": facts.open_connections,
            "requests": dict(facts.requests),
            "generations": facts.generations,
            "deferred": facts.deferred,
            "finished": facts.finished,
            "aborted": facts.aborted,
            "faults": dict(facts.faults),
            "faults_active": [asdict(fault) for fault in self.settings.faults],
        }

    def stop_accepting(self) -> None:
        """Close the listener; connections stay."""
        if self._listener is not None:
            self._listener.close()
            self._listener = None

    def abort(self) -> None:
        """End everything at once with FIN, as the kernel does for a killed process."""
        self.stop_accepting()
        for connection in list(self._connections):
            connection.close()

    async def close(self) -> None:
        """End everything and wait until the last connection is gone. Idempotent."""
        if self._listener is not None:
            # asyncio loses a connection that it accepted when its server is closed before the
            # loop's next turns: no more of them, then those turns, then the end.
            for listening in self._listener.sockets:
                self.loop.remove_reader(listening.fileno())
            for _ in range(3):
                await asyncio.sleep(0)
        self.stop_accepting()
        self.clock.close()
        for connection in list(self._connections):
            connection.transport.abort()
        while self._connections:
            await asyncio.sleep(0)

    def linger(self) -> None:
        """End as llama-server ends at SIGTERM: no new work, no results, no last chunk.

        Idle connections close at once. A stream gets one more ping, when its time comes,
        and then FIN; a whole answer never comes.
        """
        self.stop_accepting()
        self.engine.halt()
        interval = self.settings.ping_interval
        for connection in list(self._connections):
            answer = connection.answer
            if connection.request is None:
                connection.close()
            elif isinstance(answer, StreamAnswer) and interval >= 0:
                self.loop.call_later(interval, answer.part)
        if not self._connections:
            self.die()


def _bind(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # Named TCP: only then does asyncio send small pieces at once, as llama-server does.
    sock = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind((host, port))
    sock.setblocking(False)
    return sock


async def start(settings: Settings, host: str = "127.0.0.1", port: int = 0) -> Server:
    """Return a simulator that serves on the running loop; ``await server.close()`` ends it."""
    server = Server(settings)
    await server.listen(host, port)
    return server


def run(
    settings: Settings,
    *,
    sock: socket.socket | None = None,
    host: str = "127.0.0.1",
    port: int = 0,
    lifeline_fd: int | None = None,
    announce: bool = False,
) -> int:
    """Serve until SIGTERM or SIGINT, or until ``lifeline_fd`` reads end-of-file.

    Blocks; owns its loop (uvloop where there is one). ``announce`` prints one line when
    the port is open. Returns the exit status.
    """
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        return runner.run(_serve(settings, sock, host, port, lifeline_fd, announce))


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop
    except ImportError:
        return None
    factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return factory


async def _serve(
    settings: Settings,
    sock: socket.socket | None,
    host: str,
    port: int,
    lifeline_fd: int | None,
    announce: bool,
) -> int:
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    server = Server(settings, die=lambda: os._exit(1))
    await server.listen(host, port, sock)

    def terminate() -> None:
        if settings.sigterm != "linger" or server.engine.halted:
            ended.set()
        else:
            server.linger()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, terminate)
    if lifeline_fd is not None:
        loop.add_reader(lifeline_fd, ended.set)
    if announce:
        print(f"simulating llama-server on http://{server.host}:{server.port}", flush=True)
    await ended.wait()
    await server.close()
    return 1 if server.engine.halted else 0
