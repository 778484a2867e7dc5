"""Totals per stretch of time and series: one resolution of the statistics."""

from collections.abc import Callable, Iterator
from math import floor
from typing import Generic, Protocol, Self, TypeAlias, TypeVar

from multiproxy.supervisor.dashboard.views import FinishedView, RunningView

Series: TypeAlias = tuple[str, ...]  # (model, backend, split), or one name

# Distinct series in one stretch. Names come from configuration and backends, so there are few;
# whatever is more than this adds up under one name and the sums stay right.
MAX_SERIES = 500
OTHER = "_other"
MIRRORED = " (mirror)"  # behind the name of a model; no model is called so


def counted_as(x: FinishedView | RunningView) -> str:
    """The model's name in sums, where mirrored requests are added up apart."""
    return x.model + MIRRORED if x.copy_of else x.model


class Sum(Protocol):
    def add(self, x: FinishedView, /) -> None: ...

    def merge(self, other: Self, /) -> None: ...


S = TypeVar("S", bound=Sum)


class Level(Generic[S]):
    """The newest ``kept`` stretches of ``step`` seconds each; ``make`` gives an empty sum."""

    def __init__(self, step: int, kept: int, make: Callable[[], S]) -> None:
        self.step = step
        self.kept = kept
        self._make = make
        self._sums: dict[int, dict[Series, S]] = {}  # by the stretch's beginning, Unix time
        self._changed: set[tuple[int, Series]] = set()

    def start_of(self, at: float) -> int:
        return floor(at / self.step) * self.step

    def first(self, now: float) -> int:
        """The beginning of the oldest stretch that is kept at ``now``."""
        return self.start_of(now) - (self.kept - 1) * self.step

    def add(self, series: Series, at: float, x: FinishedView) -> None:
        self.sum(self.start_of(at), series).add(x)

    def sum(self, start: int, series: Series) -> S:
        """The sum to add to; it counts as changed."""
        sums = self._sums.get(start)
        if sums is None:
            sums = self._sums[start] = {}
            self._trim()
        found = sums.get(series)
        if found is None:
            if len(sums) >= MAX_SERIES:
                series = (OTHER,) * len(series)
            found = sums.setdefault(series, self._make())
        self._changed.add((start, series))
        return found

    def since(self, start: int) -> Iterator[tuple[int, Series, S]]:
        """Everything from the stretch that begins at ``start`` on, in time order."""
        for begin in sorted(self._sums):
            if begin >= start:
                for series, found in self._sums[begin].items():
                    yield begin, series, found

    def take_changed(self) -> list[tuple[int, Series, S]]:
        """The sums that changed since the last call and are still kept."""
        changed, self._changed = self._changed, set()
        return [
            (start, series, self._sums[start][series])
            for start, series in sorted(changed)
            if start in self._sums
        ]

    def touch_all(self) -> None:
        """Count everything as changed."""
        self._changed = {(start, series) for start, sums in self._sums.items() for series in sums}

    def put_under(self, start: int, series: Series, past: S) -> None:
        """Add a sum from before, which is the level's from now on; it does not count as changed."""
        sums = self._sums.setdefault(start, {})
        if series in sums:
            sums[series].merge(past)
        else:
            sums[series] = past

    def _trim(self) -> None:
        oldest = max(self._sums) - (self.kept - 1) * self.step
        for start in [start for start in self._sums if start < oldest]:
            del self._sums[start]
