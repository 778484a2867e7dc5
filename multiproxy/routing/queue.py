"""Who waits for a slot, in which order: one bounded FIFO line per model."""

from collections.abc import Iterator
from typing import Generic, TypeVar

from multiproxy.errors import Overloaded

T = TypeVar("T")


class Queue(Generic[T]):
    """Waiting tickets by model. ``limit`` is the most that may wait for one model."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._lines: dict[str, dict[int, T]] = {}  # dict: ordered, and leaving is O(1)
        self._next = 0

    def __len__(self) -> int:
        return sum(map(len, self._lines.values()))

    def waiting(self, model: str) -> int:
        """Return how many wait for a model."""
        return len(self._lines.get(model, ()))

    def join(self, model: str, ticket: T) -> int:
        """Put a ticket at the end of its model's line; returns a number to ``leave`` with.

        Raises:
            Overloaded: ``limit`` tickets wait already.
        """
        line = self._lines.setdefault(model, {})
        if len(line) >= self._limit:
            raise Overloaded(
                f"{len(line)} requests already wait for this model; try again soon.",
                retry_after_s=2,
            )
        self._next += 1
        line[self._next] = ticket
        return self._next

    def leave(self, model: str, number: int) -> None:
        """Take a ticket out, wherever it stands. Idempotent."""
        line = self._lines.get(model)
        if line is not None:
            line.pop(number, None)
            if not line:
                del self._lines[model]

    def lines(self) -> Iterator[list[T]]:
        """Yield each model's tickets, first come first; safe against joins and leaves.

        The line whose head waits longest comes first: models may share a backend, and a busy
        model's line, which is never empty, must not keep its slots from another one for ever.
        """
        for line in sorted(self._lines.values(), key=lambda line: next(iter(line))):
            yield list(line.values())
