"""A backend's rests, from what all workers report: told to the workers, the log and the pages.

The rules are in routing/ejection.py; this is the only writer of a backend's trust.
"""

import random
from typing import Protocol

from multiproxy.routing.ejection import FAILURES, Ejection, Turn
from multiproxy.scoreboard import Scoreboard


class Says(Protocol):
    """The part of the log that is needed."""

    def info(self, text: str) -> None: ...
    def warning(self, text: str) -> None: ...


class Resting:
    """One backend's; ``index`` is its row, ``name`` what the log calls it."""

    def __init__(self, board: Scoreboard, index: int, name: str, log: Says) -> None:
        self._board = board
        self._index = index
        self._name = name
        self._log = log
        self.since_ns = 0  # of the present rest
        self._ejection = Ejection(random.Random(), board.load.failures(index)[1])
        self._write()

    def tick(self, now_ns: int) -> None:
        """Look at the workers' numbers; a few times a second."""
        load = self._board.load
        failed_ns, failures = load.failures(self._index)
        succeeded_ns = load.last_succeeded(self._index)
        turn = self._ejection.look(failures, failed_ns, succeeded_ns, now_ns)
        if turn is None:
            return
        self._write()
        if turn is Turn.EJECTED:
            self.since_ns = now_ns
            self._log.warning(f"{self._name} rests: {self.reason(now_ns)}")
        else:
            self._log.info(f"{self._name} answers again and gets its share back little by little")

    def restarted(self, now_ns: int) -> None:
        """The backend was down and is up again."""
        self._ejection.restarted(now_ns)
        self._write()

    @property
    def is_resting(self) -> bool:
        """Whether it gets no requests now, or only one to try it."""
        return self._ejection.trust.rests_until_ns > 0

    def reason(self, now_ns: int) -> str:
        """Why it gets none, in words; empty when it does."""
        until_ns = self._ejection.trust.rests_until_ns
        if not until_ns:
            return ""
        left_s = (until_ns - now_ns) / 1e9
        if left_s <= 0:
            return "its connections kept failing; one request at a time tries it"
        return f"its connections failed {FAILURES} times in a row; no requests for {left_s:.0f} s"

    def _write(self) -> None:
        self._board.backends.write_trust(self._index, *self._ejection.trust)
