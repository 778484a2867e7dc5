"""The doorway of a worker: takes clients from the socket on which all workers accept."""

import asyncio
import socket

from multiproxy._http.server import ClientConnection
from multiproxy._http.service import Service
from multiproxy.scoreboard import Scoreboard
from multiproxy.worker import tasks
from multiproxy.worker.certificate import Certificate

# A worker this many connections above the lowest leaves the listener to the others.
BALANCE_SLACK = 4
BALANCE_PAUSE_S = 0.002
ACCEPT_RETRY_S = 0.1  # when descriptors ran out


class Doorway:
    """Accepts for the worker ``index``, at most ``most`` connections at a time.

    ``accepted`` is the count of all that were taken, those that broke at once among them;
    ``shaking_hands`` of those that are not among the connections yet.
    """

    def __init__(
        self,
        service: Service,
        board: Scoreboard,
        index: int,
        certificate: Certificate | None,
        *,
        most: int,
    ) -> None:
        self._service = service
        self._board = board
        self._row = board.workers[index]
        self._certificate = certificate
        self._most = most
        self._loop = asyncio.get_running_loop()
        self._listener: socket.socket | None = None
        self.shaking_hands = 0
        self.accepted = 0

    def open(self, listener: socket.socket) -> None:
        """Begin to accept."""
        listener.setblocking(False)
        self._listener = listener
        self._loop.add_reader(listener.fileno(), self._accept)

    def close(self) -> None:
        """Accept nothing new. Idempotent."""
        if self._listener is not None:
            self._loop.remove_reader(self._listener.fileno())
            self._listener.close()
            self._listener = None

    def _accept(self) -> None:
        """Take one connection per wake-up, unless another worker has far fewer."""
        assert self._listener is not None
        mine = len(self._service.connections) + self.shaking_hands
        if mine >= self._most:
            self._pause(ACCEPT_RETRY_S)
            return
        if mine > BALANCE_SLACK and mine > self._board.lowest_connections() + BALANCE_SLACK:
            self._pause(BALANCE_PAUSE_S)
            return
        try:
            sock, _ = self._listener.accept()
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):
            return  # another worker was faster, or the client has left
        except OSError:
            # Descriptors or memory ran out, or the connection broke before it was ours.
            self._pause(ACCEPT_RETRY_S)
            return
        sock.setblocking(False)
        if sock.family in (socket.AF_INET, socket.AF_INET6):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.accepted += 1
        tasks.start(self._connect(sock))

    async def _connect(self, sock: socket.socket) -> None:
        tls = self._certificate.context if self._certificate is not None else None
        self.shaking_hands += 1
        try:
            await self._loop.connect_accepted_socket(
                lambda: ClientConnection(self._service),
                sock,
                ssl=tls,
                ssl_handshake_timeout=self._service.limits.head_s if tls is not None else None,
            )
        except OSError:
            sock.close()  # it left between accept and here, or does not speak TLS
        finally:
            self.shaking_hands -= 1
        self._row.connections = len(self._service.connections)

    def _pause(self, seconds: float) -> None:
        assert self._listener is not None
        self._loop.remove_reader(self._listener.fileno())
        self._loop.call_later(seconds, self._resume)

    def _resume(self) -> None:
        if self._listener is not None:
            self._loop.add_reader(self._listener.fileno(), self._accept)
