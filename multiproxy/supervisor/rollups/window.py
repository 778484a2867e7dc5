"""A window of the statistics as the pages show it: exact while every sample is still there.

Percentiles come from the samples of the ring when it reaches back to the window's beginning,
otherwise from the histograms of the level. Counts and tokens always come from the level, which
forgets nothing however many requests there were. Percentiles are never averaged.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence

from multiproxy.supervisor.dashboard.views import (
    FinishedView,
    RunningView,
    SummaryView,
    Window,
    WindowView,
)
from multiproxy.supervisor.rollups.level import Level
from multiproxy.supervisor.rollups.percentiles import TTFT_BOUNDS, percentile, ttft_row
from multiproxy.supervisor.rollups.totals import Totals

MODEL, BACKEND = 0, 1  # places in a series


class Samples:
    """Every first-token time and speed since ``begin``, by model and backend."""

    def __init__(
        self, finished: Iterable[FinishedView], running: Iterable[RunningView], begin: float
    ) -> None:
        self.ttfts: list[tuple[float, float, str, str]] = []  # (when, TTFT, model, backend)
        self.speeds: list[tuple[float, str, str]] = []
        for x in finished:
            if x.ttft_s is not None and x.started_at + x.ttft_s >= begin:
                self.ttfts.append((x.started_at + x.ttft_s, x.ttft_s, x.model, x.backend))
            if x.tokens_per_s is not None and x.ended_at >= begin:
                self.speeds.append((x.tokens_per_s, x.model, x.backend))
        for r in running:  # its first token has come, whenever it will end
            if r.ttft_s is not None and r.started_at + r.ttft_s >= begin:
                self.ttfts.append((r.started_at + r.ttft_s, r.ttft_s, r.model, r.backend))


Place = Callable[[str, str], str]  # (model, backend) -> the group


class Groups:
    """Summaries of one grouping: all, by model or by backend."""

    def __init__(self, place: Place, sums: Mapping[tuple[str, str], Totals]) -> None:
        self._place = place
        self._totals: dict[str, Totals] = defaultdict(Totals)
        for (model, backend), totals in sums.items():
            self._totals[place(model, backend)].merge(totals)

    def from_histograms(self) -> dict[str, SummaryView]:
        return {
            name: _summary(
                t, t.ttft.count, t.ttft.percentile(0.5), t.ttft.percentile(0.95),
                t.speed.percentile(0.5),
            )
            for name, t in self._totals.items()
        }  # fmt: skip

    def from_samples(self, samples: Samples) -> dict[str, SummaryView]:
        ttfts: dict[str, list[float]] = defaultdict(list)
        speeds: dict[str, list[float]] = defaultdict(list)
        for _, ttft, model, backend in samples.ttfts:
            ttfts[self._place(model, backend)].append(ttft)
        for speed, model, backend in samples.speeds:
            speeds[self._place(model, backend)].append(speed)
        found = {}
        for name in self._totals.keys() | ttfts.keys():
            times, rates = sorted(ttfts[name]), sorted(speeds[name])
            found[name] = _summary(
                self._totals[name], len(times), percentile(times, 0.5), percentile(times, 0.95),
                percentile(rates, 0.5),
            )  # fmt: skip
        return found


def build(
    window: Window,
    level: Level[Totals],
    output: Mapping[str, Sequence[float]],
    now: float,
    samples: Samples | None,
) -> WindowView:
    """``samples`` are None when some are already forgotten."""
    first = level.start_of(now) - window.span_s + level.step
    sums: dict[tuple[str, str], Totals] = defaultdict(Totals)
    for _, series, totals in level.since(first):
        sums[series[MODEL], series[BACKEND]].merge(totals)
    groups = [
        Groups(place, sums)
        for place in (lambda m, b: "", lambda m, b: b, lambda m, b: m)  # all, backend, model
    ]
    if samples is None:
        total, by_backend, by_model = (group.from_histograms() for group in groups)
        heat = _heat_of_level(window, level, first)
    else:
        total, by_backend, by_model = (group.from_samples(samples) for group in groups)
        heat = _heat_of_samples(window, samples, now)
    return WindowView(
        window, now - first, output, total.get("", SummaryView()), by_backend, by_model,
        heat, samples is not None,
    )  # fmt: skip


def _summary(
    totals: Totals, streams: int, p50: float | None, p95: float | None, speed: float | None
) -> SummaryView:
    c = totals.counters
    return SummaryView(
        c.requests, c.failures, c.prompt_tokens, c.cached_tokens, c.output_tokens,
        streams, p50, p95, speed,
    )  # fmt: skip


def _empty(window: Window) -> list[list[int]]:
    return [[0] * len(TTFT_BOUNDS) for _ in range(window.columns)]


def _heat_of_samples(window: Window, samples: Samples, now: float) -> list[list[int]]:
    heat, width = _empty(window), window.span_s / window.columns
    for when, ttft, _, _ in samples.ttfts:
        column = int((when - (now - window.span_s)) / width)
        heat[min(column, window.columns - 1)][ttft_row(ttft)] += 1
    return heat


def _heat_of_level(window: Window, level: Level[Totals], first: int) -> list[list[int]]:
    heat, width = _empty(window), window.span_s // window.columns
    for start, _, totals in level.since(first):
        column = heat[(start - first) // width]
        for ttft, count in totals.ttft.values():
            column[ttft_row(ttft)] += count
    return heat
