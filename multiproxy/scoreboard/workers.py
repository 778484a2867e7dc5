"""One row per worker process: who it is, whether it serves, how many connections it holds."""

from enum import IntEnum

from multiproxy.scoreboard import layout
from multiproxy.scoreboard.cells import Stamp, Word


class WorkerState(IntEnum):
    """Where a worker's process is in its life; a row goes around, FREE to FREE."""

    FREE = 0
    STARTING = 1
    SERVING = 2
    DRAINING = 3


class Pressure(IntEnum):
    """How short of memory a worker is; each step does what the ones before do, too."""

    NONE = 0
    CLOSING = 1  # idle clients are asked to leave
    REFUSING = 2  # no new requests while others run
    CUTTING = 3  # clients that do not take their answers are cut


_BALANCE = 0  # byte offset; connections while SERVING, else NO_CONNECTIONS


class WorkerRow:
    """Row ``index``. Its writer is worker ``index``; the supervisor only ``reset``s a dead one.

    ``accepted`` (connections since begin), ``waiting`` (requests waiting for a slot),
    ``waits_since_ns`` (monotonic, of who waits longest; 0 nobody), ``lag_ns`` (of the loop),
    ``log_dropped`` (log lines), ``beat_ns`` (monotonic) and ``memory`` (private bytes) are plain
    numbers.
    """

    _balance = Word(_BALANCE)
    _state = Word(4)
    _connections = Word(8)
    pid = Word(12)
    generation = Word(16)
    waiting = Word(20)
    accepted = Stamp(24)
    beat_ns = Stamp(32)
    lag_ns = Stamp(40)
    log_dropped = Stamp(48)
    waits_since_ns = Stamp(56)
    memory = Stamp(64)
    _pressure = Word(72)

    def __init__(self, memory: "memoryview[int]", index: int) -> None:
        start = layout.WORKER.at(index)
        row = memory[start : start + layout.WORKER.row_size]
        self.index = index
        self.words = row.cast("I")
        self.stamps = row.cast("Q")

    def begin(self, pid: int, generation: int) -> None:
        """Take the row for a new process; its state is STARTING until it says otherwise."""
        self.reset()
        self.pid = pid
        self.generation = generation
        self.state = WorkerState.STARTING

    def reset(self) -> None:
        """Zero the row. For the supervisor only once no process owns it."""
        self.state = WorkerState.FREE
        for cell in range(2, len(self.words)):
            self.words[cell] = 0

    def beat(self, now_ns: int) -> None:
        """Say that the loop turned; ``now_ns`` is monotonic."""
        self.beat_ns = now_ns

    @property
    def state(self) -> WorkerState:
        return WorkerState(self._state)

    @state.setter
    def state(self, state: WorkerState) -> None:
        self._state = state
        serving = state is WorkerState.SERVING
        self._balance = self._connections if serving else layout.NO_CONNECTIONS

    @property
    def pressure(self) -> Pressure:
        return Pressure(self._pressure)

    @pressure.setter
    def pressure(self, pressure: Pressure) -> None:
        self._pressure = pressure

    @property
    def connections(self) -> int:
        """Client connections that are open now."""
        return self._connections

    @connections.setter
    def connections(self, count: int) -> None:
        self._connections = count
        if self._state == WorkerState.SERVING:
            self._balance = count


class WorkerRows:
    """All rows, and the one question that workers ask about each other."""

    def __init__(self, memory: "memoryview[int]") -> None:
        self._rows = tuple(WorkerRow(memory, index) for index in range(layout.WORKERS))
        words = memory[layout.WORKER.offset : layout.WORKER.end].cast("I")
        # every row's balance cell, as one strided view
        self._balances = words[_BALANCE // 4 :: layout.WORKER.row_size // 4]

    def __getitem__(self, index: int) -> WorkerRow:
        return self._rows[index]

    def __len__(self) -> int:
        return len(self._rows)

    def lowest_connections(self) -> int:
        """The fewest connections that a serving worker holds; 0 when none serves."""
        lowest = min(self._balances.tolist())
        return 0 if lowest == layout.NO_CONNECTIONS else lowest
