"""What every key has used at every worker; summed over the workers it is the key's.

A count and the minute (or day) it is of share one cell, so that one store changes both and a
reader never adds a count to the wrong minute. The cells of even and of odd minutes take turns:
the present minute's and the one before are always there.
"""

from multiproxy.scoreboard import layout

_CELLS = layout.KEY_ROW_SIZE // 8
_RUNNING = 0
_REQUESTS = 1  # and 2: even and odd minutes
_TOKENS = 3  # and 4
_DAY = 5
_COUNT_BITS = 40
_MOST = (1 << _COUNT_BITS) - 1


class KeyUsage:
    """Writer of row ``worker`` is that worker. Minutes and days are whole numbers, any epoch.

    A dead worker's row keeps its minutes and its day: what was used was used.
    """

    def __init__(self, memory: "memoryview[int]") -> None:
        self._cells = memory[layout.KEY.offset : layout.KEY.end].cast("Q")
        self._width = layout.KEY.row_size // 8  # cells of one worker

    def running(self, key: int) -> int:
        """Generations of a key that run or wait now."""
        return sum(self._column(key, _RUNNING))

    def add(self, worker: int, key: int, delta: int) -> None:
        """Count generations of a key that begin (+1) or end (-1)."""
        cell = worker * self._width + key * _CELLS + _RUNNING
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
        return self._sum(key, _DAY, day)

    def count_request(self, worker: int, key: int, minute: int) -> None:
        """Count one request."""
        self._count(worker, key, _REQUESTS + minute % 2, minute, 1)

    def count_tokens(self, worker: int, key: int, minute: int, day: int, tokens: int) -> None:
        """Count what an answer that ended has used."""
        self._count(worker, key, _TOKENS + minute % 2, minute, tokens)
        self._count(worker, key, _DAY, day, tokens)

    def reset(self, worker: int) -> None:
        """Forget what a dead worker ran. For the supervisor, once its pid was reaped."""
        start = worker * self._width + _RUNNING
        for cell in range(start, start + self._width, _CELLS):
            if self._cells[cell]:  # a page nobody touched stays untouched
                self._cells[cell] = 0

    def forget_key(self, key: int) -> None:
        """Clear the row of a key that no worker knows. For the supervisor, before its next use."""
        for worker in range(layout.WORKERS):
            start = worker * self._width + key * _CELLS
            for cell in range(start, start + _CELLS):
                if self._cells[cell]:
                    self._cells[cell] = 0

    def _column(self, key: int, cell: int) -> list[int]:
        return self._cells[key * _CELLS + cell :: self._width].tolist()

    def _sum(self, key: int, cell: int, stamp: int) -> int:
        return sum(
            value & _MOST for value in self._column(key, cell) if value >> _COUNT_BITS == stamp
        )

    def _count(self, worker: int, key: int, cell: int, stamp: int, amount: int) -> None:
        at = worker * self._width + key * _CELLS + cell
        value = self._cells[at]
        before = value & _MOST if value >> _COUNT_BITS == stamp else 0
        self._cells[at] = stamp << _COUNT_BITS | min(before + amount, _MOST)
