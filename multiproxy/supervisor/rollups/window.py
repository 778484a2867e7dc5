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
from multiproxy.supervisor.rollups.level import MIRRORED, OTHER, Level, Series, counted_as
from multiproxy.supervisor.rollups.percentiles import TTFT_BOUNDS, percentile, ttft_row
from multiproxy.supervisor.rollups.totals import Totals

MODEL, BACKEND, SPLIT = 0, 1, 2  # places in a series


class Samples:
    """Every first-token time and speed since ``begin``, each with its series."""

    def __init__(
        self, finished: Iterable[FinishedView], running: Iterable[RunningView], begin: float
    ) -> None:
        self.ttfts: list[tuple[float, float, Series]] = []  # (when, TTFT, series)
        self.speeds: list[tuple[float, Series]] = []
        for x in finished:
            series = (counted_as(x), x.backend, x.split)
            if x.ttft_s is not None and x.started_at + x.ttft_s >= begin:
                self.ttfts.append((x.started_at + x.ttft_s, x.ttft_s, series))
            if x.tokens_per_s is not None and x.ended_at >= begin:
                self.speeds.append((x.tokens_per_s, series))
        for r in running:  # its first token has come, whenever it will end
            if r.ttft_s is not None and r.started_at + r.ttft_s >= begin:
                series = (counted_as(r), r.backend, "")
                self.ttfts.append((r.started_at + r.ttft_s, r.ttft_s, series))


Group = tuple[str, ...]
Place = Callable[[Series], Group | None]  # None: in no group


class Groups:
    """Summaries of one grouping: all, by model, by backend, or by the parts of splits."""

    def __init__(self, place: Place, sums: Mapping[Series, Totals]) -> None:
        self._place = place
        self._totals: dict[Group, Totals] = defaultdict(Totals)
        for series, totals in sums.items():
            if (group := place(series)) is not None:
                self._totals[group].merge(totals)

    def summaries(self, samples: Samples | None) -> dict[Group, SummaryView]:
        """By group; from the histograms when there are no samples."""
        return self._from_histograms() if samples is None else self._from_samples(samples)

    def _from_histograms(self) -> dict[Group, SummaryView]:
        return {
            name: _summary(
                t, t.ttft.count, t.ttft.percentile(0.5), t.ttft.percentile(0.95),
                t.speed.percentile(0.5),
            )
            for name, t in self._totals.items()
        }  # fmt: skip

    def _from_samples(self, samples: Samples) -> dict[Group, SummaryView]:
        ttfts: dict[Group, list[float]] = defaultdict(list)
        speeds: dict[Group, list[float]] = defaultdict(list)
        for _, ttft, series in samples.ttfts:
            if (group := self._place(series)) is not None:
                ttfts[group].append(ttft)
        for speed, series in samples.speeds:
            if (group := self._place(series)) is not None:
                speeds[group].append(speed)
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
    sums: dict[Series, Totals] = defaultdict(Totals)
    for _, series, totals in level.since(first):
        sums[series].merge(totals)
    total, by_backend, by_model, by_part = (
        Groups(place, sums).summaries(samples) for place in (_all, _backend, _model, _part)
    )
    if samples is None:
        heat = _heat_of_level(window, level, first)
    else:
        heat = _heat_of_samples(window, samples, now)
    parts: dict[str, dict[str, SummaryView]] = defaultdict(dict)
    for (split, model), summary in by_part.items():
        parts[split][model] = summary
    return WindowView(
        window, now - first, output, total.get((), SummaryView()),
        {name: summary for (name,), summary in by_backend.items()},
        {name: summary for (name,), summary in by_model.items()},
        parts, heat, samples is not None,
    )  # fmt: skip


def _all(series: Series) -> Group | None:
    """Every request; a copy is none."""
    return None if series[MODEL].endswith(MIRRORED) else ()


def _backend(series: Series) -> Group:
    return (series[BACKEND],)


def _model(series: Series) -> Group:
    return (series[MODEL],)


def _part(series: Series) -> Group | None:
    split = series[SPLIT]
    return (split, series[MODEL]) if split and split != OTHER else None


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
    for when, ttft, series in samples.ttfts:
        if _all(series) is None:
            continue
        column = int((when - (now - window.span_s)) / width)
        heat[min(column, window.columns - 1)][ttft_row(ttft)] += 1
    return heat


def _heat_of_level(window: Window, level: Level[Totals], first: int) -> list[list[int]]:
    heat, width = _empty(window), window.span_s // window.columns
    for start, series, totals in level.since(first):
        if _all(series) is None:
            continue
        column = heat[(start - first) // width]
        for ttft, count in totals.ttft.values():
            column[ttft_row(ttft)] += count
    return heat
