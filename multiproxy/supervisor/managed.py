"""Servers that are run from commands: started when wanted, watched, ended when idle.

The decisions are in ``server_life.py``; this room has the processes, what they write, and the
shared numbers by which requests and supervisor understand each other. All happens in ``tick`` and
when a process was reaped.
"""

import asyncio
import contextlib
import os
import shlex
import signal
import subprocess
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, field

from multiproxy.config import Backend, Url
from multiproxy.config.command import filled, masked, secrets_in
from multiproxy.scoreboard import BackendState, Scoreboard
from multiproxy.supervisor.backend_rows import Row
from multiproxy.supervisor.children import Children
from multiproxy.supervisor.descriptors import is_unused, unused_port
from multiproxy.supervisor.last_will import LastWill
from multiproxy.supervisor.log import Log
from multiproxy.supervisor.output import Output
from multiproxy.supervisor.server_life import Life, Order, Scene, Stage
from multiproxy.supervisor.watch import Watch

WISH_S = 1.0  # how long a wish counts: workers renew it five times a second
CLOSE_S = 3.0  # at our own end: from the polite signal to the other one
FLOOD_PAUSE_S = 0.01
_READ = 64 * 1024
_READY = (BackendState.UP, BackendState.SLEEPING)


@dataclass(slots=True)
class Server:
    """One command; ``row`` has the newest settings beside it."""

    row: Row
    port: int
    life: Life
    output: Output
    process: "subprocess.Popen[bytes] | None" = None
    started_at: float | None = None  # Unix time
    wanted_since: float | None = None
    succeeded_ns: int = 0  # the newest sign of life that was seen
    pipe: int = -1
    command: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        self.command = self.row.backend.command or ()

    @property
    def shown(self) -> str:
        """Its command line, without secrets."""
        words = (filled(word, self.port) for word in masked(self.command))
        return self.output.without_secrets(shlex.join(words))

    def excludes(self, other: "Server") -> bool:
        """Whether only one of both may run: by their settings, or as one is the other's heir."""
        mine, its = self.row.backend, other.row.backend
        return other is not self and (
            mine.id == its.id or (mine.exclusive is not None and mine.exclusive == its.exclusive)
        )


class ManagedServers:
    """The servers of all rows with a command, by row index. ``load_s`` is ``timeouts.load``."""

    def __init__(
        self,
        board: Scoreboard,
        children: Children,
        watch: Watch,
        log: Log,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.load_s = 600.0
        self._board = board
        self._children = children
        self._watch = watch
        self._log = log
        self._clock = clock
        self._last_will = LastWill(children)
        self._servers: dict[int, Server] = {}
        self._dismissed: list[Server] = []  # their rows are others' now

    def url_of(self, row: Row) -> Url:
        """Where the row's server listens when it runs.

        Raises:
            CannotListen: no port is free.
        """
        server = self._servers.get(row.index)
        if server is None:
            port = unused_port([each.port for each in self._all()])
            server = Server(row, port, Life(self._clock()), Output(_secrets(row.backend)))
            self._servers[row.index] = server
        return Url("http", "127.0.0.1", server.port)

    def get(self, index: int) -> Server | None:
        return self._servers.get(index)

    def tick(self, retired: Collection[int]) -> None:
        """Start, end and show; ``retired`` are the rows that left the configuration."""
        now = self._clock()
        for server in self._servers.values():
            self._notice_wish(server, now)
        for server in list(self._servers.values()):
            before = server.life.stage
            order = server.life.tick(self._scene(server, now, retired))
            self._carry_out(server, order)
            if server.life.stage is not before:
                self._show(server)
        for server in self._dismissed:
            self._carry_out(server, server.life.tick(Scene(now)))
        self._dismissed = [each for each in self._dismissed if each.life.has_process]

    def stop(self, index: int) -> None:
        """End the server of a row that nobody uses any more; unknown rows are fine."""
        server = self._servers.pop(index, None)
        if server is not None:
            self._carry_out(server, server.life.dismiss(self._clock()))
            self._dismissed.append(server)

    async def close(self) -> None:
        """End all of them, and wait until they have."""
        for index in list(self._servers):
            self.stop(index)
        deadline = time.monotonic() + CLOSE_S
        while self._running() and time.monotonic() < deadline:
            await asyncio.sleep(0.02)
            self._children.reap()
        for server in self._running():
            self._signal(server, signal.SIGKILL)
            if server.process is not None:
                server.process.wait()
        self._children.reap()
        self._last_will.close()

    # -- what is so ----------------------------------------------------------------------------

    def _all(self) -> list[Server]:
        return [*self._servers.values(), *self._dismissed]

    def _running(self) -> list[Server]:
        return [server for server in self._all() if server.process is not None]

    def _notice_wish(self, server: Server, now: float) -> None:
        wanted_at = self._board.load.last_wanted(server.row.index) / 1e9
        if not wanted_at or now - wanted_at >= WISH_S:
            server.wanted_since = None
        elif server.wanted_since is None:
            server.wanted_since = now

    def _scene(self, server: Server, now: float, retired: Collection[int]) -> Scene:
        row, load = server.row, self._board.load
        succeeded_ns = load.last_succeeded(row.index)
        # A request may begin and end between two ticks: then its answer is what is seen.
        is_busy = load.in_flight(row.index) > 0 or load.copies(row.index) > 0
        is_busy = is_busy or succeeded_ns != server.succeeded_ns
        server.succeeded_ns = succeeded_ns
        return Scene(
            now,
            is_wanted=server.wanted_since is not None,
            is_busy=is_busy,
            is_ready=self._is_ready(server),
            is_held=row.held,
            is_retired=row.index in retired,
            is_always=row.backend.start == "always",
            may_start=self._may_start(server),
            rival_since=self._rival_since(server),
            ttl_s=row.backend.ttl,
            load_s=self.load_s,
        )

    def _is_ready(self, server: Server) -> bool:
        probe = self._watch.get(server.row.index)
        return probe is not None and probe.standing.state in _READY

    def _may_start(self, server: Server) -> bool:
        """Whether its place is free, and nobody waits longer for it."""
        mine = server.wanted_since
        for other in self._all():
            if not server.excludes(other):
                continue
            theirs = other.wanted_since if other.life.stage is Stage.STOPPED else None
            if other.life.has_process:
                return False
            if theirs is not None and not other.row.held and (mine is None or theirs < mine):
                return False
        return True

    def _rival_since(self, server: Server) -> float | None:
        """Since when somebody waits for its place; None when nobody does."""
        waits = [
            other.wanted_since
            for other in self._servers.values()
            if other.wanted_since is not None
            and other.life.stage is Stage.STOPPED
            and not other.row.held
            and server.excludes(other)
        ]
        return min(waits, default=None)

    # -- what is done ----------------------------------------------------------------------------

    def _carry_out(self, server: Server, order: Order) -> None:
        match order:
            case Order.START:
                self._start(server)
            case Order.TERMINATE:
                self._signal(server, signal.SIGTERM)
            case Order.KILL:
                self._log.warning(f"{server.row.id}: its command does not end and is killed")
                self._signal(server, signal.SIGKILL)

    def _show(self, server: Server) -> None:
        """Write the new stage to the board at once: requests go by it."""
        life, name = server.life, server.row.id
        probe = self._watch.get(server.row.index)
        if probe is not None:
            probe.told()
        match life.stage:
            case Stage.STARTING:
                self._log.info(f"{name}: started {server.shown}")
            case Stage.LEAVING:
                self._log.info(f"{name}: takes no more requests, its command will end")

    def _start(self, server: Server) -> None:
        backend = server.row.backend
        command = [filled(word, server.port) for word in server.command]
        environ = os.environ | {each.name: filled(each.value, server.port) for each in backend.env}
        server.output.note(f"$ {server.shown}")
        ours, theirs = os.pipe()
        os.set_blocking(ours, False)
        try:
            if not is_unused(server.port):
                raise OSError(f"port {server.port} is taken by another program")
            process = self._children.start(
                command,
                (),
                lambda status: self._on_exit(server, process, status),
                output=theirs,
                environ=environ,
            )
        except (OSError, ValueError) as error:  # ValueError: a null byte in a word
            os.close(ours)
            why = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
            self._ended(server, f"its command {command[0]!r} cannot be run: {why}")
            return
        finally:
            os.close(theirs)
        server.process, server.pipe, server.started_at = process, ours, time.time()
        asyncio.get_running_loop().add_reader(ours, self._read, server)
        try:
            self._last_will.add(process.pid)
        except OSError as error:
            self._log.error(f"{server.row.id} would outlive a killed MultiProxy: {error}")

    def _signal(self, server: Server, number: signal.Signals) -> None:
        """To all that its command has started, too."""
        if server.process is not None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(server.process.pid, number)

    def _read(self, server: Server) -> None:
        """Take over what it wrote; it never waits for us."""
        try:
            piece = os.read(server.pipe, _READ)
        except BlockingIOError:
            return
        if not piece:
            self._close_pipe(server)
            return
        server.output.feed(piece)
        if len(piece) == _READ:  # it writes more than anybody reads: the rest of us go first
            loop = asyncio.get_running_loop()
            loop.remove_reader(server.pipe)
            loop.call_later(FLOOD_PAUSE_S, self._read_on, server, server.pipe)

    def _read_on(self, server: Server, pipe: int) -> None:
        if server.pipe == pipe:
            asyncio.get_running_loop().add_reader(pipe, self._read, server)

    def _close_pipe(self, server: Server) -> None:
        if server.pipe >= 0:
            asyncio.get_running_loop().remove_reader(server.pipe)
            os.close(server.pipe)
            server.pipe = -1
            server.output.end()

    def _on_exit(self, server: Server, process: "subprocess.Popen[bytes]", status: int) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)  # what it has left behind
        self._last_will.remove(process.pid)
        while server.pipe >= 0:  # its last words
            with contextlib.suppress(BlockingIOError):
                piece = os.read(server.pipe, _READ)
                if piece:
                    server.output.feed(piece)
                    continue
            self._close_pipe(server)
        server.process, server.started_at = None, None
        how = f"its command ended with status {status}"
        if status < 0:
            how = f"its command was ended by signal {-status}"
        last = server.output.last
        said = "" if last.startswith("$ ") or not last else f": {last}"
        self._ended(server, how + said)

    def _ended(self, server: Server, reason: str) -> None:
        server.output.note(reason.removeprefix("its ").partition(": ")[0])
        server.life.exited(self._clock(), reason, was_ready=self._is_ready(server))
        if server.life.stage is Stage.STOPPED:
            self._log.info(f"{server.row.id}: its command has ended")
        elif server.life.is_hopeful:  # else the backend is down, which is told
            self._log.error(f"{server.row.id}: {reason}; it is started again")
        if self._servers.get(server.row.index) is server:
            self._show(server)


def _secrets(backend: Backend) -> list[str]:
    """What its lines must not show."""
    told = [*(backend.command or ()), *(f"{each.name}={each.value}" for each in backend.env)]
    return [*secrets_in(told), *filter(None, [backend.api_key])]
