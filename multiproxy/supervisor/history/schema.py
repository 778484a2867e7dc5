"""The tables of the history, their version, and how rows and values become each other.

``requests`` has one row per finished exchange: numbers and names, never a prompt or an answer.
``sums`` are the statistics' levels as they are in memory, one row per stretch of time and series;
a newer row replaces an older one. ``usage`` grows: what each batch adds is added on the disk.
The index ``glance`` holds everything the Requests page can filter by, so that the rarest match
costs a walk through the index and not through the table.
"""

import struct
from collections.abc import Sequence
from operator import attrgetter
from typing import Any, TypeAlias

import orjson

from multiproxy.supervisor.dashboard.views import AttemptView, FinishedView, Outcome
from multiproxy.supervisor.rollups.histogram import LogHistogram
from multiproxy.supervisor.rollups.level import Series
from multiproxy.supervisor.rollups.totals import COUNTERS, Counters, Totals

VERSION = 2  # PRAGMA user_version; raise it with every change below this line

Usage: TypeAlias = tuple[int, str, str, str]  # hour (Unix time), model, backend, key
Row: TypeAlias = tuple[Any, ...]

SEPARATOR = "\x1f"  # between the texts of `words`

# Columns of `requests` in the order of FinishedView's fields. `words` is what a search looks
# through: one text instead of four, in lower case. `path` is the attempts as JSON.
_TEXT = (
    "id", "outcome", "model", "requested_model", "backend", "key", "api", "termination",
    "finish_reason", "error", "client", "user_agent", "split", "copy_of",
)  # fmt: skip
FIELDS = tuple(name for name in FinishedView.__dataclass_fields__ if name != "path")
_fields = attrgetter(*FIELDS)
COLUMNS = (*FIELDS, "ended", "failed", "words", "path")

_COUNTER_COLUMNS = ", ".join(f"{name} REAL NOT NULL" for name in COUNTERS)
_SUMS = f"""
CREATE TABLE sums (
    step INTEGER NOT NULL, start INTEGER NOT NULL, model TEXT NOT NULL, backend TEXT NOT NULL,
    split TEXT NOT NULL, {_COUNTER_COLUMNS}, ttft BLOB NOT NULL, speed BLOB NOT NULL,
    PRIMARY KEY (step, start, model, backend, split)
) WITHOUT ROWID
"""
SCHEMA = f"""
CREATE TABLE requests (
    {", ".join(f"{n} {'TEXT NOT NULL' if n in _TEXT else 'REAL'}" for n in FIELDS)},
    ended REAL NOT NULL, failed INTEGER NOT NULL, words TEXT NOT NULL, path BLOB
);
CREATE UNIQUE INDEX by_id ON requests (id);
CREATE INDEX glance ON requests
    (ended, id, model, backend, key, outcome, failed, attempts, words);
{_SUMS};
CREATE TABLE usage (
    start INTEGER NOT NULL, model TEXT NOT NULL, backend TEXT NOT NULL, key TEXT NOT NULL,
    {_COUNTER_COLUMNS},
    PRIMARY KEY (start, model, backend, key)
) WITHOUT ROWID;
"""


# What brings a file of an earlier version to the next one.
_CHANGES = {
    1: f"""
ALTER TABLE requests ADD COLUMN split TEXT NOT NULL DEFAULT '';
ALTER TABLE requests ADD COLUMN copy_of TEXT NOT NULL DEFAULT '';
ALTER TABLE sums RENAME TO sums_1;
{_SUMS};
INSERT INTO sums SELECT step, start, model, backend, '', {", ".join(COUNTERS)}, ttft, speed
    FROM sums_1;
DROP TABLE sums_1
""",
}


def statements(version: int) -> list[str]:
    """What to run on a file of ``version``, 0 for an empty one, to make it one of VERSION."""
    if not version:
        return SCHEMA.split(";")
    return [each for step in range(version, VERSION) for each in _CHANGES[step].split(";")]


def row_of(x: FinishedView) -> Row:
    """A row of ``requests``."""
    path = orjson.dumps(x.path) if x.path else None
    words = SEPARATOR.join((x.id, x.key, x.model, x.client)).lower()
    return (*_fields(x), x.ended_at, x.outcome.is_failure, words, path)


def view_of(row: Sequence[Any]) -> FinishedView:
    """The exchange of a row with ``COLUMNS``."""
    values = dict(zip(COLUMNS, row, strict=True))
    del values["ended"], values["failed"], values["words"]
    for name in ("status", "prompt_tokens", "cached_tokens", "output_tokens", "attempts"):
        if values[name] is not None:
            values[name] = int(values[name])
    values["outcome"] = Outcome(values["outcome"])
    values["stream"] = bool(values["stream"])
    attempts = orjson.loads(values["path"]) if values["path"] else []
    values["path"] = tuple(AttemptView(**attempt) for attempt in attempts)
    return FinishedView(**values)


def counters_row(counters: Counters) -> Row:
    return tuple(getattr(counters, name) for name in COUNTERS)


def counters_of(row: Sequence[Any]) -> Counters:
    values = dict(zip(COUNTERS, row, strict=True))
    return Counters(**{n: v if n == "compute_s" else int(v) for n, v in values.items()})


def sums_row(step: int, start: int, series: Series, totals: Totals) -> Row:
    """A row of ``sums``: a copy, the totals may go on changing."""
    return (
        step, start, *series, *counters_row(totals.counters),
        totals.ttft.encode(), totals.speed.encode(),
    )  # fmt: skip


def totals_of(row: Sequence[Any]) -> Totals:
    """From the columns behind the series.

    Raises:
        ValueError: the histograms are damaged.
    """
    totals = Totals()
    totals.counters = counters_of(row[:-2])
    try:
        totals.ttft, totals.speed = (LogHistogram.decode(data) for data in row[-2:])
    except struct.error as error:
        raise ValueError(f"a damaged histogram: {error}") from error
    return totals


def usage_row(place: Usage, counters: Counters) -> Row:
    """What is to be added to a row of ``usage``."""
    return (*place, *counters_row(counters))
