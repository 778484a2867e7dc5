"""A backend whose connections fail again and again rests; then one request tries it; then it
gets its share back little by little.

Counted are connections that could not be made or broke, in a row: a slow answer, an error that
the backend tells itself, or a busy one is no reason. Times are monotonic nanoseconds.

    serving --3 failures in a row--> resting --time is over--> on trial
    on trial --one success--> serving, its share growing for 10 s
    on trial --one failure--> resting, twice as long
"""

import random
from collections.abc import Sequence
from enum import Enum
from typing import NamedTuple, Protocol

FAILURES = 3  # in a row
FIRST_REST_NS = 5 * 10**9
LONGEST_REST_NS = 60 * 10**9
JITTER = 0.1  # of a rest: backends that failed together do not return together
RAMP_NS = 10 * 10**9
LEAST_SHARE = 0.1  # of a backend that just came back
FORGIVEN_NS = 60 * 10**9  # so long after its return the next rest is a first one again


class Turn(Enum):
    """What a look found out."""

    EJECTED = "ejected"
    RETURNED = "returned"


class Trust(NamedTuple):
    """What workers are told of a backend; all zero for one that never failed.

    ``rests_until_ns`` stays set after that moment, while the backend is on trial.
    """

    rests_until_ns: int = 0
    ramp_from_ns: int = 0

    def share(self, now_ns: int) -> float:
        """How much of its weight a backend gets while it comes back, up to 1."""
        since = now_ns - self.ramp_from_ns
        if not self.ramp_from_ns or since >= RAMP_NS:
            return 1.0
        return max(LEAST_SHARE, since / RAMP_NS)


class Known(Protocol):
    """Where trust is looked up, by backend index."""

    def rests_until(self, index: int) -> int: ...
    def in_flight(self, index: int) -> int: ...


def admitted(ready: Sequence[int], known: Known, now_ns: int) -> Sequence[int]:
    """Which of the backends that are ready may get a request now.

    A backend on trial may while it has none. When more than half rest, all may: then it is
    more likely that the network or the load is at fault, and the few that are left would be
    next. So the last one is never ejected.
    """
    resting = 0
    admitted = []
    for index in ready:
        until_ns = known.rests_until(index)
        if not until_ns or (now_ns >= until_ns and not known.in_flight(index)):
            admitted.append(index)
        else:
            resting += 1
    return ready if 2 * resting > len(ready) else admitted


class Ejection:
    """One backend's; the supervisor looks at what all workers report. See the module.

    ``failures`` is the workers' count at the start, which wraps at 32 bits.
    """

    def __init__(self, chance: random.Random, failures: int = 0) -> None:
        self.trust = Trust()
        self.in_a_row = 0
        self._chance = chance
        self._seen = failures
        self._newest_ns = 0
        self._times = 0  # rests in a row

    def look(self, failures: int, failed_ns: int, succeeded_ns: int, now_ns: int) -> Turn | None:
        """Take over the workers' numbers: how many failures, the newest, the newest success."""
        new = (failures - self._seen) & 0xFFFF_FFFF
        if succeeded_ns > (failed_ns if new else self._newest_ns):
            self.in_a_row = 0
        elif new:
            was_interrupted = succeeded_ns > self._newest_ns > 0
            self.in_a_row = new + (0 if was_interrupted else self.in_a_row)
        self._seen, self._newest_ns = failures, failed_ns
        until_ns = self.trust.rests_until_ns
        if not until_ns:
            if self._times and now_ns - self.trust.ramp_from_ns > FORGIVEN_NS:
                self._times = 0
            return self._eject(now_ns) if self.in_a_row >= FAILURES else None
        if now_ns < until_ns:
            return None
        if failed_ns > until_ns and failed_ns > succeeded_ns:
            return self._eject(now_ns)
        if succeeded_ns > until_ns:
            self.in_a_row = 0
            self.trust = Trust(0, now_ns)
            return Turn.RETURNED
        return None

    def restarted(self, now_ns: int) -> None:
        """The backend was down and is up again: another process, which starts slowly."""
        self.in_a_row = self._times = 0
        self.trust = Trust(0, now_ns)

    def _eject(self, now_ns: int) -> Turn:
        rest_ns = min(FIRST_REST_NS << min(self._times, 8), LONGEST_REST_NS)
        rest_ns = int(rest_ns * self._chance.uniform(1 - JITTER, 1))
        self._times += 1
        self.in_a_row = 0
        # Never earlier than what was said before.
        self.trust = Trust(max(self.trust.rests_until_ns, now_ns + rest_ns), 0)
        return Turn.EJECTED
