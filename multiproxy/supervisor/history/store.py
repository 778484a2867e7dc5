"""The history's file: opened, loaded, written and pruned by one thread.

No clock and no loop here: the caller says what time it is. Every method may raise OSError or
sqlite3.Error, after which the store is closed and may be opened again.
"""

import fcntl
import itertools
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from multiproxy.supervisor.dashboard.views import USAGE_GROUPS, FinishedView
from multiproxy.supervisor.history import schema
from multiproxy.supervisor.rollups.level import Series
from multiproxy.supervisor.rollups.recorder import KEPT
from multiproxy.supervisor.rollups.totals import COUNTERS, Counters, Totals

BUSY_S = 2.0  # for somebody who looks into the file with another program
MOST_ROWS = 1_000_000
PRUNED_AT_ONCE = 20_000  # rows: a transaction of some 100 ms
SUMS_KEPT_S = 9 * 86_400
USAGE_KEPT_S = 400 * 86_400
LOADED_USAGE_S = 31 * 86_400


class HistoryUnusable(Exception):
    """The file must not be used; the message says why."""


@dataclass(slots=True)
class Batch:
    """What has happened since the last one; ``sums`` replace older rows, ``usage`` is added."""

    requests: list[FinishedView] = field(default_factory=list)
    sums: list[schema.Row] = field(default_factory=list)
    usage: dict[schema.Usage, Counters] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.requests or self.sums or self.usage)


@dataclass(slots=True)
class Loaded:
    """The past: ``requests`` oldest first, sums as (step, start, series, totals),
    usage as (group, hour, name, counters)."""

    requests: list[FinishedView]
    sums: list[tuple[int, int, Series, Totals]]
    usage: list[tuple[str, int, str, Counters]]


class Store:
    """One file, which one process at a time may open."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._database: sqlite3.Connection | None = None
        self._lock: int | None = None
        self._inode = 0

    @property
    def is_open(self) -> bool:
        """Whether it is open and still the file at its path."""
        if self._database is None:
            return False
        try:
            return os.stat(self.path).st_ino == self._inode
        except OSError:
            return False

    def open(self) -> None:
        """Open the file, make it when there is none.

        Raises:
            HistoryUnusable: another program has it open, or a newer version wrote it.
        """
        self.close()
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._lock = _locked(self.path)
        try:
            # SQLite would obey the umask; who asked for what is nobody else's business.
            os.close(os.open(self.path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600))
            self._inode = os.stat(self.path).st_ino
            self._database = sqlite3.connect(
                self.path, timeout=BUSY_S, isolation_level=None, check_same_thread=False
            )
            self._database.execute("PRAGMA journal_mode = WAL")
            # A killed process loses nothing, a power cut at most the last seconds.
            self._database.execute("PRAGMA synchronous = NORMAL")
            self._prepare(self._database)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        database, self._database = self._database, None
        lock, self._lock = self._lock, None
        try:
            if database is not None:
                database.close()
        finally:
            if lock is not None:
                os.close(lock)

    def load(self, now: float) -> Loaded:
        """What the statistics need of the past."""
        database = self._open_database()
        newest = database.execute(
            f"SELECT {', '.join(schema.COLUMNS)} FROM requests"
            " ORDER BY ended DESC, id DESC LIMIT ?",
            (KEPT,),
        )
        requests = [schema.view_of(row) for row in newest]
        sums = database.execute("SELECT * FROM sums WHERE start >= ?", (now - SUMS_KEPT_S,))
        return Loaded(
            requests[::-1],
            [
                (step, start, (model, backend, split), schema.totals_of(rest))
                for step, start, model, backend, split, *rest in sums
            ],
            [row for group in USAGE_GROUPS for row in _usage_by(database, group, now)],
        )

    def write(self, batch: Batch) -> None:
        """All of a batch or nothing."""
        with self._transaction() as database:
            database.executemany(_INSERT_REQUEST, map(schema.row_of, batch.requests))
            database.executemany(_REPLACE_SUM, batch.sums)
            database.executemany(
                _ADD_USAGE, itertools.starmap(schema.usage_row, batch.usage.items())
            )

    def prune(self, now: float, keep_s: float) -> int:
        """Delete a portion of what is too old or too much; how many requests that were."""
        with self._transaction() as database:
            # Rows go in and out in the order of time: the numbers between are all there.
            first, last = database.execute("SELECT min(rowid), max(rowid) FROM requests").fetchone()
            surplus = max(0, last - first + 1 - MOST_ROWS) if last else 0
            old = database.execute(
                "SELECT rowid FROM requests INDEXED BY glance WHERE ended < ?"
                " ORDER BY ended LIMIT ?",
                (now - keep_s, PRUNED_AT_ONCE),
            ).fetchall()
            if len(old) < surplus:
                old = database.execute(
                    "SELECT rowid FROM requests INDEXED BY glance ORDER BY ended LIMIT ?",
                    (min(surplus, PRUNED_AT_ONCE),),
                ).fetchall()
            database.executemany("DELETE FROM requests WHERE rowid = ?", old)
            database.execute("DELETE FROM sums WHERE start < ?", (now - SUMS_KEPT_S,))
            database.execute("DELETE FROM usage WHERE start < ?", (now - USAGE_KEPT_S,))
        return len(old)

    def size(self) -> int:
        """Bytes on the disk."""
        (pages,) = self._open_database().execute("PRAGMA page_count").fetchone()
        (page_size,) = self._open_database().execute("PRAGMA page_size").fetchone()
        return int(pages * page_size)

    def _prepare(self, database: sqlite3.Connection) -> None:
        (version,) = database.execute("PRAGMA user_version").fetchone()
        if version > schema.VERSION:
            raise HistoryUnusable("it was written by a newer version of MultiProxy")
        if version == schema.VERSION:
            return
        with self._transaction() as changed:
            for statement in schema.statements(version):
                changed.execute(statement)
            changed.execute(f"PRAGMA user_version = {schema.VERSION}")

    def _open_database(self) -> sqlite3.Connection:
        if self._database is None:
            raise sqlite3.OperationalError("the history is not open")
        return self._database

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        database = self._open_database()
        database.execute("BEGIN IMMEDIATE")
        try:
            yield database
            database.execute("COMMIT")
        except BaseException:
            if database.in_transaction:
                database.execute("ROLLBACK")
            raise


# By name: a file that was brought up to date has its columns in another order.
_INSERT_REQUEST = (
    f"INSERT OR IGNORE INTO requests ({', '.join(schema.COLUMNS)})"
    f" VALUES ({', '.join('?' * len(schema.COLUMNS))})"
)
_REPLACE_SUM = f"INSERT OR REPLACE INTO sums VALUES ({', '.join('?' * (5 + len(COUNTERS) + 2))})"
_ADD_USAGE = (
    f"INSERT INTO usage VALUES ({', '.join('?' * (4 + len(COUNTERS)))}) ON CONFLICT DO UPDATE SET "
    + ", ".join(f"{name} = {name} + excluded.{name}" for name in COUNTERS)
)


def _usage_by(
    database: sqlite3.Connection, group: str, now: float
) -> Iterator[tuple[str, int, str, Counters]]:
    """Added up by one of the three names: a page shows one at a time."""
    sums = ", ".join(f"sum({name})" for name in COUNTERS)
    rows = database.execute(
        f"SELECT start, {group}, {sums} FROM usage WHERE start >= ? GROUP BY start, {group}",
        (now - LOADED_USAGE_S,),
    )
    for start, name, *counters in rows:
        yield group, start, name, schema.counters_of(counters)


def _locked(path: Path) -> int:
    """A descriptor that keeps other processes out for as long as it is open."""
    lock = os.open(f"{path}.lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(lock)
        raise HistoryUnusable("another MultiProxy is using it") from None
    return lock
