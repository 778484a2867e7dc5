"""One timer for all token clocks: a heap of due times instead of a task per stream."""

import asyncio
import time
from collections.abc import Callable
from heapq import heappop, heappush

Step = Callable[[float], float | None]

# Steps due within half a millisecond run together: uvloop's timers count milliseconds, and
# waking up for each of 10,000 events per second costs more than the events.
GRAIN_S = 0.0005
# After so many steps the loop gets a turn, so a simulator without a rate still reads.
BUDGET = 256


class Clock:
    """Calls steps at their due times (seconds of ``loop.time``).

    A step is given its due time and returns the next one, or None when it is over. Due
    times follow from due times, so a rate does not drift when the loop is late.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._heap: list[tuple[float, int, Step]] = []
        self._number = 0
        self._armed = float("inf")
        self._handle: asyncio.Handle | None = None
        self.wall = int(time.time())  # seconds, as of the latest turn

    def now(self) -> float:
        """Return the loop's time."""
        return self._loop.time()

    def at(self, due: float, step: Step) -> None:
        """Run ``step`` at ``due``."""
        self._number += 1
        heappush(self._heap, (due, self._number, step))
        if due < self._armed:
            self._arm(due)

    def close(self) -> None:
        """Forget every step."""
        self._heap.clear()
        if self._handle is not None:
            self._handle.cancel()

    def _arm(self, due: float) -> None:
        if self._handle is not None:
            self._handle.cancel()
        self._armed = due
        if due <= self._loop.time():
            self._handle = self._loop.call_soon(self._turn)
        else:
            self._handle = self._loop.call_at(due, self._turn)

    def _turn(self) -> None:
        # While the turn runs nothing may arm the timer; it is armed once at the end.
        self._armed = float("-inf")
        self.wall = int(time.time())
        heap = self._heap
        horizon = self._loop.time() + GRAIN_S
        for _ in range(BUDGET):
            if not heap or heap[0][0] > horizon:
                break
            due, _, step = heappop(heap)
            following = step(due)
            if following is not None:  # a fresh number: equal due times take turns
                self._number += 1
                heappush(heap, (following, self._number, step))
        self._handle = None
        self._armed = float("inf")
        if heap:
            self._arm(heap[0][0])
