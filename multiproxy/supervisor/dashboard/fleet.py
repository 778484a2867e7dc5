"""The Backends page: each server with what it did in the last five minutes."""

from collections import defaultdict
from dataclasses import dataclass

from multiproxy.supervisor.dashboard import overview
from multiproxy.supervisor.dashboard.snapshot import Snapshot
from multiproxy.supervisor.dashboard.summary import Summary
from multiproxy.supervisor.dashboard.views import BackendState, BackendView, FinishedView

Data = dict[str, object]

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
    summary: Summary
    pips: list[str]
    line: str  # output of the last minute, path data
    speed: float
    since_s: float | None
    advice: str


def head(snapshot: Snapshot) -> Data:
    return overview.head(snapshot) | {"states": overview.backends(snapshot)["summary"]}


def rows(snapshot: Snapshot) -> Data:
    by_backend: dict[str, list[FinishedView]] = defaultdict(list)
    for exchange in snapshot.recent:
        by_backend[exchange.backend].append(exchange)
    output = snapshot.minute.output
    cards = [
        Card(
            view,
            Summary(by_backend[view.id]),
            overview.pips(view.slots_busy, view.slots_total or 0),
            overview.spark(output[view.id].totals, 240, 44) if view.id in output else "",
            output[view.id].now if view.id in output else 0.0,
            snapshot.now - view.since if view.since is not None else None,
            advice(view),
        )
        for view in snapshot.backends
    ]
    return {"cards": cards}


def advice(view: BackendView) -> str:
    """What to try, for a backend that is down for a reason we know."""
    if view.state is not BackendState.DOWN:
        return ""
    reason = view.reason.lower()
    return next((text for word, text in ADVICE if word in reason), "")
