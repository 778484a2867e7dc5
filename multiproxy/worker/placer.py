"""Gives requests a slot at a backend, or lets them wait for one.

The rules are in ``routing``; this room adds the clock, the shared numbers and the futures.
A request is counted at its backend from the moment it is chosen until ``Lease.release``,
on every path, so that no other choice is made from a stale number.
"""

import asyncio
import math
import random
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field

from multiproxy.errors import NoBackend, NotStarted, Overloaded
from multiproxy.routing.placement import Candidate, Decision, Reason, Shares, choose, shortlists
from multiproxy.routing.queue import NORMAL, Queue
from multiproxy.routing.recall import Wish
from multiproxy.routing.table import Route
from multiproxy.scoreboard import BackendState, Choice, Scoreboard
from multiproxy.worker.lease import Lease
from multiproxy.worker.summons import LOOK_S, Summons
from multiproxy.worker.trust import Trusted
from multiproxy.worker.wishes import NO_WISH, Wishes

# Slots that other workers free are found by looking; our own wake the queue at once.
POLL_S = 0.005
# Who waits this much longer at another worker gets a slot first, for so many polls at most.
COURTESY_NS = 20_000_000
COURTESY_POLLS = 2
LONGEST_RETRY_S = 600
_MOST_ROUTES = 256  # whose backends that are up are kept
# Who waits for a cache waits at most this many times what the cache saves: guesses may be wrong.
PATIENCE = 4.0
_READY = (BackendState.UP, BackendState.SLEEPING)
_COMING = (BackendState.UNCHECKED, BackendState.LOADING, BackendState.STOPPED)


@dataclass(slots=True, eq=False)
class _Ticket:
    route: Route
    tried: Collection[int]
    wish: Wish
    future: "asyncio.Future[Lease]"
    told: Callable[[int, float], None] | None = None
    joined: float = field(default_factory=time.monotonic)
    limit: asyncio.Timeout | None = None
    number: int = 0
    wanted: int | None = None  # the backend whose cache it waits for
    patient_until: float = 0.0  # from then on any free slot will do


class Placer:
    """Placement for one worker; ``weights`` by backend index.

    ``slots`` by backend index, 0 for no known bound, is kept up to date by ``Backends``.
    ``groups``: the backends with a command; see ``Summons``. ``learn`` is called when the board
    changed, before anybody is placed: who is up now may have slots of which we do not know yet.
    """

    def __init__(
        self,
        board: Scoreboard,
        worker: int,
        weights: Mapping[int, int],
        *,
        queue_limit: int,
        queue_s: float,
        names: Mapping[int, str] | None = None,
        groups: Mapping[int, str] | None = None,
        learn: Callable[[], object] = lambda: None,
    ) -> None:
        self._board = board
        self._learn = learn
        self._worker = worker
        self._weights = weights
        self.slots: dict[int, int] = {}
        self.wishes = Wishes(board.memory, names or {}, weights)
        self._shares = Shares()
        self._wanted: dict[int, int] = {}  # backend -> how many wait for its cache
        self._queue: Queue[_Ticket] = Queue(queue_limit)
        self._joined: dict[int, int] = {}  # ticket -> monotonic ns, the oldest first
        self._yielded = 0  # polls in a row that were left to another worker
        self._ready_of: dict[tuple[int, ...], tuple[Sequence[int], bool]] = {}
        self._ready_version = -1
        self._queue_s = queue_s
        self._chance = random.Random()
        self.trusted = Trusted(board, worker)
        self._summons = Summons(board, worker, groups or {})
        self._poll: asyncio.TimerHandle | None = None

    @property
    def waiting(self) -> int:
        """How many requests wait for a slot."""
        return len(self._queue)

    async def place(
        self,
        route: Route,
        tried: Collection[int],
        wish: Wish = NO_WISH,
        *,
        owner: str = "",
        priority: int = NORMAL,
        told: Callable[[int, float], None] | None = None,
    ) -> Lease:
        """Return a lease at one of the route's backends that is not in ``tried``.

        ``owner`` and ``priority`` tell whose turn it is when requests have to wait; ``told`` is
        called now and then with the position in the line and the seconds that it may take.

        Raises:
            NoBackend: none of them can serve, and none is about to.
            Overloaded: the queue is full, or no slot became free in time.
        """
        ticket = _Ticket(route, tried, wish, asyncio.get_running_loop().create_future(), told)
        if not self._queue.waiting(route.model):  # nobody overtakes who waits
            lease = self._try(ticket)
            if isinstance(lease, Lease):
                return lease
        if not self._may_wait(route, tried):
            raise self._nobody(route)
        self._summons.call(route, tried, 0.0)
        try:
            ticket.number = self._queue.join(
                route.model,
                ticket,
                owner=owner,
                priority=priority,
                retry_after_s=self._retry_after_s(route),
            )
            self._joined[ticket.number] = time.monotonic_ns()
            self._show_waiting()
            self._schedule_poll()
            return await self._wait(ticket)
        finally:
            self._want(ticket, None)
            self._queue.leave(route.model, ticket.number, served=_was_served(ticket))
            self._joined.pop(ticket.number, None)
            self._show_waiting()

    async def _wait(self, ticket: _Ticket) -> Lease:
        is_called = self._summons.is_called(ticket.route, ticket.tried)
        limit_s = max(self._queue_s, LOOK_S) if is_called else self._queue_s
        try:
            async with asyncio.timeout(limit_s) as ticket.limit:
                return await ticket.future
        except TimeoutError as error:
            if _was_served(ticket):
                return ticket.future.result()
            raise Overloaded(
                f"No slot became free within {self._queue_s:g} s; try again later.",
                retry_after_s=self._retry_after_s(ticket.route),
            ) from error
        except asyncio.CancelledError:
            # The slot may have been given in the very turn in which the client left.
            if _was_served(ticket):
                ticket.future.result().release()
            raise

    def predicted_wait_s(self, route: Route, position: int) -> float:
        """Return about how long until ``position`` slots became free, after recent requests."""
        rate = 0.0
        for index in route.candidates:
            if self._board.backends.state(index) in _READY:
                rate += (self.slots.get(index, 0) or 1) / self.wishes.recall.pace(index).hold_s
        return position / rate if rate else self._queue_s

    def tell_line(self) -> None:
        """Tell everybody who waits where they stand, those of other workers counted in."""
        mine = len(self._queue)
        if not mine:
            return
        self._call_servers()
        all_ = sum(
            self._board.workers[worker].waiting for worker in range(len(self._board.workers))
        )
        for line in self._queue.lines():
            rate_s = self.predicted_wait_s(line[0].route, 1)
            for place, ticket in enumerate(line, 1):
                if ticket.told is not None and not ticket.future.done():
                    position = math.ceil(place * max(1.0, all_ / mine))
                    ticket.told(position, position * rate_s)

    def _call_servers(self) -> None:
        """Want the servers that are waited for; the time one takes to load is no queueing."""
        now, loop_now = time.monotonic(), asyncio.get_running_loop().time()
        for line in self._queue.lines():
            for ticket in line:
                if ticket.future.done():
                    continue
                self._summons.call(ticket.route, ticket.tried, now - ticket.joined)
                limit = ticket.limit
                if limit is not None and not limit.expired():
                    if self._summons.is_coming(ticket.route, ticket.tried):
                        limit.reschedule(loop_now + max(self._queue_s, LOOK_S))

    def _nobody(self, route: Route) -> NoBackend:
        """Why a request is not even worth waiting."""
        if self._summons.serves(route):
            return NotStarted(
                f"The server of the model '{route.model}' could not be started; "
                "the log of MultiProxy has the reason.",
                retry_after_s=5,
            )
        return NoBackend(f"No backend for the model '{route.model}' is available.", retry_after_s=2)

    def _retry_after_s(self, route: Route) -> int:
        """When a client that finds no place had better come back: half the line is gone then."""
        ahead = self._queue.waiting(route.model) / 2
        return max(1, min(LONGEST_RETRY_S, math.ceil(self.predicted_wait_s(route, 1 + int(ahead)))))

    def release(self, backend: int) -> None:
        """Count a request as gone from its backend, and let the next one in."""
        self._board.load.add(self._worker, backend, -1)
        if len(self._queue) and not self._is_others_turn():
            self.wake()

    def _show_waiting(self) -> None:
        row = self._board.workers[self._worker]
        row.waiting = len(self._queue)
        row.waits_since_ns = next(iter(self._joined.values()), 0)

    def _is_others_turn(self) -> bool:
        """Whether somebody waits much longer at another worker."""
        mine = next(iter(self._joined.values()), 0) - COURTESY_NS
        rows = self._board.workers
        return any(0 < rows[worker].waits_since_ns < mine for worker in range(len(rows)))

    def wake(self) -> None:
        """Give free slots to those who wait, in their order."""
        for line in self._queue.lines():
            for ticket in line:
                if ticket.future.done():
                    continue
                lease = self._try(ticket)
                if isinstance(lease, Lease):
                    ticket.future.set_result(lease)
                    self._queue.leave(ticket.route.model, ticket.number, served=True)
                elif not self._may_wait(ticket.route, ticket.tried):
                    ticket.future.set_exception(self._nobody(ticket.route))
                elif lease.is_full and not ticket.tried:
                    break  # who waits behind it wants the same slots

    def _try(self, ticket: _Ticket) -> Lease | Decision:
        """Give a ticket a slot now, or tell why it has none."""
        route, wish = ticket.route, ticket.wish
        ready, some_rest = self._ready(route.candidates)
        if ticket.tried:
            ready = [index for index in ready if index not in ticket.tried]
        ready = self.trusted.of(ready, some_rest=some_rest)
        self._want(ticket, None)
        candidates = [self._candidate(ready[0])] if len(ready) == 1 else []
        if candidates and candidates[0].has_room:  # nothing to weigh
            decision = Decision(ready[0], Reason.LEAST_BUSY)
        else:
            homes = self.wishes.homes(wish, route.candidates)
            candidates, decision = self._decide(ready, ticket, homes)
        if decision.backend is None:
            self._want(ticket, decision.wanted)
            return decision
        self._board.load.add(self._worker, decision.backend, +1)
        self._shares.count(decision.backend)
        choice = _why(decision, candidates, len(ready), len(route.candidates))
        lease = Lease(self, decision.backend, choice, wish)
        self.wishes.placed(lease)
        return lease

    def _ready(self, candidates: tuple[int, ...]) -> tuple[Sequence[int], bool]:
        """The candidates that are up, and whether some rest; looked up when the board changed."""
        board = self._board.backends
        if board.version != self._ready_version:
            self._ready_version = board.version
            self._ready_of.clear()
            self._learn()
        found = self._ready_of.get(candidates)
        if found is None:
            if len(self._ready_of) >= _MOST_ROUTES:
                self._ready_of.clear()
            ready = tuple(index for index in candidates if board.state(index) in _READY)
            found = self._ready_of[candidates] = ready, any(map(board.rests_until, ready))
        return found

    def _decide(
        self, ready: Sequence[int], ticket: _Ticket, homes: list[int]
    ) -> tuple[list[Candidate], Decision]:
        """Ask the rules, for many backends first with the few that are likely."""
        wish = ticket.wish
        for listed in shortlists(ready, wish, homes, self._chance):
            candidates = [self._candidate(index) for index in listed]
            decision = choose(
                candidates,
                self._chance,
                wish,
                homes,
                self._shares,
                may_wait=not ticket.patient_until or time.monotonic() < ticket.patient_until,
            )
            if not decision.is_full:
                break
        return candidates, decision

    def _want(self, ticket: _Ticket, backend: int | None) -> None:
        """Note whose cache a ticket waits for, and for how long that is worth it."""
        if ticket.wanted is not None:
            self._wanted[ticket.wanted] -= 1
        ticket.wanted = backend
        if backend is not None:
            self._wanted[backend] = self._wanted.get(backend, 0) + 1
            if not ticket.patient_until:
                saved = ticket.wish.cached.get(backend, 0.0)
                worth_s = saved / self.wishes.recall.pace(backend).prefill_rate
                ticket.patient_until = time.monotonic() + PATIENCE * worth_s

    def _candidate(self, index: int) -> Candidate:
        return Candidate(
            index,
            self._board.load.in_flight(index),
            self.slots.get(index, 0),
            self._weights.get(index, 1),
            self.wishes.recall.pace(index),
            self._wanted.get(index, 0),
            self.trusted.share(index),
        )

    def _may_wait(self, route: Route, tried: Collection[int]) -> bool:
        return any(
            self._board.backends.state(index) in (*_READY, *_COMING)
            for index in route.candidates
            if index not in tried
        )

    def _schedule_poll(self) -> None:
        if self._poll is None:
            self._poll = asyncio.get_running_loop().call_later(POLL_S, self._poll_now)

    def _poll_now(self) -> None:
        self._poll = None
        if len(self._queue):
            self._schedule_poll()  # before anything can fail: this is the queue's clock
            if self._yielded < COURTESY_POLLS and self._is_others_turn():
                self._yielded += 1
            else:
                self._yielded = 0
                self.wake()


def _was_served(ticket: _Ticket) -> bool:
    future = ticket.future
    return future.done() and not future.cancelled() and future.exception() is None


def _why(decision: Decision, seen: Sequence[Candidate], ready: int, candidates: int) -> Choice:
    """What to tell of a decision among ``ready`` backends, of ``candidates`` with the model."""
    reason = decision.reason
    if ready == 1:
        reason = Reason.ONLY_READY if candidates > 1 else Reason.ONLY_CANDIDATE
    chosen = next(each for each in seen if each.backend == decision.backend)
    return Choice(reason, chosen.in_flight, chosen.slots, ready, candidates)
