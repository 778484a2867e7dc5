"""The Models page: which names work, where they go, how they perform."""

from collections import Counter
from dataclasses import dataclass

from multiproxy.supervisor.dashboard import windows
from multiproxy.supervisor.dashboard.feed import Look
from multiproxy.supervisor.dashboard.overview import SERVING
from multiproxy.supervisor.dashboard.snapshot import Snapshot
from multiproxy.supervisor.dashboard.views import BackendView, Outcome, SummaryView
from multiproxy.supervisor.rollups.level import MIRRORED

Data = dict[str, object]

MOST_ASKED = 20


@dataclass(frozen=True, slots=True)
class ModelRow:
    name: str
    backends: list[BackendView]  # in the order of the configuration
    contexts: list[int]  # the different sizes, smallest first
    summary: SummaryView
    warning: str


@dataclass(frozen=True, slots=True)
class PartRow:
    """A part of a split, or what a model made of mirrored requests."""

    split: str  # "" for mirrored requests
    model: str
    share: float | None  # of the split's requests
    summary: SummaryView


@dataclass(frozen=True, slots=True)
class AskedRow:
    name: str
    served_as: str  # "" when it was rejected
    count: int


def head(snapshot: Snapshot) -> Data:
    names = _by_model(snapshot)
    return {
        "models": len(names),
        "served": sum(any(b.state in SERVING for b in where) for where in names.values()),
    }


def rows(snapshot: Snapshot, look: Look) -> Data:
    view = snapshot.window(windows.chosen(look).name)
    return {
        "window": view.window,
        "rows": [
            ModelRow(
                name,
                where,
                sorted({b.context_size for b in where if b.context_size}),
                view.by_model.get(name, SummaryView()),
                _warning(where),
            )
            for name, where in _by_model(snapshot).items()
        ],
        "parts": parts(snapshot, look),
    }


def parts(snapshot: Snapshot, look: Look) -> list[PartRow]:
    """The parts of each split in the order of their requests, then the mirrored models."""
    view = snapshot.window(windows.chosen(look).name)
    found = []
    for split, by_model in sorted(view.by_part.items()):
        total = sum(summary.requests for summary in by_model.values())
        found += sorted(
            (PartRow(split, model, s.requests / total if total else None, s)
             for model, s in by_model.items()),
            key=lambda row: (-row.summary.requests, row.model),
        )  # fmt: skip
    return found + [
        PartRow("", name.removesuffix(MIRRORED), None, summary)
        for name, summary in sorted(view.by_model.items())
        if name.endswith(MIRRORED)
    ]


def asked(snapshot: Snapshot, look: Look) -> Data:
    """Names clients used that are not a model's own: aliases, defaults, and mistakes."""
    window = windows.chosen(look)
    counts = Counter(
        (x.requested_model, "" if x.outcome is Outcome.REJECTED else x.model)
        for x in snapshot.since(window.span_s)
        if x.requested_model and (x.requested_model != x.model or x.status == 404)
    )
    rows = [AskedRow(*names, n) for names, n in counts.most_common(MOST_ASKED)]
    return {"rows": rows, "window": window}


def _by_model(snapshot: Snapshot) -> dict[str, list[BackendView]]:
    found: dict[str, list[BackendView]] = {}
    for backend in snapshot.backends:
        for model in backend.models:
            found.setdefault(model, []).append(backend)
    return found


def _warning(where: list[BackendView]) -> str:
    if not any(backend.state in SERVING for backend in where):
        return "No backend of it is serving"
    if len({backend.context_size for backend in where if backend.context_size}) > 1:
        return "Its backends have different context sizes"
    return ""
