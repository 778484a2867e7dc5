"""The page of one backend: its numbers, its states over a day, its newest requests."""

from dataclasses import dataclass

from multiproxy.supervisor.dashboard import fleet, overview, windows
from multiproxy.supervisor.dashboard.feed import Look
from multiproxy.supervisor.dashboard.snapshot import Snapshot
from multiproxy.supervisor.dashboard.views import (
    WINDOWS,
    BackendState,
    BackendView,
    ChangeView,
)

Data = dict[str, object]

DAY_S = 86_400.0
STRIP_WIDTH = 1000
SHOWN_CHANGES = 12


@dataclass(frozen=True, slots=True)
class Stretch:
    """A part of the strip; ``x`` and ``width`` of STRIP_WIDTH."""

    state: BackendState
    x: float
    width: float
    since: float
    lasted_s: float


@dataclass(frozen=True, slots=True)
class Change:
    view: ChangeView
    lasted_s: float


def exists(snapshot: Snapshot, look: Look) -> bool:
    return find(snapshot, look) is not None


def find(snapshot: Snapshot, look: Look) -> BackendView | None:
    """The one of that name; when it is just being replaced, the new one."""
    wanted = dict(look.query).get("id", "")
    return next((view for view in snapshot.backends if view.id == wanted), None)


def head(snapshot: Snapshot, look: Look) -> Data:
    return {"view": find(snapshot, look)}


def now(snapshot: Snapshot, look: Look) -> Data:
    """Its card, as on the page of all of them, with every line that a command wrote."""
    view = find(snapshot, look)
    sums = snapshot.window(windows.chosen(look).name)
    card = fleet.card(snapshot, view, sums, fleet.ALL_LINES) if view is not None else None
    return {"card": card, "window": sums.window}


def throughput(snapshot: Snapshot, look: Look) -> Data:
    view = find(snapshot, look)
    return overview.throughput(snapshot, look, only=view.id if view is not None else "")


def states(snapshot: Snapshot, look: Look) -> Data:
    """The last 24 hours as far as this run knows them, and the newest changes in words."""
    view = find(snapshot, look)
    changes = snapshot.changes(view.id) if view is not None else []
    ends = [*(change.at for change in changes[1:]), snapshot.now]
    known = [(each, max(0.0, end - each.at)) for each, end in zip(changes, ends, strict=False)]
    stretches = [
        stretch for each, lasted in known if (stretch := _stretch(each, lasted, snapshot.now))
    ]
    whole = sum(each.width for each in stretches)
    serving = sum(each.width for each in stretches if each.state in overview.SERVING)
    return {
        "stretches": stretches,
        "serving": serving / whole if whole else None,
        "changes": [Change(each, lasted) for each, lasted in known[: -SHOWN_CHANGES - 1 : -1]],
        "marks": windows.axis(WINDOWS["24h"]),
    }


def _stretch(change: ChangeView, lasted: float, now: float) -> Stretch | None:
    begin = max(change.at, now - DAY_S)
    end = change.at + lasted
    if end <= begin:
        return None
    scale = STRIP_WIDTH / DAY_S
    x = (begin - now + DAY_S) * scale
    # A short one is still seen.
    width = max((end - begin) * scale, 1.5)
    return Stretch(change.state, round(x, 2), round(width, 2), change.at, lasted)
