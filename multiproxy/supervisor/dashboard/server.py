"""The dashboard as one object: its listener, its connections and its feed."""

import asyncio
import logging
import socket
import time
from collections.abc import Callable, Iterable

from multiproxy.supervisor.dashboard.actions import Actions
from multiproxy.supervisor.dashboard.admission import Admission
from multiproxy.supervisor.dashboard.connection import Connection
from multiproxy.supervisor.dashboard.contract import Provider
from multiproxy.supervisor.dashboard.feed import FAST_TICK_S, Feed, Render
from multiproxy.supervisor.dashboard.login import Login
from multiproxy.supervisor.dashboard.pages import Renderer
from multiproxy.supervisor.dashboard.routes import Routes, new_token
from multiproxy.supervisor.dashboard.static import StaticFiles, find_web
from multiproxy.supervisor.dashboard.templates import environment

log = logging.getLogger("multiproxy.dashboard")

MAX_CONNECTIONS = 256  # eight tabs of every viewer; more are closed unanswered
FRESH_S = 10.0  # an event that nobody saw is news for this long
GOODBYE_S = 0.5  # for the last words of the streams to be written
VENDORED_BUNDLE = "vendor/htmx-*-sse.min.js"


class Dashboard:
    """Serves until ``close``. ``boot_id`` changes with every start of the program.

    ``allowed_hosts`` are further Host names to answer to; the address it is bound to and the
    loopback names always are. Without a ``login`` everyone who reaches it may see it; without
    ``actions`` nothing can be changed from it.
    """

    def __init__(
        self,
        provider: Provider,
        *,
        allowed_hosts: Iterable[str] = (),
        login: Login | None = None,
        actions: Actions | None = None,
        boot_id: str,
        version: str,
        now: Callable[[], float] = time.time,
        tick_s: float = FAST_TICK_S,
    ) -> None:
        web = find_web()
        static = StaticFiles(web / "static")
        token = new_token()
        frame = {
            "static": static.url,
            "bundle": static.find(VENDORED_BUNDLE),
            "version": version,
            "boot": boot_id,
            "assets": static.assets,
            "token": token,
            "can_act": actions is not None,
        }
        self._provider = provider
        self._now = now
        self._renderer = Renderer(environment(web / "templates"), provider, frame, now)
        identity = {"boot": boot_id, "assets": static.assets, "version": version}
        self.feed = Feed(self._begin, identity, tick_s=tick_s)
        self._routes = Routes(provider, self._renderer, self.feed, static, token, login, actions)
        self._admission = Admission(allowed_hosts)
        self._connections: set[asyncio.Task[None]] = set()
        self._announced = 0  # seq of the last event that viewers were told

    async def start(
        self, host: str = "127.0.0.1", port: int = 8080, *, sock: socket.socket | None = None
    ) -> None:
        """Listens on ``host:port``, or on ``sock`` when the caller has bound it.

        Raises:
            OSError: the address cannot be bound.
        """
        self._announced = max((e.seq for e in self._provider.events()), default=0)
        if sock is not None:
            self._server = await asyncio.start_server(self._accept, sock=sock)
        else:
            self._server = await asyncio.start_server(self._accept, host, port)
        self._ticking = asyncio.create_task(self.feed.run())
        self._refreshing = asyncio.create_task(self._renderer.shelf.run())

    @property
    def addresses(self) -> list[tuple[str, int]]:
        return [listener.getsockname()[:2] for listener in self._server.sockets]

    async def close(self) -> None:
        """Stops listening, says goodbye to the streams, ends every connection."""
        self._server.close()
        self._ticking.cancel()
        self._refreshing.cancel()
        self.feed.close()
        if self._connections:
            await asyncio.wait(self._connections, timeout=GOODBYE_S)
        for task in self._connections:
            task.cancel()
        await asyncio.gather(
            self._ticking, self._refreshing, *self._connections, return_exceptions=True
        )

    def _begin(self) -> Render:
        self._announce_events()
        return self._renderer.moment().fragments

    def _announce_events(self) -> None:
        """Tells viewers what happened since the last look, unless it is old by now."""
        for event in self._provider.events():
            if event.seq > self._announced:
                self._announced = event.seq
                if self._now() - event.at < FRESH_S:
                    self.feed.announce("mp:toast", {"kind": event.kind, "text": event.text})

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(self._connections) >= MAX_CONNECTIONS:
            writer.transport.abort()
            return
        connection = Connection(reader, writer, self._routes, self._admission)
        task = asyncio.create_task(connection.serve())
        self._connections.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: "asyncio.Task[None]") -> None:
        self._connections.discard(task)
        if not task.cancelled() and (error := task.exception()):
            log.error("a dashboard connection failed", exc_info=error)
