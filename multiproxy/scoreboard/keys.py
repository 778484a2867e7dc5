"""What every key has used at every worker; summed over the workers it is the key's.

A count and the minute (or day) it is of share one cell, so that one store changes both and a
reader never adds a count to the wrong minute. The cells of even and of odd minutes take turns:
the present minute's and the one before are always there.
"""

from multiproxy.scoreboard import layout

_WIDTH = layout.WORKERS
_RUNNING = 0  # the first: see reset
_REQUESTS = 1  # and 2: even and odd minutes
_TOKENS = 3  # and 4
_DAY = 5
_EARLIER = 6  # of the day, before this program began; one cell, the supervisor's
_COUNT_BITS = 40
_MOST = (1 << _COUNT_BITS) - 1


class KeyUsage:
    """Cell ``worker`` of every count is that worker's. Minutes and days are whole numbers.

    A dead worker's cells keep its minutes and its day: what was used was used.
    """

    def __init__(self, memory: "memoryview[int]") -> None:
        self._cells = memory[layout.KEY.offset : layout.KEY.end].cast("Q")

    def running(self, key: int) -> int:
        """Generations of a key that run or wait now."""
        return sum(self._of_all(key, _RUNNING))

    def add(self, worker: int, key: int, delta: int) -> None:
        """Count generations of a key that begin (+1) or end (-1)."""
        cell = _first(key, _RUNNING) + worker
        value = self._cells[cell] + delta
        assert value >= 0, f"worker {worker} ended more generations of key {key} than it began"
        self._cells[cell] = value

    def requests(self, key: int, minute: int) -> int:
        """Requests of a key in one minute; only the newest two are known."""
        return self._sum(key, _REQUESTS + minute % 2, minute)

    def tokens(self, key: int, minute: int) -> int:
        """Tokens of a key in one minute; only the newest two are known."""
        return self._sum(key, _TOKENS + minute % 2, minute)

    def tokens_of_day(self, key: int, day: int) -> int:
        """Tokens of a key in one day; only the newest is known."""
        return self._sum(key, _DAY, day) + self._sum(key, _EARLIER, day)

    def count_request(self, worker: int, key: int, minute: int) -> None:
        """Count one request."""
        self._count(worker, key, _REQUESTS + minute % 2, minute, 1)

    def count_tokens(self, worker: int, key: int, minute: int, day: int, tokens: int) -> None:
        """Count what an answer that ended has used."""
        self._count(worker, key, _TOKENS + minute % 2, minute, tokens)
        self._count(worker, key, _DAY, day, tokens)

    def restore_day(self, key: int, day: int, tokens: int) -> None:
        """Note what was used in a day before there was this memory. For the supervisor."""
        self._count(0, key, _EARLIER, day, tokens)

    def reset(self, worker: int) -> None:
        """Forget what a dead worker ran. For the supervisor, once its pid was reaped."""
        for cell in range(worker, len(self._cells), layout.KEY_COUNTS * _WIDTH):
            if self._cells[cell]:  # a page nobody touched stays untouched
                self._cells[cell] = 0

    def forget_key(self, key: int) -> None:
        """Clear the row of a key that no worker knows. For the supervisor, before its next use."""
        for cell in range(_first(key, 0), _first(key + 1, 0)):
            if self._cells[cell]:
                self._cells[cell] = 0

    def _of_all(self, key: int, count: int) -> list[int]:
        first = _first(key, count)
        return self._cells[first : first + _WIDTH].tolist()

    def _sum(self, key: int, count: int, stamp: int) -> int:
        used = filter(None, self._of_all(key, count))
        return sum(value & _MOST for value in used if value >> _COUNT_BITS == stamp)

    def _count(self, worker: int, key: int, count: int, stamp: int, amount: int) -> None:
        at = _first(key, count) + worker
        value = self._cells[at]
        before = value & _MOST if value >> _COUNT_BITS == stamp else 0
        self._cells[at] = stamp << _COUNT_BITS | min(before + amount, _MOST)


def _first(key: int, count: int) -> int:
    return (key * layout.KEY_COUNTS + count) * _WIDTH
