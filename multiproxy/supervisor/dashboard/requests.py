"""The Requests page: filters that live in the URL, running on top, older ones by page."""

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from itertools import islice
from urllib.parse import urlencode

from multiproxy.supervisor.dashboard import activity
from multiproxy.supervisor.dashboard.contract import Provider, Wanted
from multiproxy.supervisor.dashboard.feed import Look
from multiproxy.supervisor.dashboard.snapshot import Snapshot
from multiproxy.supervisor.dashboard.views import FinishedView, RunningView

PAGE_ROWS = 50
MAX_RUNNING = 100
FIRST_GLANCE = 256  # exchanges looked at before asking for all that are kept
KEPT = 8192
MIXED_S = 60.0  # of the order in memory: records come in rounds, of several workers

SHOWN_OF_ONE = 20
OF_ONE = {"backend": "backend", "model": "model"}  # pages that list the requests of their subject

Data = dict[str, object]

STATUSES = {
    "ok": "Succeeded",
    "failed": "Failed",
    "retried": "With retries",
    "left": "Client left",
    "rejected": "Rejected",
}


@dataclass(frozen=True, slots=True)
class Filter:
    """The query of the page; "" does not filter. ``before`` is END_ID of the row above it."""

    q: str = ""  # part of id, key, model or client, in any case
    status: str = ""
    model: str = ""
    backend: str = ""
    key: str = ""
    before: str = ""

    @classmethod
    def of(cls, look: Look) -> "Filter":
        values = {name: value.strip()[:200] for name, value in look.query}
        if look.page in OF_ONE:
            return cls(**{OF_ONE[look.page]: values.get("id", "")})
        return cls(**values)

    @property
    def is_empty(self) -> bool:
        return not any((self.q, self.status, self.model, self.backend, self.key))

    def url(self, before: str = "", path: str = "/requests") -> str:
        values = {f.name: getattr(self, f.name) for f in fields(self)} | {"before": before}
        query = urlencode({name: value for name, value in values.items() if value})
        return path + (f"?{query}" if query else "")

    @property
    def wanted(self) -> Wanted:
        at, _, last_id = self.before.partition("_")
        try:
            before = (float(at), last_id) if self.before else None
        except ValueError:
            before = None
        return Wanted(self.q, self.status, self.model, self.backend, self.key, before)


FIELDS = tuple(f.name for f in fields(Filter))


def filters(snapshot: Snapshot, look: Look) -> Data:
    """The choices of the form: what there was lately, and what is chosen now."""
    wanted = Filter.of(look)
    known: list[FinishedView | RunningView] = [*snapshot.running, *snapshot.history(FIRST_GLANCE)]
    models = {x.model for x in known} | {wanted.model}
    keys = {x.key for x in known} | {wanted.key}
    backends = [b.id for b in snapshot.backends]
    if wanted.backend not in backends:
        backends.append(wanted.backend)
    return {
        "wanted": wanted,
        "statuses": STATUSES,
        "models": sorted(models - {""}),
        "keys": sorted(keys - {""}),
        "backends": [name for name in dict.fromkeys(backends) if name],
    }


def running_views(snapshot: Snapshot, look: Look) -> list[RunningView]:
    wanted = Filter.of(look)
    if wanted.status or wanted.before:
        return []  # they have no status yet, and older pages have none of them
    return [x for x in snapshot.running if wanted.wanted.takes_names(x)]


def running(snapshot: Snapshot, look: Look) -> Data:
    shown = running_views(snapshot, look)
    rows = activity.running_rows(shown[:MAX_RUNNING])
    return {"rows": rows, "more": len(shown) - len(rows), "speed": activity.live_speed}


def finished(snapshot: Snapshot, look: Look) -> Data:
    wanted = Filter.of(look)
    rows = _page(snapshot, look)[:PAGE_ROWS]
    return {
        "rows": activity.finished_rows(rows, snapshot.now, PAGE_ROWS),
        "is_filtered": not wanted.is_empty,
        "is_older": bool(wanted.before),
        "is_running": bool(snapshot.running),
    }


def newest(snapshot: Snapshot, look: Look) -> Data:
    """On a page that lists a few beside other things."""
    rows = _page(snapshot, look)[:SHOWN_OF_ONE]
    return {
        "rows": activity.finished_rows(rows, snapshot.now, SHOWN_OF_ONE),
        "is_filtered": False,
        "is_older": False,
        "is_running": bool(running_views(snapshot, look)),
    }


def paging(snapshot: Snapshot, look: Look) -> Data:
    wanted = Filter.of(look)
    _, before = page(snapshot, look)
    older = wanted.url(before) if before else ""
    return {
        "older": older,
        "newest": wanted.url() if wanted.before else "",
        "exports": [
            (kind.upper(), wanted.url(wanted.before, f"/requests.{kind}"))
            for kind in ("csv", "json")
        ],
    }


def page(snapshot: Snapshot, look: Look) -> tuple[list[FinishedView], str]:
    """The rows of the page, and the ``before`` of the next one, "" when this is the last."""
    rows = _page(snapshot, look)
    last = rows[PAGE_ROWS - 1] if len(rows) > PAGE_ROWS else None
    return rows[:PAGE_ROWS], f"{last.ended_at!r}_{last.id}" if last else ""


async def load(provider: Provider, snapshot: Snapshot, look: Look) -> list[FinishedView]:
    """The page's rows of the history, when those in memory do not fill it."""
    if len(_kept(snapshot, look)) > PAGE_ROWS:
        return []
    return await provider.stored(Filter.of(look).wanted, PAGE_ROWS + 1)


def _page(snapshot: Snapshot, look: Look) -> list[FinishedView]:
    """One row more than a page, when there are that many: from memory and from the history."""
    found = {x.id: x for x in (*snapshot.stored(look), *_kept(snapshot, look))}
    newest = sorted(found.values(), key=lambda x: (x.ended_at, x.id), reverse=True)
    return newest[: PAGE_ROWS + 1]


def _kept(snapshot: Snapshot, look: Look) -> list[FinishedView]:
    """From memory; one row more than a page, when there are that many."""
    wanted = Filter.of(look).wanted
    return snapshot.once(
        ("kept", look),
        lambda: list(islice(filter(wanted.takes, _candidates(snapshot, wanted)), PAGE_ROWS + 1)),
    )


def _candidates(snapshot: Snapshot, wanted: Wanted) -> Iterator[FinishedView]:
    """Those in memory, newest first; most pages are full after the first few hundred.

    Of an older page, what is certainly too new is left out: it would be all there is in memory,
    looked at once a second for everybody who reads that page.
    """
    first = snapshot.history(FIRST_GLANCE)
    yield from first
    if len(first) == FIRST_GLANCE:
        kept = snapshot.history(KEPT)
        begin = _place(kept, wanted.before[0] + MIXED_S) if wanted.before else 0
        yield from kept[max(begin, FIRST_GLANCE) :]


def _place(newest_first: Sequence[FinishedView], ended_at: float) -> int:
    return bisect_left(newest_first, -ended_at, key=lambda x: -x.ended_at)
