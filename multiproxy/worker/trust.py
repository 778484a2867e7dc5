"""Which backends this worker trusts with a request: what it just saw itself, and what the
supervisor concluded from what all workers saw.

One failure makes a backend suspect here for a moment; three in a row, over all workers, eject
it everywhere (routing/ejection.py). Both give way when nobody else is left.
"""

import time
from collections.abc import Sequence

from multiproxy.errors import (
    BackendDied,
    BackendError,
    BackendProtocolError,
    BackendTimeout,
    BackendUnreachable,
)
from multiproxy.routing.ejection import Trust, admitted
from multiproxy.scoreboard import Scoreboard

# After a failure a backend is passed over this long, or until a newer probe clears it.
SUSPECT_S = 1.0
# What breaks the connection; every other failure was told by a backend that is alive.
_BROKEN = (BackendUnreachable, BackendDied, BackendTimeout, BackendProtocolError)


class Trusted:
    """One worker's view; a ``Known`` of routing/ejection.py."""

    def __init__(self, board: Scoreboard, worker: int) -> None:
        self._board = board
        self.rests_until = board.backends.rests_until
        self._worker = worker
        self._suspects: dict[int, int] = {}  # backend -> monotonic ns of its last failure

    def of(self, ready: Sequence[int], *, some_rest: bool = True) -> Sequence[int]:
        """Return those of the ready backends that may get a request; none only of none.

        ``some_rest`` tells that there may be some to pass over: else nobody is looked at.
        """
        if not some_rest and not self._suspects:
            return ready
        now = time.monotonic_ns()
        chosen = admitted(ready, self, now)
        if self._suspects:
            return [index for index in chosen if not self._is_suspect(index, now)] or chosen
        return chosen

    def share(self, index: int) -> float:
        """Return how much of its weight a backend gets; less than 1 while it comes back."""
        ramp_from_ns = self._board.backends.ramp_from(index)
        return Trust(0, ramp_from_ns).share(time.monotonic_ns()) if ramp_from_ns else 1.0

    def in_flight(self, index: int) -> int:
        """Return the requests that all workers have at a backend."""
        return self._board.load.in_flight(index)

    def failed(self, index: int, error: BackendError) -> None:
        """Note a failure: pass the backend over, and have it probed."""
        now = time.monotonic_ns()
        self._suspects[index] = now
        self._board.load.failed(self._worker, index, now)
        if not isinstance(error, _BROKEN):
            self._board.load.succeeded(self._worker, index, now + 1)

    def broke(self, index: int, error: BackendError) -> None:
        """Note a stream that ended amid its content; what the backend told itself is no fault."""
        if isinstance(error, _BROKEN):
            self.failed(index, error)

    def succeeded(self, index: int) -> None:
        """Note an answer that came to its end."""
        self._board.load.succeeded(self._worker, index, time.monotonic_ns())

    def _is_suspect(self, index: int, now: int) -> bool:
        since = self._suspects.get(index)
        if since is None:
            return False
        if now - since > SUSPECT_S * 1e9 or self._board.backends.read(index).checked_ns > since:
            del self._suspects[index]
            return False
        return True
