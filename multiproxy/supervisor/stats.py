"""The finished exchanges of all workers, collected from their rings before they are overwritten."""

from collections import deque
from typing import NamedTuple

from multiproxy.scoreboard import WORKERS, Finished, Scoreboard

KEPT = 8192  # records, the newest


class Ended(NamedTuple):
    """A finished exchange and the Unix time (s) of its end."""

    at: float
    record: Finished


class Stats:
    """``collect`` a few times a second: a ring holds 4,096 records."""

    def __init__(self, board: Scoreboard) -> None:
        self.finished: deque[Ended] = deque(maxlen=KEPT)
        self.total = 0
        self.lost = 0  # overwritten before they were collected
        self._rings = [board.ring(worker) for worker in range(WORKERS)]
        self._cursors = [ring.published for ring in self._rings]

    def collect(self) -> None:
        """Take over every record that was finished since the last call."""
        found: list[Ended] = []
        for worker, ring in enumerate(self._rings):
            while True:
                records, cursor, lost = ring.read(self._cursors[worker])
                if cursor == self._cursors[worker]:
                    break
                self._cursors[worker] = cursor
                self.lost += lost
                found += (Ended(_end_of(record), record) for record in records)
        self.total += len(found)
        # Each ring is in order already; among them the ends are what counts.
        self.finished.extend(sorted(found, key=lambda ended: ended.at))


def _end_of(record: Finished) -> float:
    return (record.started_unix_ns + max(record.total_ns, 0)) / 1e9
