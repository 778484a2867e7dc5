"""What the fragments of the first page show, as plain data for their templates."""

from dataclasses import dataclass

from multiproxy.supervisor.dashboard import activity, figures
from multiproxy.supervisor.dashboard.formats import span
from multiproxy.supervisor.dashboard.minute import TTFT_BOUNDS, WINDOW_S, bucket, percentile
from multiproxy.supervisor.dashboard.snapshot import Snapshot
from multiproxy.supervisor.dashboard.views import BackendState, BackendView

SERVING = (BackendState.UP, BackendState.SLEEPING)  # a sleeping one wakes on a request
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
    output = snapshot.minute.output
    speeds = {name: bins.now for name, bins in output.items()}
    return {"backends": snapshot.backends, "speeds": speeds, "health": snapshot.health}


def kpis(snapshot: Snapshot) -> Data:
    minute = snapshot.minute
    output = minute.output_total()
    backends = [b for b in snapshot.backends if b.state in SERVING]
    busy = sum(b.slots_busy for b in backends)
    slots = sum(b.slots_total or 0 for b in backends)
    prefilling = sum(x.phase == "prefill" for x in snapshot.running)
    p50, p95 = percentile(minute.ttfts, 0.5), percentile(minute.ttfts, 0.95)
    return {
        "minute": minute,
        "output": output,
        "output_line": spark(output.totals),
        "prompt_line": spark(minute.prompt.totals),
        "p50": p50,
        "p95": p95,
        "histogram": _histogram(minute.ttft_histogram(), p50, p95),
        "busy": busy,
        "slots": slots,
        "pips": pips(busy, slots, prefilling),
        "queued": len(snapshot.queued),
        "longest_wait": max((x.elapsed_s for x in snapshot.queued), default=None),
        "request_bars": _bars(minute.ended.totals, minute.failed.totals),
        "token_bar": _token_bar(
            minute.cached_tokens, minute.processed_tokens, minute.output_tokens
        ),
    }


def throughput(snapshot: Snapshot) -> Data:
    """Output tokens per second of the last minute, stacked in the order of the configuration."""
    minute = snapshot.minute
    width, height = 600, 200
    names = list(dict.fromkeys(b.id for b in snapshot.backends))  # a replaced one may come twice
    names += sorted(set(minute.output) - set(names) - {""})  # no longer configured
    top = figures.nice_top(max(minute.output_total().totals))
    base = [0.0] * WINDOW_S
    series = []
    for number, name in enumerate(names, start=1):
        bins = minute.output.get(name)
        if bins is None:
            series.append(Series(name, (number - 1) % SERIES + 1, 0.0))
            continue
        upper = [a + b for a, b in zip(base, bins.totals, strict=True)]
        series.append(
            Series(
                name,
                (number - 1) % SERIES + 1,
                bins.now,
                figures.area(upper, base, width, height, top),
                figures.edge(upper, bins.totals, width, height, top),
            )
        )
        base = upper
    ticks = [top * i / 4 for i in (4, 3, 2, 1, 0)]
    return {"series": series, "ticks": ticks, "total": minute.output_total().now}


def first_token(snapshot: Snapshot) -> Data:
    """Time to first token of the last minute: two-second columns, one row per bound."""
    minute = snapshot.minute
    width, height, columns = 420, 200, 30
    grid = [[0] * len(TTFT_BOUNDS) for _ in range(columns)]
    for moment, ttft in minute.first_tokens:
        column = int((moment - (minute.now - WINDOW_S)) / WINDOW_S * columns)
        grid[min(column, columns - 1)][bucket(ttft)] += 1
    rows = len(TTFT_BOUNDS)

    def level(ttft: float | None) -> float | None:
        return None if ttft is None else round(height * (1 - (bucket(ttft) + 0.5) / rows), 1)

    p50, p95 = percentile(minute.ttfts, 0.5), percentile(minute.ttfts, 0.95)
    return {
        "cells": figures.heat(grid, width, height) if minute.first_tokens else [],
        "count": len(minute.first_tokens),
        "p50": p50,
        "p95": p95,
        "p50_y": level(p50),
        "p95_y": level(p95),
    }


def backends(snapshot: Snapshot) -> Data:
    rows = snapshot.backends
    counts = {state: sum(b.state is state for b in rows) for state in BackendState}
    words = {BackendState.UP: "serving"}
    return {
        "rows": rows,
        "summary": [f"{n} {words.get(state, state)}" for state, n in counts.items() if n],
        "pips": [pips(b.slots_busy, b.slots_total or 0) for b in rows],
        "lines": {
            name: spark(bins.totals, 104, 26) for name, bins in snapshot.minute.output.items()
        },
        "speeds": {name: bins.now for name, bins in snapshot.minute.output.items()},
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


def spark(values: list[float], width: int = 120, height: int = 34) -> str:
    """Path data of a line over ``width`` by ``height`` with its own scale."""
    top = max(max(values), 1e-9) * 1.12
    return figures.line(values, width, height - 2, top)


def _histogram(
    counts: list[int], p50: float | None, p95: float | None
) -> list[tuple[str, int, str]]:
    """(class, x, height) of each bar; the bars that hold a percentile stand out."""
    peak = max(max(counts), 1)
    marks = {bucket(p): name for name, p in (("p95", p95), ("p50", p50)) if p is not None}
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


def _bars(ended: list[float], failed: list[float]) -> list[tuple[int, str, str]]:
    """(x, height, height of the failed part) of two-second bars."""
    pairs = [(sum(ended[i : i + 2]), sum(failed[i : i + 2])) for i in range(0, len(ended), 2)]
    peak = max(4.0, *(total for total, _ in pairs))
    return [
        (i * 4, figures.short(total / peak * 32), figures.short(bad / peak * 32))
        for i, (total, bad) in enumerate(pairs)
    ]


def _token_bar(cached: int, processed: int, output: int) -> list[figures.Rect]:
    total = cached + processed + output
    parts = [("cache", cached), ("prefill", processed), ("decode", output)]
    return figures.segments(parts, total, 120) if total else []
