"""Who waits for a server that does not run yet, told to the supervisor, which starts it.

A command's backend is STOPPED until a request wants it. The wish is a stamp in shared memory that
is renewed while the request waits: one that left wants nothing any more.
"""

import time
from collections.abc import Collection, Mapping

from multiproxy.routing.table import Route
from multiproxy.scoreboard import BackendState, Scoreboard

# A route with servers that run gets one more when it is full for so long, not for a moment.
FULL_S = 2.0
# A client waits at least so long for a look at whether its server starts, whatever timeouts.queue.
LOOK_S = 1.0

_READY = (BackendState.UP, BackendState.SLEEPING)
_COMING = (BackendState.UNCHECKED, BackendState.LOADING)


class Summons:
    """One worker's wishes. ``groups`` has every backend with a command, by index, and the word
    with which it excludes others ("" for none).
    """

    def __init__(self, board: Scoreboard, worker: int, groups: Mapping[int, str]) -> None:
        self._board = board
        self._worker = worker
        self._groups = groups

    def call(self, route: Route, tried: Collection[int], waited_s: float) -> None:
        """Want the first server of a route that does not run, unless another one is coming."""
        if not self._groups:
            return
        candidates = [index for index in route.candidates if index not in tried]
        states = {index: self._board.backends.state(index) for index in candidates}
        if any(state in _COMING for state in states.values()):
            return
        ready = [index for index in candidates if states[index] in _READY]
        if ready and waited_s < FULL_S:
            return
        # One that excludes a server that works for the same requests would only replace it.
        taken = {self._groups.get(index) for index in ready} - {"", None}
        for index in candidates:
            if states[index] is BackendState.STOPPED and self._groups.get(index) not in taken:
                self._board.load.want(self._worker, index, time.monotonic_ns())
                return

    def is_called(self, route: Route, tried: Collection[int]) -> bool:
        """Whether a request waits for a server that has to be started, or is."""
        return bool(self._groups) and self._is(route, tried, (BackendState.STOPPED, *_COMING))

    def is_coming(self, route: Route, tried: Collection[int]) -> bool:
        """Whether a request waits for a server that is being started: that may take long."""
        return bool(self._groups) and self._is(route, tried, _COMING)

    def serves(self, route: Route) -> bool:
        """Whether a server of the route is started by us."""
        return not self._groups.keys().isdisjoint(route.candidates)

    def _is(self, route: Route, tried: Collection[int], what: tuple[BackendState, ...]) -> bool:
        """Whether nobody is ready and a command's server is in one of the states."""
        states = {
            index: self._board.backends.state(index)
            for index in route.candidates
            if index not in tried
        }
        if any(state in _READY for state in states.values()):
            return False
        return any(states[index] in what for index in states.keys() & self._groups.keys())
