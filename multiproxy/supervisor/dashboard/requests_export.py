"""The requests that the page's filter finds, as a file.

It is sent as it is read, a piece at a time, so that a hundred thousand need neither memory nor
patience. Newest first, as on the page; running ones have no numbers yet and are not in it.
"""

import csv
import dataclasses
import io
from collections.abc import AsyncGenerator, Sequence
from typing import Any

import orjson

from multiproxy.supervisor.dashboard import formats
from multiproxy.supervisor.dashboard.contract import Provider, Wanted
from multiproxy.supervisor.dashboard.feed import Look
from multiproxy.supervisor.dashboard.messages import EventStream, Piecewise
from multiproxy.supervisor.dashboard.requests import KEPT, Filter
from multiproxy.supervisor.dashboard.snapshot import Snapshot
from multiproxy.supervisor.dashboard.usage_export import inert
from multiproxy.supervisor.dashboard.views import FinishedView

MOST = 100_000
PIECE = 1000  # rows that are read and sent at a time
COLUMNS = tuple(each.name for each in dataclasses.fields(FinishedView) if each.name != "path")

CONTENT_TYPES = {"csv": "text/csv; charset=utf-8", "json": "application/json"}


def stream(provider: Provider, snapshot: Snapshot, look: Look, kind: str) -> EventStream:
    """A file to be saved; ``kind`` is csv or json."""
    wanted = Filter.of(look).wanted
    write = {"csv": _as_csv, "json": _as_json}[kind]
    return EventStream(
        Piecewise(write(_batches(provider, snapshot, wanted))),
        CONTENT_TYPES[kind],
        (("Content-Disposition", f'attachment; filename="multiproxy-requests.{kind}"'),),
    )


Batches = AsyncGenerator[Sequence[FinishedView], None]


async def _batches(provider: Provider, snapshot: Snapshot, wanted: Wanted) -> Batches:
    """Those in memory first, then the history from there on; at most MOST."""
    kept = sorted(
        filter(wanted.takes, snapshot.history(KEPT)), key=lambda x: (x.ended_at, x.id), reverse=True
    )
    yield kept[:MOST]
    left = MOST - len(kept)
    # The history is read in its own order: what both have is told once.
    told = {x.id for x in kept}
    while left > 0:
        rows = await provider.stored(wanted, PIECE)
        new = [x for x in rows if x.id not in told][:left]
        left -= len(new)
        yield new
        if len(rows) < PIECE:
            return
        wanted = dataclasses.replace(wanted, before=(rows[-1].ended_at, rows[-1].id))


async def _as_csv(batches: Batches) -> AsyncGenerator[bytes, None]:
    yield _lines([COLUMNS])
    async for rows in batches:
        yield _lines([[inert(value) for value in record(x).values()] for x in rows])


def _lines(rows: Sequence[Sequence[Any]]) -> bytes:
    out = io.StringIO()
    csv.writer(out, lineterminator="\r\n").writerows(rows)
    return out.getvalue().encode()


async def _as_json(batches: Batches) -> AsyncGenerator[bytes, None]:
    """One array; every element stands on a line of its own."""
    before = b"[\n"
    async for rows in batches:
        lines = [orjson.dumps(record(x)) for x in rows]
        if lines:
            yield before + b",\n".join(lines)
            before = b",\n"
    yield (b"" if before == b",\n" else before) + b"\n]\n"


def record(x: FinishedView) -> dict[str, Any]:
    """One row: times of day as text, durations in seconds, None for unknown."""
    return {
        name: formats.iso(x.started_at) if name == "started_at" else _rounded(getattr(x, name))
        for name in COLUMNS
    }


def _rounded(value: Any) -> Any:
    return round(value, 6) if isinstance(value, float) else value
