"""Which requests were at which backends as these died: a few per worker, read by all workers."""

from collections.abc import Iterator
from functools import partial

from multiproxy.scoreboard import layout

_CELLS = layout.DEATHS.row_size // 8
_ENTRY = 3  # body, backend, moment


class Deaths:
    """The last ``layout.DEATHS_KEPT`` of each worker; its writer is that worker.

    ``version`` changes with every death, so that readers look only then.
    """

    def __init__(self, memory: "memoryview[int]") -> None:
        self._cells = memory[layout.DEATHS.offset : layout.DEATHS.end].cast("Q")
        self._sequences = self._cells[::_CELLS]

    @property
    def version(self) -> int:
        """Changes when any worker adds a death."""
        return sum(self._sequences.tolist())

    def add(self, worker: int, body: int, backend: int, at_ns: int) -> None:
        """Add a death, over the oldest one of the worker."""
        # The sequence grows by 2 with each death.
        number = self._sequences[worker] // 2 % layout.DEATHS_KEPT
        start = worker * _CELLS + 1 + number * _ENTRY

        def write() -> None:
            for cell, value in enumerate((body, backend, at_ns), start):
                self._cells[cell] = value

        layout.write_locked(self._sequences, worker, write)

    def read(self) -> Iterator[tuple[int, int, int]]:
        """Yield (body, backend, moment) of all; a worker that writes just now is left out."""
        for worker, sequence in enumerate(self._sequences.tolist()):
            if sequence:
                row = layout.read_locked(self._sequences, worker, partial(self._row, worker))
                yield from row or ()

    def _row(self, worker: int) -> list[tuple[int, int, int]]:
        start = worker * _CELLS + 1
        cells = self._cells[start : start + layout.DEATHS_KEPT * _ENTRY].tolist()
        entries = zip(cells[::_ENTRY], cells[1::_ENTRY], cells[2::_ENTRY], strict=True)
        return [entry for entry in entries if entry[2]]
