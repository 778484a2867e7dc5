"""The Backends page: each server with what it did in the window."""

from dataclasses import dataclass

from multiproxy.supervisor.dashboard import overview, windows
from multiproxy.supervisor.dashboard.feed import Look
from multiproxy.supervisor.dashboard.snapshot import Snapshot
from multiproxy.supervisor.dashboard.views import (
    BackendState,
    BackendView,
    LineView,
    SummaryView,
    WindowView,
)

Data = dict[str, object]

SHOWN_LINES = 8  # of what a command wrote
ALL_LINES = 1000  # more than are kept

# What usually helps, by a word of the reason; the first that fits.
ADVICE = (
    ("refused", "Is llama-server running there, and started with --host 0.0.0.0?"),
    ("timed out", "Is the address right, and does a firewall let this machine through?"),
    ("timeout", "Is the address right, and does a firewall let this machine through?"),
    ("401", "It wants a key: set api_key for this backend."),
    ("403", "It wants another key: check api_key for this backend."),
    ("404", "Something answers there, but not a llama-server: check the port and the path."),
    ("name", "This machine cannot resolve the name: check the url of this backend."),
    ("certificate", "Its TLS certificate is not trusted here."),
)


@dataclass(frozen=True, slots=True)
class Card:
    view: BackendView
    summary: SummaryView
    pips: list[str]
    line: str  # output of the last two minutes, path data
    speed: float
    since_s: float | None
    advice: str
    lines: tuple[LineView, ...]  # what a command of ours wrote last


def head(snapshot: Snapshot, look: Look) -> Data:
    return overview.head(snapshot) | {"states": overview.backends(snapshot, look)["summary"]}


def rows(snapshot: Snapshot, look: Look) -> Data:
    sums = snapshot.window(windows.chosen(look).name)
    cards = [card(snapshot, view, sums) for view in snapshot.backends]
    return {"cards": cards, "window": sums.window}


def card(snapshot: Snapshot, view: BackendView, sums: WindowView, lines: int = SHOWN_LINES) -> Card:
    output = snapshot.pulse.output
    return Card(
        view,
        sums.by_backend.get(view.id, SummaryView()),
        overview.pips(view.slots_busy, view.slots_total or 0),
        overview.spark(output[view.id], 240, 44) if view.id in output else "",
        windows.rate_now(output[view.id]) if view.id in output else 0.0,
        snapshot.now - view.since if view.since is not None else None,
        advice(view),
        view.server.lines[-lines:] if view.server else (),
    )


def advice(view: BackendView) -> str:
    """What to try, for a backend that is down for a reason we know."""
    if view.state is not BackendState.DOWN:
        return ""
    if view.server is not None:
        return "It is tried again when a request comes; what it wrote last is below."
    reason = view.reason.lower()
    return next((text for word, text in ADVICE if word in reason), "")
