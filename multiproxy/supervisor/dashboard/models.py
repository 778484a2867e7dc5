"""The Models page: which names work, where they go, how they perform."""

from collections import Counter
from dataclasses import dataclass

from multiproxy.supervisor.dashboard import windows
from multiproxy.supervisor.dashboard.feed import Look
from multiproxy.supervisor.dashboard.overview import SERVING
from multiproxy.supervisor.dashboard.snapshot import Snapshot
from multiproxy.supervisor.dashboard.views import (
    BackendView,
    ModelView,
    Outcome,
    SummaryView,
    WindowView,
)
from multiproxy.supervisor.rollups.level import MIRRORED

Data = dict[str, object]

MOST_ASKED = 20


@dataclass(frozen=True, slots=True)
class ModelRow:
    view: ModelView
    backends: list[BackendView]  # in the order of the configuration
    contexts: list[int]  # the different sizes, smallest first
    summary: SummaryView
    warning: str
    notes: list[str]  # where else its requests go

    @property
    def name(self) -> str:
        return self.view.name


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
    found = snapshot.models
    return {
        "models": len(found),
        "served": sum(any(b.state in SERVING for b in where(snapshot, each)) for each in found),
    }


def rows(snapshot: Snapshot, look: Look) -> Data:
    view = snapshot.window(windows.chosen(look).name)
    return {
        "window": view.window,
        "rows": [row(snapshot, each, view) for each in snapshot.models],
        "parts": parts(snapshot, look),
    }


def row(snapshot: Snapshot, view: ModelView, sums: WindowView) -> ModelRow:
    backends = where(snapshot, view)
    return ModelRow(
        view,
        backends,
        sorted({b.context_size for b in backends if b.context_size}),
        _summary(view, sums),
        _warning(backends),
        _notes(view),
    )


def where(snapshot: Snapshot, view: ModelView) -> list[BackendView]:
    """Its backends; one that leaves under the same name is not meant."""
    known = {backend.id: backend for backend in reversed(snapshot.backends)}
    return [known[id] for id in view.backends if id in known]


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
    found = [AskedRow(*names, n) for names, n in counts.most_common(MOST_ASKED)]
    return {"rows": found, "window": window}


def _summary(view: ModelView, sums: WindowView) -> SummaryView:
    """A split's requests are its parts'; their times do not add up."""
    if not view.parts:
        return sums.by_model.get(view.name, SummaryView())
    found = sums.by_part.get(view.name, {}).values()
    return SummaryView(
        requests=sum(each.requests for each in found),
        failures=sum(each.failures for each in found),
        prompt_tokens=sum(each.prompt_tokens for each in found),
        cached_tokens=sum(each.cached_tokens for each in found),
        output_tokens=sum(each.output_tokens for each in found),
    )


def _notes(view: ModelView) -> list[str]:
    whole = sum(weight for _, weight in view.parts) or 1
    notes = []
    if view.is_default:
        notes.append("the default")
    if view.parts:
        shares = (f"{model} {100 * weight / whole:.0f} %" for model, weight in view.parts)
        notes.append(f"split: {', '.join(shares)}")
    if view.fallback:
        notes.append(f"falls back to {', then '.join(view.fallback)}")
    if view.mirror:
        notes.append(f"mirrored to {view.mirror}")
    if view.send_as:
        notes.append(f"sent as {view.send_as}")
    return notes


def _warning(backends: list[BackendView]) -> str:
    if not backends:
        return "No backend has it"
    if not any(backend.state in SERVING for backend in backends):
        return "No backend of it is serving"
    if len({backend.context_size for backend in backends if backend.context_size}) > 1:
        return "Its backends have different context sizes"
    return ""
