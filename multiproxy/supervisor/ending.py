"""The end of everything: drain on the first signal, stop on the second, and the exit status."""

import signal
import time
from collections.abc import Callable
from enum import Enum

from multiproxy.supervisor.log import Log
from multiproxy.supervisor.workers import Workers

HURRY_S = 1.0  # after the second signal: time for workers to tell their clients
REPORT_S = 10.0  # between two lines about what is still running


class Mood(Enum):
    RUNNING = "running"
    DRAINING = "draining"
    HURRYING = "hurrying"


class Ending:
    """Told every SIGTERM and SIGINT; ``tick`` says when the program may end.

    ``running`` counts the requests that run now.
    """

    def __init__(
        self,
        workers: Workers,
        log: Log,
        running: Callable[[], int],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.mood = Mood.RUNNING
        self.status = 0
        self._workers = workers
        self._log = log
        self._running = running
        self._clock = clock
        self._until = 0.0
        self._report_at = 0.0

    def signalled(self, number: signal.Signals) -> None:
        """Start to drain, or, the second time, stop: what the shell expects is in ``status``."""
        now = self._clock()
        if self.mood is Mood.RUNNING:
            self.mood = Mood.DRAINING
            drains = (generation.drain_s for generation in self._workers.generations)
            self._until = now + max(drains, default=0.0)
            self._workers.drain_all()
            self._report()
        elif self.mood is Mood.DRAINING:
            self.mood = Mood.HURRYING
            self.status = 128 + number
            self._until = now + HURRY_S
            self._workers.hurry()

    def tick(self) -> bool:
        """Whether nothing is left to wait for."""
        if self.mood is Mood.RUNNING:
            return False
        if self._clock() >= self._report_at and self.mood is Mood.DRAINING:
            self._report()
        is_late = self.mood is Mood.HURRYING and self._clock() >= self._until
        return is_late or not self._workers.generations

    def _report(self) -> None:
        running = self._running()
        if running:
            # A young request is counted a moment late: as long as there is nothing, look again.
            self._report_at = self._clock() + REPORT_S
            left = max(0.0, self._until - self._clock())
            noun = "request" if running == 1 else "requests"
            self._log.info(
                f"Draining: {running} {noun} running, up to {left:.0f} s. Ctrl+C again to stop now"
            )
