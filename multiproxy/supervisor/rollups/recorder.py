"""Everything that is remembered of finished exchanges, at every resolution the pages need.

``add`` gets every exchange once, in the order of their ends; the rest answers questions.
Seconds and single requests are kept for minutes, sums per minute for an hour, per five minutes
for a day, per hour for a week, and what everybody used per hour for a month.
"""

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from statistics import median

from multiproxy.supervisor.dashboard.views import (
    FLOW_STEP_S,
    USAGE_GROUPS,
    WINDOWS,
    FinishedView,
    Outcome,
    PulseView,
    RunningView,
    UsageView,
    WindowView,
)
from multiproxy.supervisor.rollups import window as windows
from multiproxy.supervisor.rollups.level import Level, Series, counted_as
from multiproxy.supervisor.rollups.totals import Counters, Totals
from multiproxy.supervisor.rollups.track import Bins, Track

KEPT = 8192  # single exchanges, the newest
PULSE_S = 120
USAGE_HOURS = 31 * 24 + 1
# Windows whose points are seconds or tens of them come from tracks, the longer ones from levels.
_FINE = {name: w for name, w in WINDOWS.items() if w.step_s < 60}
_FINEST_S = 10  # every level's step is a multiple of it
_LEVEL_STEPS = {"5m": _FINEST_S, "1h": 60, "24h": 300, "7d": 3600}


class Recorder:
    """Times are Unix seconds; every question takes ``now``."""

    def __init__(self) -> None:
        self.finished: deque[FinishedView] = deque(maxlen=KEPT)
        self.levels = {
            name: Level(step, WINDOWS[name].span_s // step + 1, Totals)
            for name, step in _LEVEL_STEPS.items()
        }
        self.usage = {name: Level(3600, USAGE_HOURS, Counters) for name in USAGE_GROUPS}
        self._output: dict[str, dict[str, Track]] = {name: {} for name in _FINE}
        self._prompt = Track(1, PULSE_S)
        self._ended = Track(1, PULSE_S)
        self._failed = Track(1, PULSE_S)

    def add(self, *ended: FinishedView) -> None:
        """Record exchanges that have just ended, in the order of their ends.

        They are added up first, so that a busy second costs every level one sum per series.
        """
        sums: dict[tuple[int, str, str, str, str], Totals] = {}
        for x in ended:
            place = (int(x.ended_at // _FINEST_S) * _FINEST_S, *series_of(x), x.key)
            found = sums.get(place)
            if found is None:
                found = sums[place] = Totals()
            found.add(x)
            self.remember(x)
        for (start, model, backend, split, key), found in sums.items():
            for level in self.levels.values():
                level.sum(level.start_of(start), (model, backend, split)).merge(found)
            for group, name in zip(USAGE_GROUPS, (model, backend, key), strict=True):
                usage = self.usage[group]
                usage.sum(usage.start_of(start), (name,)).merge(found.counters)

    def remember(self, x: FinishedView) -> None:
        """Take up a single exchange without its sums: those of the long windows are known."""
        self.finished.append(x)
        if not x.copy_of:
            self._ended.add(1, x.ended_at, x.ended_at)
            if x.outcome.is_failure:
                self._failed.add(1, x.ended_at, x.ended_at)
        first = x.started_at + x.ttft_s if x.ttft_s is not None else None
        if x.prompt_tokens is not None and x.outcome is not Outcome.REJECTED:
            processed = max(0, x.prompt_tokens - (x.cached_tokens or 0))
            done = first or x.ended_at
            self._prompt.add(processed, done - (x.prefill_s or 0.0), done)
        if x.output_tokens:
            begin = first or (x.ended_at - x.decode_s if x.decode_s else x.started_at)
            for name, tracks in self._output.items():
                if x.backend not in tracks:
                    w = WINDOWS[name]
                    tracks[x.backend] = Track(w.step_s, w.span_s // w.step_s)
                tracks[x.backend].add(x.output_tokens, begin, x.ended_at)

    @property
    def stored_levels(self) -> tuple[Level[Totals], ...]:
        """Those that outlive a restart; the finer ones are made again from single requests."""
        return self.levels["24h"], self.levels["7d"]

    def restore(
        self,
        finished: Sequence[FinishedView],
        sums: Iterable[tuple[int, int, Series, Totals]],
        usage: Iterable[tuple[str, int, str, Counters]],
        now: float,
    ) -> None:
        """Put the past under what has been recorded since the start.

        ``finished`` is oldest first; ``sums`` are (step, start, series, totals), ``usage`` (group,
        hour, name, counters).
        """
        since_start = list(self.finished)
        self.finished.clear()
        for x in finished:
            if x.ended_at < now - WINDOWS["1h"].span_s:
                self.finished.append(x)
                continue
            for name in ("5m", "1h"):
                self.levels[name].add(series_of(x), x.ended_at, x)
            self.remember(x)
        self.finished.extend(since_start)
        by_step = {level.step: level for level in self.stored_levels}
        for step, start, series, totals in sums:
            if step in by_step:
                by_step[step].put_under(start, series, totals)
        for group, start, name, counters in usage:
            self.usage[group].put_under(start, (name,), counters)

    def pulse(self, running: Sequence[RunningView], now: float) -> PulseView:
        """The last two minutes, with the tokens of running exchanges."""
        prompt = self._prompt.until(now)
        for x in running:
            if x.ttft_s is not None and x.prompt_tokens is not None:
                first = x.started_at + x.ttft_s
                prompt.add(max(0, x.prompt_tokens - (x.cached_tokens or 0)), first, first)
        output = self._output_until("5m", running, now)
        speeds = [x.tokens_per_s for x in running if x.tokens_per_s]
        return PulseView(
            {name: rates[-PULSE_S:] for name, rates in output.items()},
            prompt.rates,
            self._ended.until(now).amounts,
            self._failed.until(now).amounts,
            median(speeds) if speeds else None,
        )

    def window(self, name: str, running: Sequence[RunningView], now: float) -> WindowView:
        """The window ``name`` of WINDOWS."""
        window, level = WINDOWS[name], self.levels[name]
        if name not in _FINE:
            return windows.build(window, level, self._output_of(level, now), now, None)
        begin = now - window.span_s
        # The ring is in the order of ends: what it has forgotten ended before its oldest.
        reaches_back = len(self.finished) < KEPT or self.finished[0].ended_at < begin
        samples = windows.Samples(self.finished, running, begin) if reaches_back else None
        output = self._output_until(name, running, now)
        return windows.build(window, level, output, now, samples)

    def usage_by(self, group: str, since: float) -> list[UsageView]:
        """What each model, backend or key used per hour, oldest first."""
        level = self.usage[group]
        return [
            UsageView(
                start, name, c.requests, c.failures, c.prompt_tokens, c.cached_tokens,
                c.output_tokens, c.compute_s,
            )
            for start, (name,), c in level.since(level.start_of(since))
        ]  # fmt: skip

    def _output_until(
        self, name: str, running: Sequence[RunningView], now: float
    ) -> Mapping[str, Sequence[float]]:
        bins = {backend: track.until(now) for backend, track in self._output[name].items()}
        window = WINDOWS[name]
        for x in running:
            if x.ttft_s is None:
                continue
            if x.backend not in bins:
                bins[x.backend] = Track(window.step_s, window.span_s // window.step_s).until(now)
            _add_running(bins[x.backend], x, now)
        return {backend: found.rates for backend, found in bins.items() if any(found.amounts)}

    def _output_of(self, level: Level[Totals], now: float) -> Mapping[str, Sequence[float]]:
        """The last point is of the stretch that still runs."""
        points = level.kept - 1
        newest = level.start_of(now)
        first = newest - (points - 1) * level.step
        rates: dict[str, list[float]] = {}
        for start, (_, backend, _), totals in level.since(first):
            if totals.counters.output_tokens and start <= newest:
                seconds = level.step if start < newest else max(now - newest, level.step / 10)
                line = rates.setdefault(backend, [0.0] * points)
                line[(start - first) // level.step] += totals.counters.output_tokens / seconds
        return rates


def series_of(x: FinishedView) -> tuple[str, str, str]:
    """(model, backend, split). A name that was asked for and never served is not a model."""
    return (counted_as(x) if x.backend or x.outcome.is_failure else "", x.backend, x.split)


def _add_running(bins: Bins, x: RunningView, now: float) -> None:
    """The rhythm of the last seconds as measured, what came before spread evenly."""
    flow_begin = now - FLOW_STEP_S * len(x.flow)
    for i, count in enumerate(x.flow):
        if count:
            begin = flow_begin + i * FLOW_STEP_S
            bins.add(count, begin, begin + FLOW_STEP_S)
    earlier = x.output_tokens - sum(x.flow)
    if earlier > 0 and x.ttft_s is not None:
        bins.add(earlier, min(x.started_at + x.ttft_s, flow_begin), flow_begin)
