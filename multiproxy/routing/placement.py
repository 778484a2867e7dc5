"""Candidates with their load -> the backend that gets the request, or None to wait.

What counts is when the first token can come: how long until a slot is free, and how much of
the prompt has to be read. Among backends where that makes no difference a conversation goes
to its home, as long as that is not busier than the others, and everything else goes to the
least loaded.
"""

import math
import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from enum import IntEnum
from typing import NamedTuple

from multiproxy.routing.pace import Pace
from multiproxy.routing.recall import Wish

SAME_S = 0.03  # differences of the expected first token that nobody notices
SAME_CACHE = 0.9  # of what the best one has: what is older may have been pushed out, or not
SAME_SHARE = 0.15  # nor of this share of it: speeds are measured, and vary
# While a backend reads a prompt its other answers crawl: a second of reading costs each of them
# this share of a second, which counts as much as the request's own.
DISTURBED = 0.75
LEAST_SHARE = 0.01  # of its weight; what gets nothing at all is not a candidate
STRAGGLES = 0.5  # of its peers' speed: a backend below that gets less
FEW = 16  # candidates that are all looked at; of more, some
SAMPLE = 8  # of them by chance
WIDE_SAMPLE = 64  # where these are all full


class Reason(IntEnum):
    """Why a backend got a request, for those who look at it later; written into records."""

    UNKNOWN = 0
    ONLY_CANDIDATE = 1  # no other backend has the model
    ONLY_READY = 2  # the others that have it are down, draining, or failed this request
    LEAST_BUSY = 3
    CACHED = 4  # it has read this prompt's beginning before
    HOME = 5  # nobody has; new conversations with this beginning belong here
    SPILLED = 6  # another one has it cached, and waiting for that would have taken longer
    MIRRORED = 7  # a copy of a request: it disturbs nobody there


class Candidate(NamedTuple):
    """A backend that may serve a request now.

    ``backend`` is its index, ``in_flight`` the requests all workers have there, ``slots``
    what it works on at once (0: no bound known), ``weight`` its share relative to others.
    ``waiting`` is how many wait for this very backend; ``share`` (0 to 1) is how much of its
    weight it deserves now: less while it recovers, or is far slower than its peers.
    """

    backend: int
    in_flight: int
    slots: int
    weight: float = 1
    pace: Pace | None = None
    waiting: int = 0
    share: float = 1.0

    @property
    def has_room(self) -> bool:
        """Whether one more request would find a free slot."""
        return not self.slots or self.in_flight < self.slots

    @property
    def capacity(self) -> float:
        """What it can carry relative to the others."""
        share = self.share
        return (self.slots or 1) * self.weight * (share if share > LEAST_SHARE else LEAST_SHARE)

    @property
    def load(self) -> float:
        """Requests per slot and weight; comparable between candidates."""
        return self.in_flight / self.capacity


class Decision(NamedTuple):
    """``backend`` is None when the request has to wait, or had better: then for ``wanted``.

    ``is_full`` tells that nobody has room, so nobody else who waits needs to ask.
    """

    backend: int | None
    reason: Reason = Reason.UNKNOWN
    wanted: int | None = None
    is_full: bool = False


class Shares:
    """How many requests each backend got where several were equally good.

    Hashing alone would give some a few percent more for ever; whoever is ahead of its share
    is passed over until the others have caught up. Ahead is what chance does not explain, or
    replicas, which count apart, would send the same conversations to different backends.
    """

    _REMEMBERED = 100_000  # requests; then all counts are halved
    _AHEAD = 1.005
    _SLACK = 2.0
    _BY_CHANCE = 1.6  # standard deviations
    _MOST_BY_CHANCE = 20.0  # requests: of thousands it must not become percents

    def __init__(self) -> None:
        self._counts: dict[int, float] = {}
        self._total = 0.0

    def count(self, backend: int) -> None:
        """Count a request that went to ``backend``."""
        self._counts[backend] = self._counts.get(backend, 0.0) + 1
        self._total += 1
        if self._total > self._REMEMBERED:
            self._total /= 2
            for each in self._counts:
                self._counts[each] /= 2

    def of(self, candidate: Candidate) -> float:
        """Return a candidate's count relative to what it can carry."""
        return self._counts.get(candidate.backend, 0.0) / candidate.capacity

    def bound(self, candidates: Iterable[Candidate]) -> Callable[[Candidate], bool]:
        """Return the test whether a candidate may get one more."""
        count_of = self._counts.get
        counted = capacity = 0.0
        for each in candidates:
            counted += count_of(each.backend, 0.0)
            capacity += each.capacity
        mean = counted / capacity

        def may(each: Candidate) -> bool:
            share = mean * each.capacity
            slack = min(self._BY_CHANCE * math.sqrt(share), self._MOST_BY_CHANCE) + self._SLACK
            return count_of(each.backend, 0.0) <= share * self._AHEAD + slack

        return may


def choose(
    candidates: Sequence[Candidate],
    chance: random.Random,
    wish: Wish | None = None,
    homes: Sequence[int] = (),
    shares: Shares | None = None,
    *,
    may_wait: bool = True,
) -> Decision:
    """Return where a request goes, ties at random.

    ``homes`` is the conversation's rendezvous order; ``may_wait`` is False for one that has
    waited long enough for its favourite.
    """
    candidates = without_stragglers(candidates)
    open_ = [each for each in candidates if each.has_room]
    matters = wish is not None and wish.is_worth_it
    favourite = _favourite(candidates, wish) if matters and wish is not None else None
    if not open_:
        wanted = favourite.backend if favourite is not None else None
        return Decision(None, wanted=wanted, is_full=True)
    if not matters or wish is None:
        return Decision(_fairest(open_, shares, chance), Reason.LEAST_BUSY)
    costs = _costs(open_, wish)
    best = min(costs)
    if favourite is not None and not favourite.has_room and may_wait:
        if _wait_s(favourite) + _cost(favourite, wish) + SAME_S < best:
            return Decision(None, wanted=favourite.backend)
    limit = max(best + SAME_S, best * (1 + SAME_SHARE))
    same = [each for each, cost in zip(open_, costs, strict=True) if cost <= limit]
    return _among_equals(same, open_, chance, wish, homes, shares, favourite)


def without_stragglers(candidates: Sequence[Candidate]) -> Sequence[Candidate]:
    """Return the candidates, those that generate far slower than their peers with less share."""
    known = sorted(
        [rate for each in candidates if each.pace is not None and (rate := each.pace.decode_rate)]
    )
    if len(known) < 2 or known[0] >= STRAGGLES * known[len(known) // 2]:
        return candidates
    typical = known[len(known) // 2]
    return [
        each._replace(share=each.share * each.pace.decode_rate / typical)
        if each.pace is not None and 0 < each.pace.decode_rate < STRAGGLES * typical
        else each
        for each in candidates
    ]


def _among_equals(
    same: list[Candidate],
    open_: list[Candidate],
    chance: random.Random,
    wish: Wish,
    homes: Sequence[int],
    shares: Shares | None,
    favourite: Candidate | None,
) -> Decision:
    pairs = [(each, each.capacity) for each in same]
    least = min([each.in_flight / capacity for each, capacity in pairs])
    near = [each for each, capacity in pairs if (each.in_flight - 1) / capacity <= least]
    by_index = {each.backend: each for each in near}
    if wish.cached:
        cached = _best_cached(near, wish, homes)
        if cached is not None:
            spilled = favourite is not None and not favourite.has_room
            return Decision(cached, Reason.SPILLED if spilled else Reason.CACHED)
    reason = Reason.SPILLED if favourite is not None else Reason.LEAST_BUSY
    may = shares.bound(open_) if shares is not None else None
    for backend in homes:
        home = by_index.get(backend)
        if home is not None and (may is None or may(home)):
            return Decision(backend, Reason.HOME if reason is Reason.LEAST_BUSY else reason)
    return Decision(_fairest(same, shares, chance), reason)


def _best_cached(near: list[Candidate], wish: Wish, homes: Sequence[int]) -> int | None:
    """The backend that has most of the prompt; of several that have its head, the home."""
    cached = {each.backend: wish.cached.get(each.backend, 0.0) for each in near}
    best = max(cached, key=cached.__getitem__)
    if not cached[best]:
        return None
    enough = cached[best] * SAME_CACHE
    return next((home for home in homes if cached.get(home, 0.0) >= enough), best)


def _fairest(candidates: list[Candidate], shares: Shares | None, chance: random.Random) -> int:
    """The least loaded; among equals the one that got fewest so far."""
    loads = [each.load for each in candidates]
    idle = _least(candidates, loads)
    if len(idle) > 1 and shares is not None:
        idle = _least(idle, [shares.of(each) for each in idle])
    return (idle[0] if len(idle) == 1 else chance.choice(idle)).backend


def _least(candidates: list[Candidate], numbers: list[float]) -> list[Candidate]:
    least = min(numbers)
    return [each for each, number in zip(candidates, numbers, strict=True) if number == least]


def _favourite(candidates: Sequence[Candidate], wish: Wish) -> Candidate | None:
    """The candidate that knows some of the prompt and can give its first token soonest.

    Who only knows the head counts when half of all do. Many conversations have the same head:
    they would all wait for the first few that read it, and the others would never learn it.
    """
    known = wish.known
    if not known:
        return None
    first = 0 if 2 * len(known) >= wish.candidates else 1
    backends = {backend for backend, (_, _, mark) in known.items() if mark >= first}
    found = [each for each in candidates if each.backend in backends] if backends else []
    if len(found) < 2:  # mostly it is the one that served the turn before
        return found[0] if found else None
    return min(found, key=lambda each: _sooner(each, wish))


def _sooner(candidate: Candidate, wish: Wish) -> float:
    cost = _cost(candidate, wish)
    return cost if candidate.has_room else cost + _wait_s(candidate)


def _cost(candidate: Candidate, wish: Wish) -> float:
    return _costs((candidate,), wish)[0]


def _costs(candidates: Iterable[Candidate], wish: Wish) -> list[float]:
    """Seconds until the first token at candidates with room, others' delays included."""
    tokens, cached_at = wish.tokens, wish.cached.get
    costs = []
    for backend, in_flight, slots, _, pace, _, share in candidates:
        if pace is None:
            costs.append(0.0)
            continue
        reading_s = (tokens - cached_at(backend, 0.0)) / pace.prefill_rate
        others = slots - 1 if 0 < slots <= in_flight else in_flight
        delay_s = reading_s * (1 + DISTURBED * others) + in_flight * pace.crowding_s
        costs.append(delay_s / (share if share > LEAST_SHARE else LEAST_SHARE))
    return costs


def _wait_s(candidate: Candidate) -> float:
    """Seconds until a full candidate has a free slot for one more."""
    pace = candidate.pace
    hold_s = pace.hold_s if pace is not None else 0.0
    return hold_s * (candidate.waiting + 1) / (candidate.slots or 1)


def shortlists(
    candidates: Sequence[int], wish: Wish | None, homes: Sequence[int], chance: random.Random
) -> Iterator[Sequence[int]]:
    """Yield the candidates worth a look, then ever more of them for who found no room there.

    Of few these are all; of many those that know the prompt, its homes, and some by chance, of
    which the least loaded is nearly the least of all. All of a thousand are the last resort.
    """
    if len(candidates) > FEW:
        # A home may be down, and who knows the prompt may have failed this very request.
        likely = (*homes, *(wish.known if wish is not None else ()))
        found = dict.fromkeys(filter(candidates.__contains__, likely))
        for sample in (SAMPLE, WIDE_SAMPLE):
            if 2 * sample > len(candidates):
                break
            while len(found) < sample + len(homes):
                found[candidates[int(chance.random() * len(candidates))]] = None
            yield list(found)
    yield candidates
