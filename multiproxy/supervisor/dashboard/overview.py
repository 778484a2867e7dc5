"""What the fragments of the first page show, as plain data for their templates."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from multiproxy.supervisor.dashboard import activity, event_lines, figures, windows
from multiproxy.supervisor.dashboard.feed import Look
from multiproxy.supervisor.dashboard.formats import span
from multiproxy.supervisor.dashboard.snapshot import MINUTE_S, Snapshot
from multiproxy.supervisor.dashboard.views import BackendState, BackendView, SummaryView
from multiproxy.supervisor.rollups.percentiles import TTFT_BOUNDS, ttft_row

# A sleeping one wakes on a request, a stopped one is started.
SERVING = (BackendState.UP, BackendState.SLEEPING, BackendState.STOPPED)
BANNER_AFTER_S = 5  # a state shorter than this is a blip
MAX_BANNERS = 2
SERIES = 4  # colours; the fifth backend repeats the first one dashed
MAX_PIPS = 24

Data = dict[str, object]


@dataclass(frozen=True, slots=True)
class Banner:
    kind: str  # err or warn
    title: str
    text: str


@dataclass(frozen=True, slots=True)
class Series:
    name: str
    number: int  # 1-based place among the colours
    now: float
    area: str = ""
    edge: str = ""


def head(snapshot: Snapshot) -> Data:
    backends = snapshot.backends
    return {
        "serving": sum(b.state in SERVING for b in backends),
        "configured": len(backends),
        "running": len(snapshot.running),
    }


def banner(snapshot: Snapshot) -> Data:
    """At most two, worst first: nothing serves, our own problems, then single backends."""
    found = []
    backends = snapshot.backends
    down = [b for b in backends if b.state is BackendState.DOWN and _lasting(b, snapshot.now)]
    if down and not any(b.state in SERVING for b in backends):
        text = "Requests are answered with an error until one is back."
        found.append(Banner("err", "No backend is serving.", text))
    health = snapshot.health
    if health.reload_error:
        text = f"{health.reload_error}. The previous configuration is still in use."
        found.append(Banner("err", "The configuration was not reloaded.", text))
    found += [Banner("warn", problem, "") for problem in health.problems]
    found += [_down_banner(b, snapshot.now) for b in down]
    return {"banners": found[:MAX_BANNERS], "more": len(found) - MAX_BANNERS}


def _lasting(backend: BackendView, now: float) -> bool:
    return backend.since is None or now - backend.since >= BANNER_AFTER_S


def _down_banner(backend: BackendView, now: float) -> Banner:
    reason = backend.reason or "Its checks fail"
    # In steps, so that the banner is announced when it comes and not once a second.
    since = f" for {_steps(now - backend.since)}" if backend.since is not None else ""
    text = f"{reason[:1].upper()}{reason[1:]}{since}; new requests skip it."
    return Banner("err", f"{backend.id} is not answering.", text)


def _steps(duration: float) -> str:
    if duration < 60:
        return "less than a minute"
    minutes = int(duration // 60)
    return f"{minutes} min" if minutes < 60 else span(duration)


def nav_counts(snapshot: Snapshot) -> dict[str, tuple[str, bool]]:
    """Per page the number beside its link, and whether it is a warning."""
    serving = sum(b.state in SERVING for b in snapshot.backends)
    configured = len(snapshot.backends)
    counts = {"backends": (f"{serving}/{configured}", serving < configured)}
    if snapshot.running:
        counts["requests"] = (str(len(snapshot.running)), False)
    return counts


def side(snapshot: Snapshot) -> Data:
    speeds = {name: windows.rate_now(line) for name, line in snapshot.pulse.output.items()}
    return {"backends": snapshot.backends, "speeds": speeds, "health": snapshot.health}


def kpis(snapshot: Snapshot, look: Look) -> Data:
    """Values and lines are of now; what is said about them is of the window."""
    pulse, view = snapshot.pulse, snapshot.window(windows.chosen(look).name)
    total = view.total
    output = summed(pulse.output.values())
    backends = [b for b in snapshot.backends if b.state in SERVING]
    busy = sum(b.slots_busy for b in backends)
    slots = sum(b.slots_total or 0 for b in backends)
    prefilling = sum(x.phase == "prefill" for x in snapshot.running)
    counts = [sum(column) for column in zip(*view.heat, strict=True)]
    return {
        "window": view.window,
        "total": total,
        "output_now": windows.rate_now(output),
        "output_line": spark(output),
        "peak": max([*summed(view.output.values()), *output]),
        "stream_speed": pulse.stream_speed,
        "prompt_now": windows.rate_now(pulse.prompt),
        "prompt_line": spark(pulse.prompt),
        "histogram": _histogram(counts, total.ttft_p50, total.ttft_p95),
        "busy": busy,
        "slots": slots,
        "pips": pips(busy, slots, prefilling),
        "queued": len(snapshot.queued),
        "longest_wait": max((x.elapsed_s for x in snapshot.queued), default=None),
        "ended_now": sum(pulse.ended[-60:]) / MINUTE_S,
        "request_bars": _bars(pulse.ended, pulse.failed),
        "token_bar": _token_bar(total),
    }


def throughput(snapshot: Snapshot, look: Look, only: str = "") -> Data:
    """Output tokens per second over the window, stacked in the order of the configuration.

    ``only`` leaves one backend of them, in its own colour.
    """
    view = snapshot.window(windows.chosen(look).name)
    width, height = 600, 200
    names = list(dict.fromkeys(b.id for b in snapshot.backends))  # a replaced one may come twice
    names += sorted(view.output.keys() - set(names) - {""})  # no longer configured
    lines = {name: figures.thinned(view.output[name]) for name in names if name in view.output}
    now = snapshot.pulse.output
    if only:
        lines = {name: line for name, line in lines.items() if name == only}
        now = {name: line for name, line in now.items() if name == only}
    base = [0.0] * len(next(iter(lines.values()), ()))
    top = figures.nice_top(max(summed(lines.values())))
    series = []
    for number, name in enumerate(names, start=1):
        if only and name != only:
            continue
        colour = (number - 1) % SERIES + 1
        speed = windows.rate_now(now[name]) if name in now else 0.0
        own = lines.get(name)
        if own is None:
            series.append(Series(name, colour, speed))
            continue
        upper = [a + b for a, b in zip(base, own, strict=True)]
        area = figures.area(upper, base, width, height, top)
        edge = figures.edge(upper, own, width, height, top)
        series.append(Series(name, colour, speed, area, edge))
        base = upper
    return {
        "series": series,
        "ticks": [top * i / 4 for i in (4, 3, 2, 1, 0)],
        "total": windows.rate_now(summed(now.values())),
        "events": event_lines.of(snapshot.events, view.window, snapshot.now),
        "window": view.window,
        "marks": windows.axis(view.window),
    }


def first_token(snapshot: Snapshot, look: Look) -> Data:
    """Time to first token over the window: columns of time, one row per bound."""
    view = snapshot.window(windows.chosen(look).name)
    width, height = 420, 200
    total = view.total

    def level(ttft: float | None) -> float | None:
        if ttft is None:
            return None
        return round(height * (1 - (ttft_row(ttft) + 0.5) / len(TTFT_BOUNDS)), 1)

    return {
        "cells": figures.heat(view.heat, width, height) if total.streams else [],
        "total": total,
        "p50_y": level(total.ttft_p50),
        "p95_y": level(total.ttft_p95),
        "window": view.window,
        "marks": windows.axis(view.window),
    }


def backends(snapshot: Snapshot, look: Look) -> Data:
    rows = snapshot.backends
    view = snapshot.window(windows.chosen(look).name)
    counts = {state: sum(b.state is state for b in rows) for state in BackendState}
    words = {BackendState.UP: "serving"}
    pulse = snapshot.pulse.output
    return {
        "rows": rows,
        "window": view.window,
        "summary": [f"{n} {words.get(state, state)}" for state, n in counts.items() if n],
        "pips": [pips(b.slots_busy, b.slots_total or 0) for b in rows],
        "totals": [view.by_backend.get(b.id, SummaryView()) for b in rows],
        "lines": {name: spark(line[-60:], 104, 26) for name, line in pulse.items()},
        "speeds": {name: windows.rate_now(line) for name, line in pulse.items()},
        "now": snapshot.now,
    }


def activity_head(snapshot: Snapshot) -> Data:
    queued = len(snapshot.queued)
    return {
        "running": len(snapshot.running) - queued,
        "queued": queued,
        "finished": len(snapshot.finished),
    }


def running(snapshot: Snapshot) -> Data:
    shown = snapshot.running[: activity.SHOWN_RUNNING]
    return {
        "rows": activity.running_rows(shown),
        "more": len(snapshot.running) - len(shown),
        "speed": activity.live_speed,
    }


def finished(snapshot: Snapshot) -> Data:
    newest = snapshot.history(activity.SHOWN)
    first_model = next((m for b in snapshot.backends for m in b.models), "")
    return {
        "rows": activity.finished_rows(newest, snapshot.now),
        "idle": not snapshot.running and not newest,
        "api_url": snapshot.health.api_url,
        "model": first_model,
    }


# -- the small drawings of the key figures ---------------------------------------------------


def summed(lines: Iterable[Sequence[float]]) -> list[float]:
    """Lines of one length added up; two zeros when there is none."""
    return [sum(column) for column in zip(*lines, strict=True)] or [0.0, 0.0]


def spark(values: Sequence[float], width: int = 120, height: int = 34) -> str:
    """Path data of a line over ``width`` by ``height`` with its own scale."""
    top = max(max(values), 1e-9) * 1.12
    return figures.line(values, width, height - 2, top)


def _histogram(
    counts: list[int], p50: float | None, p95: float | None
) -> list[tuple[str, int, str]]:
    """(class, x, height) of each bar; the bars that hold a percentile stand out."""
    peak = max(max(counts), 1)
    marks = {ttft_row(p): name for name, p in (("p95", p95), ("p50", p50)) if p is not None}
    return [
        (marks.get(i, ""), i * 10, figures.short(max(1.0, count / peak * 31)))
        for i, count in enumerate(counts)
    ]


def pips(busy: int, slots: int, prefilling: int = 0) -> list[str]:
    """The class of every slot, busy ones first; none when there are too many to count."""
    if slots > MAX_PIPS:
        return []
    taken = min(busy, slots)
    waiting = min(prefilling, taken)
    kinds = ["decode"] * (taken - waiting) + ["prefill"] * waiting
    return kinds + ["free"] * (slots - taken)


def _bars(ended: Sequence[float], failed: Sequence[float]) -> list[tuple[int, str, str]]:
    """(x, height, height of the failed part) of four-second bars."""
    pairs = [(sum(ended[i : i + 4]), sum(failed[i : i + 4])) for i in range(0, len(ended), 4)]
    peak = max(4.0, *(total for total, _ in pairs))
    return [
        (i * 4, figures.short(total / peak * 32), figures.short(bad / peak * 32))
        for i, (total, bad) in enumerate(pairs)
    ]


def _token_bar(total: SummaryView) -> list[figures.Rect]:
    parts = [
        ("cache", total.cached_tokens),
        ("prefill", total.processed_tokens),
        ("decode", total.output_tokens),
    ]
    whole = sum(amount for _, amount in parts)
    return figures.segments(parts, whole, 120) if whole else []
