"""Nearest-rank percentiles, and how many samples each of them needs to mean something."""

from bisect import bisect_left
from collections.abc import Sequence
from math import ceil

# Upper bounds in seconds, as in OpenTelemetry's gen_ai.server.time_to_first_token from 40 ms.
TTFT_BOUNDS = (0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)

MIN_SAMPLES = {0.5: 5, 0.95: 20, 0.99: 100}  # fewer say nothing about that percentile


def percentile(samples: Sequence[float], p: float) -> float | None:
    """The nearest-rank percentile of sorted samples; None when they are too few."""
    if len(samples) < MIN_SAMPLES[p]:
        return None
    return samples[ceil(p * len(samples)) - 1]


def ttft_row(ttft: float) -> int:
    """The row of ``TTFT_BOUNDS`` a time belongs to; the slowest row has no upper bound."""
    return min(bisect_left(TTFT_BOUNDS, ttft), len(TTFT_BOUNDS) - 1)
