"""Looks at everything that is open, in turns: thousands of them never hold the loop up at once."""

import asyncio
import math
import sys
import time
import traceback
from collections.abc import Callable, Collection
from typing import Generic, TypeVar

GROUP = 64  # looked at in one go: some tenths of a millisecond
# A process that got no processor for a while runs its timers first. What came meanwhile, such as
# the request on a connection whose time is over, has to be read before anybody is judged.
LATE_S = 0.05
READ_FIRST_S = 0.002

T = TypeVar("T")


class Round(Generic[T]):
    """Calls ``look(member, now, now_ns)`` for every member within ``period_s``.

    ``now`` is the loop's time in seconds, ``now_ns`` the monotonic clock's. A bug in one look does
    not stop the clock of the others.
    """

    def __init__(
        self, members: Collection[T], look: Callable[[T, float, int], object], period_s: float
    ) -> None:
        self._members = members
        self._look = look
        self._period_s = period_s

    def begin(self) -> None:
        """Look at the first now and at the others in groups, one after the other."""
        loop = asyncio.get_running_loop()
        waiting = list(self._members)
        starts = range(0, len(waiting), GROUP)
        for number, start in enumerate(starts):
            group = waiting[start : start + GROUP]
            if number == 0:
                self._visit(group)
            else:
                after_s = self._period_s * number / len(starts)
                loop.call_later(after_s, self._visit, group, loop.time() + after_s)

    def _visit(self, group: list[T], due: float = math.inf) -> None:
        loop = asyncio.get_running_loop()
        now, now_ns = loop.time(), time.monotonic_ns()
        if now - due > LATE_S:
            loop.call_later(READ_FIRST_S, self._visit, group)
            return
        for member in group:
            if member in self._members:  # it may have ended while it waited
                try:
                    self._look(member, now, now_ns)
                except Exception as error:
                    traceback.print_exception(error, file=sys.stderr)
