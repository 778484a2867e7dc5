"""Amounts over time in bins of equal length: tokens spread over the seconds they took."""

from collections.abc import Iterator
from math import ceil, floor

INSTANT_S = 1e-3  # a shorter time is a moment, and belongs to one bin


def spread(amount: float, begin: float, end: float, step: float) -> Iterator[tuple[int, float]]:
    """``amount`` shared out evenly over the bins between two times: (bin number, part).

    Bin n is from n x ``step`` seconds to the next one.
    """
    if end - begin < INSTANT_S:
        yield floor(begin / step), amount
        return
    per_second = amount / (end - begin)
    for number in range(floor(begin / step), ceil(end / step)):
        inside = min(end, (number + 1) * step) - max(begin, number * step)
        if inside > 0:
            yield number, per_second * inside


class Track:
    """The newest ``count`` bins of ``step`` seconds; older amounts are forgotten."""

    def __init__(self, step: float, count: int) -> None:
        self.step = step
        self.count = count
        self._bins: dict[int, float] = {}

    def add(self, amount: float, begin: float, end: float) -> None:
        # What lies before the first bin that could be looked at needs no bin.
        amount, begin = _cut(amount, begin, end, end - self.step * (self.count + 1))
        for number, part in spread(amount, begin, end, self.step):
            self._bins[number] = self._bins.get(number, 0.0) + part
        if len(self._bins) > 2 * self.count:
            newest = max(self._bins)
            self._bins = {n: v for n, v in self._bins.items() if n >= newest - self.count}

    def until(self, now: float) -> "Bins":
        """The last ``count`` complete bins before ``now``."""
        first = floor(now / self.step) - self.count
        amounts = [self._bins.get(first + i, 0.0) for i in range(self.count)]
        return Bins(self.step, first, amounts)


class Bins:
    """A copy of a track's bins, to which running exchanges can be added."""

    def __init__(self, step: float, first: int, amounts: list[float]) -> None:
        self.step = step
        self.amounts = amounts
        self._first = first

    def add(self, amount: float, begin: float, end: float) -> None:
        amount, begin = _cut(amount, begin, end, self._first * self.step)
        for number, part in spread(amount, begin, end, self.step):
            if 0 <= number - self._first < len(self.amounts):
                self.amounts[number - self._first] += part

    @property
    def rates(self) -> list[float]:
        """Amounts per second."""
        return [amount / self.step for amount in self.amounts]


def _cut(amount: float, begin: float, end: float, earliest: float) -> tuple[float, float]:
    """The part of ``amount`` that comes after ``earliest``, and when it begins."""
    if begin >= earliest:
        return amount, begin
    if end <= earliest:
        return 0.0, end
    return amount * (end - earliest) / (end - begin), earliest
