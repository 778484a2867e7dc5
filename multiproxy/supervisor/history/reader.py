"""Single requests from the history: a page of the list, or one by its id.

Every question opens the file anew: half a millisecond, and no handle to a file that is gone.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from multiproxy.supervisor.dashboard.contract import Wanted
from multiproxy.supervisor.dashboard.views import FinishedView
from multiproxy.supervisor.history import schema

BUSY_S = 2.0
_SELECT = f"SELECT {', '.join(schema.COLUMNS)} FROM requests"

_STATUS = {
    "ok": "outcome = 'ok'",
    "failed": "failed",
    "retried": "attempts > 1",
    "left": "outcome = 'client_left'",
    "rejected": "outcome = 'rejected'",
}


def page(path: Path, wanted: Wanted, limit: int) -> list[FinishedView]:
    """The newest ``limit`` that match, newest first.

    Raises:
        sqlite3.Error: the file cannot be read.
    """
    where, values = _conditions(wanted)
    with _opened(path) as database:
        rows = database.execute(
            f"{_SELECT} WHERE rowid IN (SELECT rowid FROM requests INDEXED BY glance"
            f" WHERE {' AND '.join(where)} ORDER BY ended DESC, id DESC LIMIT ?)"
            " ORDER BY ended DESC, id DESC",
            (*values, limit),
        )
        return [schema.view_of(row) for row in rows]


def one(path: Path, request_id: str) -> FinishedView | None:
    """Raises: sqlite3.Error: the file cannot be read."""
    with _opened(path) as database:
        row = database.execute(f"{_SELECT} WHERE id = ?", (request_id,)).fetchone()
        return schema.view_of(row) if row else None


def _conditions(wanted: Wanted) -> tuple[list[str], list[object]]:
    where: list[str] = ["ended > 0"]
    values: list[object] = []
    for name in ("model", "backend", "key"):
        if value := getattr(wanted, name):
            where.append(f"{name} = ?")
            values.append(value)
    if wanted.status in _STATUS:
        where.append(_STATUS[wanted.status])
    if wanted.before is not None:
        where.append("(ended, id) < (?, ?)")
        values += wanted.before
    if wanted.q:
        where.append("instr(words, ?)")
        values.append(wanted.q.lower())
    return where, values


@contextmanager
def _opened(path: Path) -> Iterator[sqlite3.Connection]:
    uri = f"{path.absolute().as_uri()}?mode=ro"
    database = sqlite3.connect(uri, uri=True, timeout=BUSY_S, isolation_level=None)
    try:
        yield database
    finally:
        database.close()
