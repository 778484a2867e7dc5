"""The pages' numbers as JSON: the same state, the same query, for programs.

Every page that shows something has a twin under /api/. Names and units are those of ``views``:
times of day in Unix seconds, durations in seconds, null for unknown.
"""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import orjson

from multiproxy.supervisor.dashboard import models, reasons, requests, usage, windows
from multiproxy.supervisor.dashboard.feed import Look
from multiproxy.supervisor.dashboard.messages import Response
from multiproxy.supervisor.dashboard.request import find
from multiproxy.supervisor.dashboard.snapshot import Snapshot
from multiproxy.supervisor.dashboard.views import FinishedView, RunningView, SummaryView

Data = dict[str, object]

NEWEST = 50  # finished requests in the overview's twin


def json_response(body: object) -> Response:
    return Response(body=orjson.dumps(body), content_type="application/json")


def overview(snapshot: Snapshot, look: Look) -> Data:
    pulse = snapshot.pulse
    return {
        "health": snapshot.health,
        "backends": snapshot.backends,
        "running": snapshot.running,
        "finished": [_finished(x) for x in snapshot.history(NEWEST)],
        "pulse": {
            "output": {name: list(values) for name, values in pulse.output.items()},
            "prompt": list(pulse.prompt),
            "ended": list(pulse.ended),
            "failed": list(pulse.failed),
            "stream_speed": pulse.stream_speed,
        },
        "window": _window(snapshot, look),
    }


def request_list(snapshot: Snapshot, look: Look) -> Data:
    """``older`` is the value of ``before`` that continues the list."""
    rows, older = requests.page(snapshot, look)
    return {
        "running": requests.running_views(snapshot, look),
        "finished": [_finished(x) for x in rows],
        "older": older or None,
    }


def request(snapshot: Snapshot, look: Look) -> Data:
    found = find(snapshot, look)
    if isinstance(found, RunningView):
        return {"running": found, "finished": None, "why": []}
    assert found is not None  # the page does not exist without
    why = [f"{step.subject} {step.text}" for step in reasons.story(found)]
    return {"running": None, "finished": _finished(found), "why": why}


def backends(snapshot: Snapshot, look: Look) -> Data:
    view = snapshot.window(windows.chosen(look).name)
    return {
        "window": view.window.name,
        "backends": [
            plain(backend) | {"summary": _summary(view.by_backend.get(backend.id, SummaryView()))}
            for backend in snapshot.backends
        ],
    }


def model_list(snapshot: Snapshot, look: Look) -> Data:
    asked = models.asked(snapshot, look)["rows"]
    view = snapshot.window(windows.chosen(look).name)
    return {
        "window": view.window.name,
        "models": [
            plain(each) | {"summary": _summary(view.by_model.get(each.name, SummaryView()))}
            for each in snapshot.models
        ],
        "parts": [
            {"split": row.split or None, "model": row.model, "is_mirror": not row.split}
            | {"share": row.share, "summary": _summary(row.summary)}
            for row in models.parts(snapshot, look)
        ],
        "asked": asked,
    }


def usage_sums(snapshot: Snapshot, look: Look) -> Data:
    """The groups of the page's table; /usage.json has the hours they are made of."""
    choice, rows = usage.asked(snapshot, look)
    groups = usage.groups(rows, choice)
    return {
        "range": choice.range,
        "by": choice.by,
        "groups": [
            {"name": group.name, "share": group.share, "measure": choice.measure}
            | {name: value for name, value in plain(group.total).items() if name != "start"}
            | {"spent_tokens": group.total.spent_tokens}
            for group in groups
        ],
    }


def config(snapshot: Snapshot, look: Look) -> Data:
    return {"health": snapshot.health, "events": snapshot.events}


Twin = Callable[[Snapshot, Look], Data]

TWINS: Mapping[str, Twin] = {  # by the names of pages
    "overview": overview,
    "requests": request_list,
    "request": request,
    "backends": backends,
    "models": model_list,
    "usage": usage_sums,
    "config": config,
}


def plain(view: object) -> dict[str, Any]:
    """A view's fields; what is inside stays as it is."""
    assert dataclasses.is_dataclass(view)
    return {each.name: getattr(view, each.name) for each in dataclasses.fields(view)}


def _finished(x: FinishedView) -> dict[str, Any]:
    return plain(x) | {"ended_at": x.ended_at}


def _summary(x: SummaryView) -> dict[str, Any]:
    return plain(x) | {"failed_share": x.failed_share, "cached_share": x.cached_share}


def _window(snapshot: Snapshot, look: Look) -> Data:
    view = snapshot.window(windows.chosen(look).name)
    return {
        "name": view.window.name,
        "span_s": view.span_s,
        "step_s": view.window.step_s,
        "is_exact": view.is_exact,
        "output": {name: list(values) for name, values in view.output.items()},
        "total": _summary(view.total),
        "by_backend": {name: _summary(each) for name, each in view.by_backend.items()},
        "by_model": {name: _summary(each) for name, each in view.by_model.items()},
    }
