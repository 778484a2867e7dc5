"""Which backend has which row of the backend board, and for how long.

A backend keeps its row while any generation of workers knows it, so that numbers and health stay
across a reload. A changed address is another backend, whatever its id.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from multiproxy.config import Backend
from multiproxy.scoreboard import BACKENDS


class TooManyBackends(Exception):
    """All rows are taken, some by backends that only draining workers still use."""


@dataclass(slots=True)
class Row:
    """One used row; ``backend`` has the newest settings."""

    index: int
    backend: Backend
    generations: set[int] = field(default_factory=set)
    held: bool = False  # an operator wants no new requests there

    @property
    def id(self) -> str:
        return self.backend.id


def _is_same(one: Backend, other: Backend) -> bool:
    return _address(one) == _address(other)


def _address(backend: Backend) -> tuple[object, ...]:
    """What stands for where it is; of a command: everything that it is run with."""
    return backend.id, backend.url, backend.simulate, backend.command, backend.env


class BackendRows:
    """The used rows, in the order of the board."""

    def __init__(self) -> None:
        self._rows: dict[int, Row] = {}
        self._current: tuple[int, ...] = ()
        self._current_generation = 0

    def assign(self, backends: Sequence[Backend], generation: int) -> list[Row]:
        """Rows for all backends of a new generation, in their order.

        Raises:
            TooManyBackends: nothing was changed.
        """
        rows: list[Row] = []
        free = (index for index in range(BACKENDS) if index not in self._rows)
        for backend in backends:
            row = next((r for r in self._rows.values() if _is_same(r.backend, backend)), None)
            if row is None:
                index = next(free, None)
                if index is None:
                    raise TooManyBackends(f"more than {BACKENDS} backends, the draining included")
                row = Row(index, backend)
            rows.append(row)
        for row, backend in zip(rows, backends, strict=True):
            row.backend = backend
            row.generations.add(generation)
            self._rows[row.index] = row
        return rows

    def make_current(self, rows: Sequence[Row], generation: int) -> None:
        """Say which rows the serving configuration uses, in its order."""
        self._current = tuple(row.index for row in rows)
        self._current_generation = generation

    def release(self, generation: int) -> list[Row]:
        """Forget an ended generation; the rows that nobody knows any more are free again."""
        freed = []
        for row in list(self._rows.values()):
            row.generations.discard(generation)
            if not row.generations:
                del self._rows[row.index]
                freed.append(row)
        return freed

    def current(self) -> list[Row]:
        """In the order of the configuration."""
        return [self._rows[index] for index in self._current if index in self._rows]

    def retired(self) -> list[Row]:
        """Rows that only earlier generations use."""
        newest = self._current_generation
        return [row for row in self._rows.values() if max(row.generations) < newest]

    def get(self, index: int) -> Row | None:
        return self._rows.get(index)

    def name_of(self, index: int) -> str:
        """The id of the backend in a row; "" when there is none."""
        row = self._rows.get(index)
        return row.id if row else ""
