"""Idle connections to one backend: bounded, expiring, strict; and the pace of new ones.

llama-server's HTTP threads strand connections that arrive at the same instant: connect
succeeds and the answer comes 5 to 10 s later. So new connections are opened at least
``OPEN_SPACING_S`` apart, over all workers (``pace``), and never more than the exchanges
that need one. Reuse follows what the backend announced (llama-server: 5 s, 100 requests).
"""

import asyncio
import math
import ssl
from collections.abc import Callable

from multiproxy._http.client import BackendConnection, State
from multiproxy.errors import BackendTimeout, BackendUnreachable

OPEN_SPACING_S = 0.001
DEFAULT_KEEP_ALIVE_S = 5.0  # when the backend announces nothing: llama-server's own
KEEP_ALIVE_MARGIN_S = 1.5
MAX_USES = 95  # when the backend announces nothing: llama-server closes after 100
USES_MARGIN = 5


class Pool:
    """Connections of one worker to one backend.

    ``pace`` reserves the moment for one more connection and returns the seconds until then.
    ``server_name`` is what a certificate must say, the host if it is None.
    """

    def __init__(
        self,
        host: str,
        port: int,
        *,
        connect_timeout_s: float,
        pace: Callable[[], float],
        tls: ssl.SSLContext | None = None,
        server_name: str | None = None,
    ) -> None:
        self._host = host
        self._port = port
        self._connect_timeout_s = connect_timeout_s
        self._pace = pace
        self._tls = tls
        self._server_name = (server_name or host) if tls is not None else None
        self._idle: list[BackendConnection] = []
        self.opened = 0

    @property
    def idle_count(self) -> int:
        """How many connections wait to be used again."""
        return len(self._idle)

    async def acquire(self, *, fresh: bool = False) -> BackendConnection:
        """Return a connection in state IDLE; ``uses`` is 0 for a new one.

        ``fresh`` demands a new one: an idle one may have died without telling.

        Raises:
            BackendUnreachable: refused, unresolvable, reset, closed at once, or no handshake.
            BackendTimeout: no connection within ``connect_timeout_s``.
        """
        if not fresh:
            now = asyncio.get_running_loop().time()
            while self._idle:
                connection = self._idle.pop()  # the youngest: the others may expire in peace
                if self._is_usable(connection, now):
                    return connection
                connection.abort()
        elif self._idle:
            self._idle.pop(0).abort()  # the new one takes its place: they must not pile up
        return await self._open()

    async def is_refused(self) -> bool:
        """Whether nobody listens there at this moment: the process is gone, however briefly."""
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(self._connect_timeout_s):
                transport, _ = await loop.create_connection(
                    asyncio.Protocol, self._host, self._port
                )
        except ConnectionRefusedError:
            return True
        except (OSError, UnicodeError):  # a timeout among them
            return False
        transport.abort()
        return False

    def release(self, connection: BackendConnection) -> None:
        """Take a connection back; it is closed unless its answer ended to the byte."""
        if connection.state is not State.IDLE or not connection.is_reusable:
            connection.abort()
            return
        connection.idle_since = asyncio.get_running_loop().time()
        self._idle.append(connection)

    def sweep(self, now: float) -> None:
        """Close what idled too long; call it about once a second."""
        kept = []
        for connection in self._idle:
            if self._is_usable(connection, now):
                kept.append(connection)
            else:
                connection.abort()
        self._idle = kept

    def close(self) -> None:
        """Close every idle connection."""
        for connection in self._idle:
            connection.abort()
        self._idle.clear()

    def _is_usable(self, connection: BackendConnection, now: float) -> bool:
        timeout = connection.keep_alive_timeout
        if timeout is None:
            timeout = DEFAULT_KEEP_ALIVE_S
        maximum = connection.keep_alive_max
        return (
            connection.state is State.IDLE
            and now - connection.idle_since < timeout - KEEP_ALIVE_MARGIN_S
            and connection.uses < (MAX_USES if maximum is None else maximum - USES_MARGIN)
        )

    async def _open(self) -> BackendConnection:
        self.opened += 1
        delay = self._pace()
        if delay > 0:
            # Loops count in milliseconds and round: up, or two would open at once.
            await asyncio.sleep(math.ceil(delay * 1000) / 1000)
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(self._connect_timeout_s):
                _, connection = await loop.create_connection(
                    BackendConnection,
                    self._host,
                    self._port,
                    ssl=self._tls,
                    server_hostname=self._server_name,
                )
        except TimeoutError as error:
            raise BackendTimeout("The backend did not accept a connection in time.") from error
        except (OSError, UnicodeError) as error:  # UnicodeError: a name that cannot be one
            raise BackendUnreachable("The backend cannot be reached.") from error
        if connection.state is not State.IDLE:  # it talked or left while this task was woken
            raise BackendUnreachable("The backend closed a new connection at once.")
        return connection
