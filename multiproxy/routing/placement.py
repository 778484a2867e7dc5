"""Candidates with their load -> the backend that gets the request, or None to wait."""

import random
from collections.abc import Iterable
from enum import IntEnum
from typing import NamedTuple


class Reason(IntEnum):
    """Why a backend got a request, for those who look at it later; written into records."""

    UNKNOWN = 0
    ONLY_CANDIDATE = 1  # no other backend has the model
    ONLY_READY = 2  # the others that have it are down, draining, or failed this request
    LEAST_BUSY = 3


class Candidate(NamedTuple):
    """A backend that may serve a request now.

    ``backend`` is its index, ``in_flight`` the requests all workers have there, ``slots``
    what it works on at once (0: no bound known), ``weight`` its share relative to others.
    """

    backend: int
    in_flight: int
    slots: int
    weight: int = 1

    @property
    def has_room(self) -> bool:
        """Whether one more request would find a free slot."""
        return not self.slots or self.in_flight < self.slots

    @property
    def load(self) -> float:
        """Requests per slot and weight; comparable between candidates."""
        return self.in_flight / ((self.slots or 1) * self.weight)


def choose(candidates: Iterable[Candidate], chance: random.Random) -> int | None:
    """Return the least loaded candidate with room, ties at random, or None."""
    best: list[int] = []
    lowest = 0.0
    for candidate in candidates:
        if not candidate.has_room:
            continue
        load = candidate.load
        if not best or load < lowest:
            best, lowest = [candidate.backend], load
        elif load == lowest:
            best.append(candidate.backend)
    if not best:
        return None
    return best[0] if len(best) == 1 else chance.choice(best)
