"""The Requests page: filters that live in the URL, running on top, older ones by page."""

from collections.abc import Iterator
from dataclasses import dataclass, fields
from urllib.parse import urlencode

from multiproxy.supervisor.dashboard import activity
from multiproxy.supervisor.dashboard.feed import Look
from multiproxy.supervisor.dashboard.snapshot import Snapshot
from multiproxy.supervisor.dashboard.views import FinishedView, Outcome, RunningView

PAGE_ROWS = 50
MAX_RUNNING = 100
FIRST_GLANCE = 256  # exchanges looked at before asking for all that are kept
KEPT = 8192

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
    """The query of the page; "" does not filter. ``before`` is the end of the row above it."""

    q: str = ""  # part of id, key, model or client, in any case
    status: str = ""
    model: str = ""
    backend: str = ""
    key: str = ""
    before: str = ""

    @classmethod
    def of(cls, look: Look) -> "Filter":
        return cls(**{name: value.strip()[:200] for name, value in look.query})

    @property
    def is_empty(self) -> bool:
        return not any((self.q, self.status, self.model, self.backend, self.key))

    def url(self, before: str = "") -> str:
        values = {f.name: getattr(self, f.name) for f in fields(self)} | {"before": before}
        query = urlencode({name: value for name, value in values.items() if value})
        return "/requests" + (f"?{query}" if query else "")

    def takes(self, x: FinishedView | RunningView) -> bool:
        if self.model and x.model != self.model:
            return False
        if self.backend and x.backend != self.backend:
            return False
        if self.key and x.key != self.key:
            return False
        needle = self.q.lower()
        return not needle or any(
            needle in text.lower() for text in (x.id, x.key, x.model, x.client)
        )

    def takes_status(self, x: FinishedView) -> bool:
        match self.status:
            case "ok":
                return x.outcome is Outcome.OK
            case "failed":
                return x.outcome.is_failure
            case "retried":
                return x.attempts > 1
            case "left":
                return x.outcome is Outcome.CLIENT_LEFT
            case "rejected":
                return x.outcome is Outcome.REJECTED
        return True

    def is_before(self, x: FinishedView) -> bool:
        try:
            return not self.before or x.ended_at < float(self.before)
        except ValueError:
            return True


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


def running(snapshot: Snapshot, look: Look) -> Data:
    wanted = Filter.of(look)
    shown = [x for x in snapshot.running if wanted.takes(x)]
    if wanted.status or wanted.before:
        shown = []  # they have no status yet, and older pages have none of them
    rows = activity.running_rows(shown[:MAX_RUNNING])
    return {"rows": rows, "more": len(shown) - len(rows), "speed": activity.live_speed}


def finished(snapshot: Snapshot, look: Look) -> Data:
    wanted = Filter.of(look)
    rows = _page(snapshot, wanted)[:PAGE_ROWS]
    return {
        "rows": activity.finished_rows(rows, snapshot.now, PAGE_ROWS),
        "is_filtered": not wanted.is_empty,
        "is_older": bool(wanted.before),
        "is_running": bool(snapshot.running),
    }


def paging(snapshot: Snapshot, look: Look) -> Data:
    wanted = Filter.of(look)
    rows = _page(snapshot, wanted)
    older = wanted.url(f"{rows[PAGE_ROWS - 1].ended_at:.6f}") if len(rows) > PAGE_ROWS else ""
    return {"older": older, "newest": wanted.url() if wanted.before else ""}


def _page(snapshot: Snapshot, wanted: Filter) -> list[FinishedView]:
    """One row more than a page, when there are that many."""
    found: list[FinishedView] = []
    for x in _newest_first(snapshot):
        if wanted.is_before(x) and wanted.takes(x) and wanted.takes_status(x):
            found.append(x)
            if len(found) > PAGE_ROWS:
                break
    return found


def _newest_first(snapshot: Snapshot) -> Iterator[FinishedView]:
    """All that are kept; most pages are full after the first few hundred."""
    first = snapshot.history(FIRST_GLANCE)
    yield from first
    if len(first) == FIRST_GLANCE:
        yield from snapshot.history(KEPT)[FIRST_GLANCE:]
