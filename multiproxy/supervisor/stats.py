"""The finished exchanges of all workers, collected from their rings before they are overwritten."""

from collections.abc import Callable

from multiproxy.scoreboard import WORKERS, Finished, Scoreboard
from multiproxy.supervisor.dashboard.views import FinishedView
from multiproxy.supervisor.exchange_views import finished_view
from multiproxy.supervisor.rollups.recorder import Recorder


class Stats:
    """``collect`` a few times a second: a ring holds 4,096 records.

    ``trace`` is given every record that is part of a trace, beside what is made of it.
    ``name_of`` tells the id of the backend in a row: now, since a row is given away again.
    """

    def __init__(
        self,
        board: Scoreboard,
        name_of: Callable[[int], str],
        trace: Callable[[Finished, FinishedView], None] | None = None,
    ) -> None:
        self.recorder = Recorder()
        self.total = 0
        self.lost = 0  # overwritten before they were collected
        self._name_of = name_of
        self._trace = trace
        self._rings = [board.ring(worker) for worker in range(WORKERS)]
        self._cursors = [ring.published for ring in self._rings]

    def collect(self) -> list[FinishedView]:
        """Record what was finished since the last call, and return it in the order of its ends."""
        found: list[FinishedView] = []
        for worker, ring in enumerate(self._rings):
            while True:
                records, cursor, lost = ring.read(self._cursors[worker])
                if cursor == self._cursors[worker]:
                    break
                self._cursors[worker] = cursor
                self.lost += lost
                views = [
                    finished_view(record, self._name_of(record.backend), self._name_of)
                    for record in records
                ]
                found += views
                if self._trace is not None:
                    for record, view in zip(records, views, strict=True):
                        if record.trace:
                            self._trace(record, view)
        self.total += len(found)
        # Each ring is in order already; among them the ends are what counts.
        found.sort(key=lambda x: x.ended_at)
        self.recorder.add(*found)
        return found
