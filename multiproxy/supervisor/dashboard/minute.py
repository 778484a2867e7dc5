"""The last minute, rebuilt from its exchanges: rates, percentiles and shares.

No recorder is needed: a finished exchange says how many tokens it moved between which moments,
and spreading them evenly over that time gives rates that are exact in their sums. A running
one adds its measured rhythm. Nothing here averages averages.
"""

from collections.abc import Sequence
from math import ceil, floor
from statistics import median

from multiproxy.supervisor.dashboard.views import FinishedView, Outcome, RunningView

WINDOW_S = 60
FLOW_STEP_S = 0.2  # of RunningView.flow
NOW_BINS = 3  # "now" is the mean of the last complete seconds

# Upper bounds in seconds, as in OpenTelemetry's gen_ai.server.time_to_first_token from 40 ms.
TTFT_BOUNDS = (0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)

MIN_SAMPLES = {0.5: 5, 0.95: 20, 0.99: 100}  # fewer say nothing about that percentile


def percentile(samples: Sequence[float], p: float) -> float | None:
    """The nearest-rank percentile of sorted samples; None when they are too few."""
    if len(samples) < MIN_SAMPLES[p]:
        return None
    return samples[ceil(p * len(samples)) - 1]


class Bins:
    """Amounts per whole second over the window; ``totals[-1]`` is the last complete second."""

    def __init__(self, now: float) -> None:
        self._start = floor(now) - WINDOW_S
        self.totals = [0.0] * WINDOW_S

    def spread(self, amount: float, begin: float, end: float) -> None:
        """Adds ``amount``, evenly over the time from ``begin`` to ``end``."""
        begin -= self._start
        end -= self._start
        if end - begin < 1e-3:
            if 0 <= begin < WINDOW_S:
                self.totals[int(begin)] += amount
            return
        per_second = amount / (end - begin)
        for i in range(max(0, floor(begin)), min(WINDOW_S, ceil(end))):
            self.totals[i] += per_second * (min(end, i + 1) - max(begin, i))

    @property
    def now(self) -> float:
        return sum(self.totals[-NOW_BINS:]) / NOW_BINS


class Minute:
    """Everything the key figures and charts show; units as in ``views``."""

    def __init__(
        self,
        running: Sequence[RunningView],
        finished: Sequence[FinishedView],
        now: float,
        limit: int,
    ) -> None:
        """``finished`` is newest first and was cut at ``limit`` exchanges."""
        self.now = now
        # When there were more, the oldest one we have says how far back we really see.
        self.span_s = WINDOW_S if len(finished) < limit else max(1.0, now - finished[-1].ended_at)
        self.output: dict[str, Bins] = {}  # by backend
        self.prompt = Bins(now)  # processed tokens: the cached part cost nothing
        self.ended = Bins(now)
        self.failed = Bins(now)
        self.cached_tokens = 0
        self.processed_tokens = 0
        self.output_tokens = 0
        self.finished = 0
        self.failures = 0
        self.first_tokens: list[tuple[float, float]] = []  # (when, TTFT), in time order
        for exchange in finished:
            self._add_finished(exchange)
        speeds = [self._add_running(exchange) for exchange in running]
        self.stream_speed = median(known) if (known := [s for s in speeds if s]) else None
        self.first_tokens.sort()
        self.ttfts = sorted(ttft for _, ttft in self.first_tokens)

    @property
    def ok_share(self) -> float | None:
        """Of the exchanges that could succeed: leaving and 4xx count as well-served."""
        return 1 - self.failures / self.finished if self.finished else None

    def output_total(self) -> Bins:
        total = Bins(self.now)
        for bins in self.output.values():
            total.totals = [a + b for a, b in zip(total.totals, bins.totals, strict=True)]
        return total

    def ttft_histogram(self) -> list[int]:
        counts = [0] * len(TTFT_BOUNDS)
        for ttft in self.ttfts:
            counts[bucket(ttft)] += 1
        return counts

    def _add_finished(self, x: FinishedView) -> None:
        self.finished += 1
        self.ended.spread(1, x.ended_at, x.ended_at)
        if x.outcome.is_failure:
            self.failures += 1
            self.failed.spread(1, x.ended_at, x.ended_at)
        if x.outcome is Outcome.REJECTED:
            return
        first = x.started_at + x.ttft_s if x.ttft_s is not None else None
        self._add_prompt(x.prompt_tokens, x.cached_tokens, x.prefill_s, first or x.ended_at)
        if x.output_tokens:
            begin = first or (x.ended_at - x.decode_s if x.decode_s else x.started_at)
            self._bins(x.backend).spread(x.output_tokens, begin, x.ended_at)
            self.output_tokens += x.output_tokens
        if first is not None and x.ttft_s is not None:
            self._add_first_token(first, x.ttft_s)

    def _add_running(self, x: RunningView) -> float | None:
        if x.ttft_s is None:
            return None
        first = x.started_at + x.ttft_s
        self._add_prompt(x.prompt_tokens, x.cached_tokens, None, first)
        self._add_first_token(first, x.ttft_s)
        bins = self._bins(x.backend)
        self.output_tokens += x.output_tokens
        flow_begin = self.now - FLOW_STEP_S * len(x.flow)
        for i, count in enumerate(x.flow):
            begin = flow_begin + i * FLOW_STEP_S
            bins.spread(count, begin, begin + FLOW_STEP_S)
        earlier = x.output_tokens - sum(x.flow)
        if earlier > 0:
            bins.spread(earlier, min(first, flow_begin), flow_begin)
        return x.tokens_per_s

    def _add_prompt(
        self, prompt: int | None, cached: int | None, prefill_s: float | None, first: float
    ) -> None:
        if prompt is None:
            return
        processed = max(0, prompt - (cached or 0))
        self.cached_tokens += prompt - processed
        self.processed_tokens += processed
        self.prompt.spread(processed, first - (prefill_s or 0.0), first)

    def _add_first_token(self, first: float, ttft: float) -> None:
        if self.now - WINDOW_S <= first <= self.now:
            self.first_tokens.append((first, ttft))

    def _bins(self, backend: str) -> Bins:
        return self.output.setdefault(backend, Bins(self.now))


def bucket(ttft: float) -> int:
    """The row of ``TTFT_BOUNDS`` a time belongs to; the slowest row has no upper bound."""
    for i, bound in enumerate(TTFT_BOUNDS):
        if ttft <= bound:
            return i
    return len(TTFT_BOUNDS) - 1
