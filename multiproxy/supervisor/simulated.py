"""Built-in simulated llama-servers: one process each, on a port that is known before it starts.

The supervisor binds the socket and keeps it, so the address stays when a process dies and is
started again, and whoever connects in between waits a moment instead of being refused.
"""

import socket
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from multiproxy.config import Address, Simulate, Url
from multiproxy.supervisor import own_code
from multiproxy.supervisor.backend_rows import Row
from multiproxy.supervisor.children import Children
from multiproxy.supervisor.descriptors import bound_address, listen
from multiproxy.supervisor.log import Log

COMMAND = own_code.command("multiproxy", "simulate")
RESTART_S = 1.0  # between two starts of one server


@dataclass(slots=True)
class _Server:
    name: str
    settings: Simulate
    sock: socket.socket
    process: "subprocess.Popen[bytes] | None" = None
    started_at: float = 0.0
    is_wanted: bool = True


class SimulatedServers:
    """The servers of all rows that have no url, by row index."""

    def __init__(
        self,
        children: Children,
        log: Log,
        lifeline_fd: int,
        command: Sequence[str] = COMMAND,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._servers: dict[int, _Server] = {}
        self._children = children
        self._log = log
        self._lifeline_fd = lifeline_fd
        self._command = tuple(command)
        self._clock = clock

    def url_of(self, row: Row) -> Url:
        """The address of the row's server, which is started if it does not run.

        Raises:
            CannotListen: no port is free.
        """
        assert row.backend.simulate is not None
        server = self._servers.get(row.index)
        if server is None:
            sock = listen(Address("127.0.0.1", 0), row.id)
            server = self._servers[row.index] = _Server(row.id, row.backend.simulate, sock)
            self._start(server)
        where = bound_address(server.sock)
        return Url("http", where.host, where.port)

    def tick(self) -> None:
        """Start again whoever died."""
        for server in self._servers.values():
            if server.process is None and self._clock() - server.started_at >= RESTART_S:
                self._start(server)

    def stop(self, index: int) -> None:
        """End the server of a row that nobody uses any more; unknown rows are fine."""
        server = self._servers.pop(index, None)
        if server is not None:
            server.is_wanted = False
            server.sock.close()
            if server.process is not None:
                server.process.terminate()

    def stop_all(self) -> None:
        for index in list(self._servers):
            self.stop(index)

    def _start(self, server: _Server) -> None:
        fd = server.sock.fileno()
        wanted = server.settings
        flags = {
            "--fd": fd,
            "--lifeline": self._lifeline_fd,
            "--model": wanted.model,
            "--slots": wanted.slots,
            "--ctx": wanted.context_size,
            "--tps": wanted.tokens_per_second,
            "--pps": wanted.prompt_tokens_per_second,
            "--load-time": wanted.load_time,
        }
        arguments = [str(part) for flag in flags.items() for part in flag]
        server.started_at = self._clock()
        try:
            server.process = self._children.start(
                [*self._command, *arguments],
                (fd, self._lifeline_fd),
                lambda status: self._on_exit(server, status),
                silent=True,
            )
        except OSError as error:
            self._log.error(f"simulated server {server.name} cannot be started: {error}")

    def _on_exit(self, server: _Server, status: int) -> None:
        server.process = None
        if server.is_wanted:
            self._log.error(f"simulated server {server.name} died ({status}); starting it again")
