"""The drawing of the shared memory: every section, its place, its size and its one writer.

One mapping is shared by the supervisor and all workers. Nobody locks: every byte has one
writer (but for ``memory.py``'s hints), and readers notice when they read beside a write. Three
rules make that work.

*Numbers that stand alone* (states, counters, stamps) are written as one aligned cell of a cast
``memoryview``: one machine store, so a reader sees the old or the new number. ``struct.pack_into``
must not be used for them: it clears the bytes before it writes, and a reader can see the zero.

*Records* are written under a sequence number (``write_locked`` / ``read_locked``): odd while the
writer is inside, and different after it. A reader copies the record between two looks at the
number and throws the copy away when they differ or are odd.

*The order of stores.* x86 shows stores in the order they were made; ARM may show the new sequence
number before the record it announces. ``fence`` stands between them on both sides. Python has no
fence, but taking and releasing an uncontended lock twice is one: the release keeps earlier
accesses before it, the second acquire keeps later ones behind it, and an acquire does not overtake
a release (C11 release/acquire, ARM's STLR/LDAR). It costs some 0.1 us.
"""

from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock
from typing import TypeVar

T = TypeVar("T")

MAGIC = b"MultiPrx"
VERSION = 12  # raise it with every change below this line

WORKERS = 64  # rows, not processes: a draining generation keeps its rows until it has ended
BACKENDS = 256
LINE = 64  # bytes of a cache line: rows of two workers never share one
PAGE = 4096

NO_BACKEND = -1
NO_CONNECTIONS = 0xFFFF_FFFF  # the balance cell of a row that accepts nothing

LIVE_ROWS = 2048  # running exchanges that one worker can show; more still run, unseen
RING_RECORDS = 4096  # finished exchanges per worker: 13 s at 300 requests/s
KEYS = 1024  # clients' keys
KEY_COUNTS = 7  # u64 of each worker for each key: see keys.py
DEATHS_KEPT = 31  # of each worker: see deaths.py
FACTS_SIZE = 32 * 1024  # bytes of JSON per backend: a router with some 150 models


@dataclass(frozen=True, slots=True)
class Section:
    """``rows`` rows of ``row_size`` bytes from ``offset``; ``writer`` names who may write."""

    name: str
    writer: str
    rows: int
    row_size: int
    offset: int

    @property
    def end(self) -> int:
        return self.offset + self.rows * self.row_size

    def at(self, row: int) -> int:
        """Byte offset of ``row``."""
        if not 0 <= row < self.rows:
            raise IndexError(f"{self.name} has {self.rows} rows, not {row}")
        return self.offset + row * self.row_size


_DEAD = "; the supervisor while no process owns the row"


def _after(previous: Section, name: str, writer: str, rows: int, row_size: int) -> Section:
    assert row_size % LINE == 0, name
    return Section(name, writer, rows, row_size, -(-previous.end // PAGE) * PAGE)


HEADER = Section("header", "the supervisor, once, before anyone attaches", 1, PAGE, 0)
WORKER = _after(HEADER, "worker", "worker i" + _DEAD, WORKERS, 2 * LINE)
# orders: a line with their count, then 16 ids of requests to cancel
ORDERS = _after(WORKER, "orders", "the supervisor", WORKERS, 5 * LINE)
# load: u32 requests in flight, and three stamps per backend, each [worker][backend]
IN_FLIGHT = _after(ORDERS, "in_flight", "worker i" + _DEAD, WORKERS, 4 * BACKENDS)
OPENED = _after(IN_FLIGHT, "opened", "worker i", WORKERS, 8 * BACKENDS)
FAILED = _after(OPENED, "failed", "worker i", WORKERS, 8 * BACKENDS)
FAILURES = _after(FAILED, "failures", "worker i", WORKERS, 4 * BACKENDS)
SUCCEEDED = _after(FAILURES, "succeeded", "worker i", WORKERS, 8 * BACKENDS)
# copies: u32 mirrored requests, which are not among those in flight, [worker][backend]
COPIES = _after(SUCCEEDED, "copies", "worker i" + _DEAD, WORKERS, 4 * BACKENDS)
# wanted: u64 stamp: a request waits for the backend to be started, [worker][backend]
WANTED = _after(COPIES, "wanted", "worker i", WORKERS, 8 * BACKENDS)
DEATHS = _after(WANTED, "deaths", "worker i", WORKERS, 12 * LINE)
# backends: one line of version, then a row of numbers and a blob of facts for each
BOARD = _after(DEATHS, "board", "the supervisor", 1, LINE)
BACKEND = _after(BOARD, "backend", "the supervisor", BACKENDS, 2 * LINE)
FACTS = _after(BACKEND, "facts", "the supervisor", BACKENDS, LINE + FACTS_SIZE)
# live: LIVE_ROWS rows per worker behind one line of counters
LIVE_ROW_SIZE = 7 * LINE
LIVE = _after(FACTS, "live", "worker i" + _DEAD, WORKERS, LINE + LIVE_ROWS * LIVE_ROW_SIZE)
# ring: RING_RECORDS records per worker behind one line with the count of published ones
RECORD_SIZE = 13 * LINE
RING = _after(LIVE, "ring", "worker i", WORKERS, LINE + RING_RECORDS * RECORD_SIZE)

# key: what each key has used, [key][count][worker]. Workers share lines here, and nowhere else:
# every request reads the cells of all workers, and that is cheap only where they are neighbours.
_KEY_WRITERS = "worker i" + _DEAD + "; of the last count: the supervisor"
KEY = _after(RING, "key", _KEY_WRITERS, KEYS, KEY_COUNTS * WORKERS * 8)
# memory: where prompts went; 131,072 traces, and the one section without a single writer
MEMORY_WAYS = 8  # backends that may be told of one prefix
MEMORY = _after(KEY, "memory", "any worker: see memory.py", 16384, 16 * MEMORY_WAYS)

SECTIONS = (
    HEADER, WORKER, ORDERS, IN_FLIGHT, OPENED, FAILED, FAILURES, SUCCEEDED,
    COPIES, WANTED, DEATHS, BOARD, BACKEND, FACTS, LIVE, RING, KEY, MEMORY,
)  # fmt: skip
# Some 210 MiB of addresses; memory is used only for the pages that were touched.
SIZE = -(-MEMORY.end // PAGE) * PAGE

_lock = Lock()


def fence() -> None:
    """Keep every access before this call before every access after it; see above."""
    _lock.acquire()
    _lock.release()
    _lock.acquire()
    _lock.release()


def write_locked(sequence: "memoryview[int]", cell: int, write: Callable[[], None]) -> None:
    """Run ``write`` while ``sequence[cell]`` is odd."""
    # A writer that died inside left an odd number; the next owner of the row starts from there.
    before = sequence[cell] | 1
    sequence[cell] = before
    fence()
    write()
    fence()
    sequence[cell] = before + 1


READ_TRIES = 8  # a writer is inside for a microsecond; a dead one for ever


def read_locked(sequence: "memoryview[int]", cell: int, read: Callable[[], T]) -> T | None:
    """What ``read`` gave while nobody wrote, or None if a write was always in the way.

    ``read`` must copy: what it returns is thrown away when a write overlapped it.
    """
    for _ in range(READ_TRIES):
        before = sequence[cell]
        if before & 1:
            continue
        fence()
        value = read()
        fence()
        if sequence[cell] == before:
            return value
    return None
