"""The shared memory itself: made by the supervisor, attached by workers, one room per section."""

import mmap
import os
import struct
import tempfile

from multiproxy.errors import ScoreboardMismatch
from multiproxy.scoreboard import layout
from multiproxy.scoreboard.backends import BackendBoard
from multiproxy.scoreboard.deaths import Deaths
from multiproxy.scoreboard.keys import KeyUsage
from multiproxy.scoreboard.live import LiveTable
from multiproxy.scoreboard.load import Load
from multiproxy.scoreboard.memory import Memory
from multiproxy.scoreboard.orders import Orders
from multiproxy.scoreboard.ring import Ring
from multiproxy.scoreboard.workers import WorkerRows

_HEADER = struct.Struct("=8sIIIIIQ")
_EXPECTED = (
    layout.MAGIC, layout.VERSION, layout.WORKERS, layout.BACKENDS, layout.LIVE_ROWS,
    layout.RING_RECORDS, layout.SIZE,
)  # fmt: skip


def _make_file() -> int:
    """A descriptor of ``layout.SIZE`` zero bytes that vanishes with its last user."""
    if hasattr(os, "memfd_create"):
        fd = os.memfd_create("multiproxy-scoreboard", os.MFD_CLOEXEC)
    else:
        fd, path = tempfile.mkstemp(prefix="multiproxy-scoreboard-")
        os.unlink(path)
    os.ftruncate(fd, layout.SIZE)
    return fd


class Scoreboard:
    """Made with ``create`` or ``attach``; ``fd`` is what a child process inherits."""

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self._memory = memoryview(mmap.mmap(fd, layout.SIZE))
        self.workers = WorkerRows(self._memory)
        self.orders = Orders(self._memory)
        self.load = Load(self._memory)
        self.keys = KeyUsage(self._memory)
        self.deaths = Deaths(self._memory)
        self.backends = BackendBoard(self._memory)
        self.live = tuple(LiveTable(self._memory, w) for w in range(layout.WORKERS))
        self._rings = tuple(Ring(self._memory, w) for w in range(layout.WORKERS))
        self.memory = Memory(self._memory[layout.MEMORY.offset : layout.MEMORY.end])
        self.lowest_connections = self.workers.lowest_connections

    @classmethod
    def create(cls) -> "Scoreboard":
        """A new, empty scoreboard."""
        board = cls(_make_file())
        for worker in range(layout.WORKERS):
            board.workers[worker].reset()
        _HEADER.pack_into(board._memory, 0, *_EXPECTED)
        return board

    @classmethod
    def attach(cls, fd: int) -> "Scoreboard":
        """The scoreboard behind an inherited descriptor.

        Raises:
            ScoreboardMismatch: the descriptor is something else, or of another version.
        """
        if os.fstat(fd).st_size < _HEADER.size:
            raise ScoreboardMismatch(f"descriptor {fd} is not a scoreboard")
        with mmap.mmap(fd, _HEADER.size, access=mmap.ACCESS_READ) as start:
            found = _HEADER.unpack(start[: _HEADER.size])
        if found[0] != layout.MAGIC:
            raise ScoreboardMismatch(f"descriptor {fd} is not a scoreboard")
        if found != _EXPECTED:
            raise ScoreboardMismatch(
                f"the scoreboard has layout version {found[1]} and {found[-1]} bytes, this program "
                f"expects version {layout.VERSION} and {layout.SIZE} bytes: restart MultiProxy"
            )
        return cls(fd)

    def ring(self, worker: int) -> Ring:
        return self._rings[worker]

    def bury(self, worker: int) -> None:
        """Free all that a dead worker held, but for its ring. Only once its pid was reaped."""
        self.workers[worker].reset()
        self.load.reset(worker)
        self.keys.reset(worker)
        self.live[worker].reset()

    def close(self) -> None:
        """Close the descriptor. The memory goes with the last object that looks into it."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1
