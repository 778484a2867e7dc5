"""How late the worker's loop turned: the worst that its clock has seen lately.

A look now and then must see a single stall, so the worst is kept for 10 to 20 seconds. A
callback that blocks the loop is seen when the clock's next tick becomes due within it.
"""

_KEPT_NS = 10_000_000_000


class LoopLag:
    """Fed by a clock that is due every ``period_s``; times in nanoseconds, monotonic."""

    __slots__ = ("_before", "_due_ns", "_now", "_period_ns", "_until_ns")

    def __init__(self, period_s: float) -> None:
        self._period_ns = int(period_s * 1e9)
        self._due_ns = 0
        self._until_ns = 0  # when ``_now`` becomes ``_before``
        self._now = 0
        self._before = 0

    def tick(self, now_ns: int) -> int:
        """Take note of a tick; returns the worst lateness of the last 10 to 20 seconds."""
        if self._due_ns:
            self._now = max(self._now, now_ns - self._due_ns)
        self._due_ns = now_ns + self._period_ns
        worst = max(self._now, self._before)
        if now_ns >= self._until_ns:
            self._until_ns = now_ns + _KEPT_NS
            self._before, self._now = self._now, 0
        return worst
