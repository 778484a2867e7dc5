"""Counts of positive numbers in buckets that grow by 5 %: percentiles without the samples.

A value v is in bucket ceil(log(v) / log(1.05)); what comes out of a bucket is at most 2.5 %
away from what went in. Adding two histograms up loses nothing, which averages cannot say.
"""

import struct
from collections.abc import Iterator
from math import ceil, log

from multiproxy.supervisor.rollups.percentiles import MIN_SAMPLES

GROWTH = 1.05
LEAST, MOST = 1e-4, 1e6  # seconds or tokens/s: nothing outside happens

_LOG = log(GROWTH)
_PAIR = struct.Struct("<hI")


def bucket_of(value: float) -> int:
    return ceil(log(min(max(value, LEAST), MOST)) / _LOG)


def value_of(bucket: int) -> float:
    """The value with the same relative distance to both ends of its bucket."""
    return float(2 * GROWTH**bucket / (GROWTH + 1))


class LogHistogram:
    """``count`` is how many numbers went in."""

    __slots__ = ("_buckets", "count")

    def __init__(self) -> None:
        self.count = 0
        self._buckets: dict[int, int] = {}

    def add(self, value: float) -> None:
        bucket = bucket_of(value)
        self._buckets[bucket] = self._buckets.get(bucket, 0) + 1
        self.count += 1

    def merge(self, other: "LogHistogram") -> None:
        for bucket, count in other._buckets.items():
            self._buckets[bucket] = self._buckets.get(bucket, 0) + count
        self.count += other.count

    def percentile(self, p: float) -> float | None:
        """Nearest rank; None when there are too few numbers for it."""
        if self.count < MIN_SAMPLES[p]:
            return None
        rank, below = ceil(p * self.count), 0
        for value, count in self.values():
            below += count
            if below >= rank:
                return value
        return None

    def values(self) -> Iterator[tuple[float, int]]:
        """What is in it, smallest first: (value, how often)."""
        for bucket in sorted(self._buckets):
            yield value_of(bucket), self._buckets[bucket]

    def encode(self) -> bytes:
        """Pairs of bucket (i16) and count (u32), little-endian."""
        return b"".join(_PAIR.pack(*pair) for pair in sorted(self._buckets.items()))

    @classmethod
    def decode(cls, data: bytes) -> "LogHistogram":
        """Raises: struct.error: it is not whole pairs."""
        histogram = cls()
        for bucket, count in _PAIR.iter_unpack(data):
            histogram._buckets[bucket] = histogram._buckets.get(bucket, 0) + count
            histogram.count += count
        return histogram
