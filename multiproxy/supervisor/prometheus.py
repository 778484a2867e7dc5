"""Counters, gauges and histograms, and how Prometheus reads them. Pure.

Two formats: the text format 0.0.4 and OpenMetrics 1.0. They differ in the names of counter
families, in a last line, and in their content types.
"""

from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate
from typing import Literal, TypeAlias

TEXT = "text/plain; version=0.0.4; charset=utf-8"
OPEN_METRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"
MOST_SERIES = 2000  # per family: whatever clients make up, the rest is one series of `_other`
OTHER = "_other"

Values: TypeAlias = tuple[str, ...]  # of a series' labels


class Family:
    """Series of one name. ``labels`` are the names of their labels; "" as a value leaves it out."""

    kind: Literal["counter", "gauge", "histogram"]

    def __init__(self, name: str, help: str, labels: Sequence[str] = ()) -> None:
        self.name = name
        self.help = help
        self.labels = tuple(labels)
        self.overflows = 0  # observations that found no free series

    def lines(self, openmetrics: bool) -> Iterator[str]:
        """The family as text; nothing when it has no series."""
        samples = list(self._samples())
        if not samples:
            return
        is_counter = self.kind == "counter"
        family = self.name.removesuffix("_total") if openmetrics and is_counter else self.name
        yield f"# HELP {family} {_escape_help(self.help)}"
        yield f"# TYPE {family} {self.kind}"
        for suffix, labels, value in samples:
            text = ",".join(f'{name}="{_escape(value)}"' for name, value in labels if value)
            yield (
                f"{self.name}{suffix}{{{text}}} {value}"
                if text
                else (f"{self.name}{suffix} {value}")
            )

    def _samples(self) -> Iterator[tuple[str, list[tuple[str, str]], str]]:
        raise NotImplementedError

    def _place(self, known: Mapping[Values, object], values: Values) -> Values:
        assert len(values) == len(self.labels), (self.name, values)
        if values in known or len(known) < MOST_SERIES - 1:
            return values
        self.overflows += 1
        return (OTHER,) * len(values)


class Counter(Family):
    """Only grows. Its name ends in ``_total``."""

    kind = "counter"

    def __init__(self, name: str, help: str, labels: Sequence[str] = ()) -> None:
        assert name.endswith("_total"), name
        super().__init__(name, help, labels)
        self._sums: dict[Values, float] = {}

    def add(self, amount: float, *values: str) -> None:
        place = self._place(self._sums, values)
        self._sums[place] = self._sums.get(place, 0) + amount

    def _samples(self) -> Iterator[tuple[str, list[tuple[str, str]], str]]:
        for values, total in self._sums.items():
            yield "", _pairs(self.labels, values), _number(total)


class Gauge(Family):
    """What is true now: made anew for every scrape."""

    kind = "gauge"

    def __init__(self, name: str, help: str, labels: Sequence[str] = ()) -> None:
        super().__init__(name, help, labels)
        self._now: dict[Values, float] = {}

    def set(self, value: float | None, *values: str) -> None:
        """None is unknown, and not told."""
        if value is not None:
            self._now[self._place(self._now, values)] = value

    def _samples(self) -> Iterator[tuple[str, list[tuple[str, str]], str]]:
        for values, value in self._now.items():
            yield "", _pairs(self.labels, values), _number(value)


class Histogram(Family):
    """``bounds`` are upper bounds, inclusive, without infinity."""

    kind = "histogram"

    def __init__(
        self, name: str, help: str, bounds: Sequence[float], labels: Sequence[str] = ()
    ) -> None:
        super().__init__(name, help, labels)
        self.bounds = tuple(bounds)
        self._counts: dict[Values, list[int]] = {}
        self._sums: dict[Values, float] = {}

    def observe(self, value: float, *values: str) -> None:
        place = self._place(self._sums, values)
        counts = self._counts.get(place)
        if counts is None:
            counts = self._counts[place] = [0] * (len(self.bounds) + 1)
            self._sums[place] = 0.0
        counts[bisect_left(self.bounds, value)] += 1
        self._sums[place] += value

    def _samples(self) -> Iterator[tuple[str, list[tuple[str, str]], str]]:
        edges = [*map(_number, self.bounds), "+Inf"]
        for values, counts in self._counts.items():
            pairs = _pairs(self.labels, values)
            below = list(accumulate(counts))
            for edge, count in zip(edges, below, strict=True):
                yield "_bucket", [*pairs, ("le", edge)], str(count)
            yield "_sum", pairs, _number(self._sums[values])
            yield "_count", pairs, str(below[-1])


def render(families: Sequence[Family], openmetrics: bool) -> str:
    """A whole answer to a scrape."""
    lines = [line for family in families for line in family.lines(openmetrics)]
    return "\n".join([*lines, *(["# EOF"] if openmetrics else []), ""])


def _pairs(names: Sequence[str], values: Values) -> list[tuple[str, str]]:
    return list(zip(names, values, strict=True))


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) and abs(value) < 2**53 else repr(float(value))


def _escape(text: str) -> str:
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


def _escape_help(text: str) -> str:
    return text.replace("\\", r"\\").replace("\n", r"\n")
