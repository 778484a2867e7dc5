"""The window a page shows, from its URL, and the words and marks of its time axis."""

from collections.abc import Sequence

from multiproxy.supervisor.dashboard.feed import Look
from multiproxy.supervisor.dashboard.snapshot import Snapshot
from multiproxy.supervisor.dashboard.views import DEFAULT_WINDOW, WINDOWS, Window

Data = dict[str, object]

FIELD = "w"  # of the query
PULSE_NOW_S = 3  # "now" is the mean of the last complete seconds

_AXES = {
    "5m": ("−5 min", "−4", "−3", "−2", "−1", "now"),
    "1h": ("−60 min", "−45", "−30", "−15", "now"),
    "24h": ("−24 h", "−18", "−12", "−6", "now"),
    "7d": ("−7 d", "−6", "−5", "−4", "−3", "−2", "−1", "now"),
}


def chosen(look: Look) -> Window:
    """The window of the URL; the shortest for a name that is none."""
    return WINDOWS.get(dict(look.query).get(FIELD, ""), WINDOWS[DEFAULT_WINDOW])


def kept(look: Look) -> str:
    """What links to other pages with a window keep of this one's, as a query."""
    window = chosen(look)
    return "" if window.name == DEFAULT_WINDOW else f"?{FIELD}={window.name}"


def switch(snapshot: Snapshot, look: Look) -> Data:
    return {"windows": list(WINDOWS.values()), "chosen": chosen(look)}


def axis(window: Window) -> tuple[str, ...]:
    """Marks at equal distances, the last one is now."""
    return _AXES[window.name]


def rate_now(rates: Sequence[float]) -> float:
    """The present value of a line of one point per second."""
    return sum(rates[-PULSE_NOW_S:]) / PULSE_NOW_S
