"""How many requests may be sent a second time: a share of all, and a bank for one bad moment.

Without a bound, a fleet that fails under load is asked twice and fails more. Every request pays
its share in, every retry takes one out. The bank holds what the death of one whole backend
costs, so that this alone loses no request; it also fills by itself, or a quiet server could
never retry.
"""

LEAST_BANK = 3.0
UNKNOWN_SLOTS = 32  # of a backend without a known bound
TRICKLE_PER_S = 0.3


class RetryBudget:
    """The bank of one worker; it begins full. ``share`` is retries per request, 0 for none."""

    def __init__(self, share: float) -> None:
        self._share = share
        self._bank = float("inf")  # full, whatever that will be
        self._at: float | None = None  # seconds, when it was last looked at
        self._most = LEAST_BANK

    def resize(self, *slots: int) -> None:
        """Hold what the largest backend of these costs when it dies; 0 is no known bound."""
        self._most = max(LEAST_BANK, *(float(each or UNKNOWN_SLOTS) for each in slots))

    def request(self) -> None:
        """Pay in for a request."""
        self._bank += self._share

    def take(self, now: float) -> bool:
        """Take one retry out, if there is one. ``now`` is in seconds, monotonic."""
        if not self._share:
            return False
        if self._at is not None:
            self._bank += (now - self._at) * TRICKLE_PER_S
        self._at = now
        self._bank = min(self._bank, self._most)
        if self._bank < 1:
            return False
        self._bank -= 1
        return True
