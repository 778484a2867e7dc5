"""Requests that kill: whatever was being read by two backends as they died goes to no third.

A request is known by a hash of its body. A death is known by its backend and about the moment
that backend went down, so that a hundred equal requests at one dying backend are one death,
whoever saw it first: a worker that was refused a connection, or the probes.
"""

import hashlib
from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

DEATHS = 2
QUARANTINE_NS = 600 * 10**9
CONFIRM_NS = 3 * 10**9  # within which the probes tell a dead backend from a dead connection
CLOCK_SLACK_NS = 10**9  # a probe may have seen the end before the worker did
SAME_DEATH_NS = CONFIRM_NS  # what is seen of one backend within this is one death


class Death(NamedTuple):
    """A request that was at a backend when it died. Times are monotonic."""

    body: int  # 64 bits, see ``hash_of``
    backend: int
    at_ns: int  # of the backend's death


class Suspicion(NamedTuple):
    """A request whose connection broke; the backend may be dead or not."""

    body: int
    backend: int
    at_ns: int


def hash_of(body: bytes) -> int:
    """64 bits that tell one body from another; not from one made to collide."""
    return int.from_bytes(hashlib.sha256(body).digest()[:8], "little")


def confirmed(suspicion: Suspicion, is_down: bool, down_since_ns: int, now_ns: int) -> bool | None:
    """Whether the backend died: True, False, or None while it is too early to tell."""
    if is_down and down_since_ns > suspicion.at_ns - CLOCK_SLACK_NS:
        return True
    return None if now_ns - suspicion.at_ns < CONFIRM_NS else False


def quarantined(deaths: Iterable[Death], now_ns: int) -> frozenset[int]:
    """The bodies that died with enough backends, lately."""
    counts: Counter[int] = Counter()
    counted: dict[tuple[int, int], int] = {}  # the latest death of a body's backend
    for death in sorted(deaths, key=lambda each: each.at_ns):
        if now_ns - death.at_ns >= QUARANTINE_NS:
            continue
        last = counted.get((death.body, death.backend))
        if last is None or death.at_ns - last >= SAME_DEATH_NS:
            counted[death.body, death.backend] = death.at_ns
            counts[death.body] += 1
    return frozenset(body for body, count in counts.items() if count >= DEATHS)
