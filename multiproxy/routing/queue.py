"""Who waits for a slot, in which order: one bounded line per model, fair between owners.

A better priority goes first. Within one, owners (clients' keys) take turns, so that one with a
hundred requests does not keep another with one from its slot; an owner's own requests are
first come first served.
"""

from collections.abc import Iterator
from itertools import zip_longest
from typing import Generic, TypeVar

from multiproxy.errors import Overloaded

T = TypeVar("T")

NORMAL = 1  # 0 is interactive, 2 is batch


class Queue(Generic[T]):
    """Waiting tickets by model. ``limit`` is the most that may wait for one model."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._lines: dict[str, _Line[T]] = {}
        self._next = 0

    def __len__(self) -> int:
        return sum(map(len, self._lines.values()))

    def waiting(self, model: str) -> int:
        """Return how many wait for a model."""
        line = self._lines.get(model)
        return len(line) if line is not None else 0

    def join(
        self,
        model: str,
        ticket: T,
        *,
        owner: str = "",
        priority: int = NORMAL,
        retry_after_s: int = 2,
    ) -> int:
        """Put a ticket behind its owner's others; returns a number to ``leave`` with.

        ``retry_after_s`` is what a client is told for whom there is no room.

        Raises:
            Overloaded: ``limit`` tickets wait already.
        """
        line = self._lines.get(model)
        if line is None:
            line = self._lines[model] = _Line()
        if len(line) >= self._limit:
            raise Overloaded(
                f"{len(line)} requests already wait for this model; try again soon.",
                retry_after_s=retry_after_s,
            )
        self._next += 1
        line.join(self._next, ticket, owner, priority)
        return self._next

    def leave(self, model: str, number: int, *, served: bool = False) -> None:
        """Take a ticket out, wherever it stands; ``served``: its owner had its turn. Idempotent."""
        line = self._lines.get(model)
        if line is not None:
            line.leave(number, served)
            if not line:
                del self._lines[model]

    def lines(self) -> Iterator[list[T]]:
        """Yield each model's tickets in their order; safe against joins and leaves.

        The line in which somebody waits longest comes first: models may share a backend, and a
        busy model's line, which is never empty, must not keep its slots from another one.
        """
        for line in sorted(self._lines.values(), key=_Line.oldest):
            yield list(line.order())


class _Line(Generic[T]):
    """One model's tickets: by priority, then by owner in the order of their turns."""

    def __init__(self) -> None:
        self._classes: dict[int, dict[str, dict[int, T]]] = {}
        self._places: dict[int, tuple[int, str]] = {}  # dict: ordered, the oldest first

    def __len__(self) -> int:
        return len(self._places)

    def oldest(self) -> int:
        """The number of who waits longest."""
        return next(iter(self._places))

    def join(self, number: int, ticket: T, owner: str, priority: int) -> None:
        owners = self._classes.setdefault(priority, {})
        owners.setdefault(owner, {})[number] = ticket
        self._places[number] = (priority, owner)

    def leave(self, number: int, served: bool) -> None:
        place = self._places.pop(number, None)
        if place is None:
            return
        priority, owner = place
        owners = self._classes[priority]
        mine = owners[owner]
        del mine[number]
        if served or not mine:
            del owners[owner]
            if mine:
                owners[owner] = mine  # behind the others
            elif not owners:
                del self._classes[priority]

    def order(self) -> Iterator[T]:
        """Yield the tickets, none of which is None, in the order in which they would be served."""
        for priority in sorted(self._classes):
            owners = [mine.values() for mine in self._classes[priority].values()]
            for turn in zip_longest(*owners):
                yield from (ticket for ticket in turn if ticket is not None)
