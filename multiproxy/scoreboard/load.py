"""What every worker asks of every backend: requests in flight, and when things last happened.

All cells are ``[worker][backend]``; a worker writes its own row and reads whole columns. The
sum is never locked: between reading it and adding to it nothing else of the same worker runs,
so a backend is overbooked by at most one request per other worker.
"""

from typing import Literal

from multiproxy.scoreboard import layout
from multiproxy.scoreboard.layout import Section


class _Table:
    """``cells`` is row after row; ``columns[b]`` is backend ``b`` of every worker."""

    def __init__(
        self, memory: "memoryview[int]", section: Section, kind: Literal["I", "Q"]
    ) -> None:
        self.cells = memory[section.offset : section.end].cast(kind)
        width = layout.BACKENDS
        self.columns = tuple(self.cells[backend::width] for backend in range(width))


class Load:
    """Writer of row ``worker`` is that worker. All times are monotonic nanoseconds."""

    def __init__(self, memory: "memoryview[int]") -> None:
        self._in_flight = _Table(memory, layout.IN_FLIGHT, "I")
        self._opened = _Table(memory, layout.OPENED, "Q")
        self._failed = _Table(memory, layout.FAILED, "Q")
        self._failures = _Table(memory, layout.FAILURES, "I")
        self._succeeded = _Table(memory, layout.SUCCEEDED, "Q")
        self._copies = _Table(memory, layout.COPIES, "I")
        self._wanted = _Table(memory, layout.WANTED, "Q")

    def in_flight(self, backend: int) -> int:
        """Requests that all workers together have at ``backend`` now."""
        return sum(self._in_flight.columns[backend].tolist())

    def add(self, worker: int, backend: int, delta: int) -> None:
        """Count requests of ``worker`` that begin (+1) or end (-1) at ``backend``."""
        cell = worker * layout.BACKENDS + backend
        value = self._in_flight.cells[cell] + delta
        assert value >= 0, f"worker {worker} ended more requests at backend {backend} than it began"
        self._in_flight.cells[cell] = value

    def copies(self, backend: int) -> int:
        """Mirrored requests that all workers together have at ``backend`` now."""
        return sum(self._copies.columns[backend].tolist())

    def add_copy(self, worker: int, backend: int, delta: int) -> None:
        """Count mirrored requests: apart, so that no request makes room for them."""
        self._copies.cells[worker * layout.BACKENDS + backend] += delta

    def opened(self, worker: int, backend: int, now_ns: int) -> None:
        """Say that ``worker`` opens a connection to ``backend``."""
        self._opened.cells[worker * layout.BACKENDS + backend] = now_ns

    def last_opened_of(self, worker: int, backend: int) -> int:
        """When ``worker`` last opened a connection to ``backend``; 0 for never."""
        return self._opened.columns[backend][worker]

    def last_opened(self, backend: int, besides: int) -> int:
        """When a worker other than ``besides`` last opened a connection; 0 for never."""
        stamps = self._opened.columns[backend].tolist()
        stamps[besides] = 0
        return max(stamps)

    def failed(self, worker: int, backend: int, now_ns: int) -> None:
        """Report a connection that failed; the supervisor probes at once when it sees it."""
        cell = worker * layout.BACKENDS + backend
        # The counter wraps: only its changing matters.
        self._failures.cells[cell] = (self._failures.cells[cell] + 1) & 0xFFFF_FFFF
        self._failed.cells[cell] = now_ns

    def failures(self, backend: int) -> tuple[int, int]:
        """When a connection to ``backend`` last failed (0: never), and how many did."""
        newest = max(self._failed.columns[backend].tolist())
        return newest, sum(self._failures.columns[backend].tolist())

    def succeeded(self, worker: int, backend: int, now_ns: int) -> None:  # per piece
        """Report that ``backend`` sent a data event or progress: it is alive."""
        self._succeeded.cells[worker * layout.BACKENDS + backend] = now_ns

    def last_succeeded(self, backend: int) -> int:
        """When any worker last saw ``backend`` alive; 0 for never."""
        return max(self._succeeded.columns[backend].tolist())

    def want(self, worker: int, backend: int, now_ns: int) -> None:
        """Say that requests of ``worker`` wait for ``backend`` to be started."""
        self._wanted.cells[worker * layout.BACKENDS + backend] = now_ns

    def last_wanted(self, backend: int) -> int:
        """When any worker last wanted ``backend``; 0 for never."""
        return max(self._wanted.columns[backend].tolist())

    def reset(self, worker: int) -> None:
        """Forget a dead worker's requests. For the supervisor, once its pid was reaped."""
        start = worker * layout.BACKENDS
        for cell in range(start, start + layout.BACKENDS):
            self._in_flight.cells[cell] = self._copies.cells[cell] = 0

    def forget_backend(self, backend: int) -> None:
        """Clear the stamps of a row that a new backend takes. For the supervisor, before use."""
        for table in (
            self._opened, self._failed, self._failures, self._succeeded, self._wanted
        ):  # fmt: skip
            for worker in range(layout.WORKERS):
                table.columns[backend][worker] = 0
