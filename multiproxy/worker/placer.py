"""Gives requests a slot at a backend, or lets them wait for one.

The rules are in ``routing``; this room adds the clock, the shared numbers and the futures.
A request is counted at its backend from the moment it is chosen until ``Lease.release``,
on every path, so that no other choice is made from a stale number.
"""

import asyncio
import random
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from multiproxy.errors import NoBackend, Overloaded
from multiproxy.routing.placement import Candidate, Reason, choose
from multiproxy.routing.queue import Queue
from multiproxy.routing.table import Route
from multiproxy.scoreboard import NO_CHOICE, BackendState, Choice, Scoreboard
from multiproxy.worker.trust import Trusted

# Slots that other workers free are found by looking; our own wake the queue at once.
POLL_S = 0.005
_READY = (BackendState.UP, BackendState.SLEEPING)
_COMING = (BackendState.UNCHECKED, BackendState.LOADING)


class Lease:
    """One request's place at one backend; given back exactly once."""

    __slots__ = ("_placer", "backend", "choice")

    def __init__(self, placer: "Placer", backend: int, choice: Choice = NO_CHOICE) -> None:
        self._placer: Placer | None = placer
        self.backend = backend
        self.choice = choice  # why it is this one

    def release(self) -> None:
        """Give the place back. Idempotent."""
        placer, self._placer = self._placer, None
        if placer is not None:
            placer.release(self.backend)


@dataclass(slots=True, eq=False)
class _Ticket:
    route: Route
    tried: Collection[int]
    future: "asyncio.Future[Lease]"


class Placer:
    """Placement for one worker; ``weights`` by backend index.

    ``slots`` by backend index, 0 for no known bound, is kept up to date by ``Backends``.
    """

    def __init__(
        self,
        board: Scoreboard,
        worker: int,
        weights: Mapping[int, int],
        *,
        queue_limit: int,
        queue_s: float,
    ) -> None:
        self._board = board
        self._worker = worker
        self._weights = weights
        self.slots: dict[int, int] = {}
        self._queue: Queue[_Ticket] = Queue(queue_limit)
        self._queue_s = queue_s
        self._chance = random.Random()
        self.trusted = Trusted(board, worker)
        self._poll: asyncio.TimerHandle | None = None

    @property
    def waiting(self) -> int:
        """How many requests wait for a slot."""
        return len(self._queue)

    async def place(self, route: Route, tried: Collection[int]) -> Lease:
        """Return a lease at one of the route's backends that is not in ``tried``.

        Raises:
            NoBackend: none of them can serve, and none is about to.
            Overloaded: the queue is full, or no slot became free in time.
        """
        if not self._queue.waiting(route.model):  # nobody overtakes who waits
            lease = self._try(route, tried)
            if lease is not None:
                return lease
        if not self._may_wait(route, tried):
            raise NoBackend(
                f"No backend for the model '{route.model}' is available.", retry_after_s=2
            )
        ticket = _Ticket(route, tried, asyncio.get_running_loop().create_future())
        number = self._queue.join(route.model, ticket)
        self._board.workers[self._worker].waiting = len(self._queue)
        self._schedule_poll()
        try:
            async with asyncio.timeout(self._queue_s):
                return await ticket.future
        except TimeoutError as error:
            if ticket.future.done() and not ticket.future.cancelled():
                return ticket.future.result()
            raise Overloaded(
                f"No slot became free within {self._queue_s:g} s; try again later.",
                retry_after_s=5,
            ) from error
        except asyncio.CancelledError:
            # The slot may have been given in the very turn in which the client left.
            if (
                ticket.future.done()
                and not ticket.future.cancelled()
                and not ticket.future.exception()
            ):
                ticket.future.result().release()
            raise
        finally:
            self._queue.leave(route.model, number)
            self._board.workers[self._worker].waiting = len(self._queue)

    def release(self, backend: int) -> None:
        """Count a request as gone from its backend, and let the next one in."""
        self._board.load.add(self._worker, backend, -1)
        if len(self._queue):
            self.wake()

    def wake(self) -> None:
        """Give free slots to those who wait, first come first."""
        for line in self._queue.lines():
            for ticket in line:
                if ticket.future.done():
                    continue
                lease = self._try(ticket.route, ticket.tried)
                if lease is not None:
                    ticket.future.set_result(lease)
                elif not self._may_wait(ticket.route, ticket.tried):
                    ticket.future.set_exception(
                        NoBackend(
                            f"No backend for the model '{ticket.route.model}' is available.",
                            retry_after_s=2,
                        )
                    )
                elif not ticket.tried:
                    break  # who waits behind it wants the same slots

    def _try(self, route: Route, tried: Collection[int]) -> Lease | None:
        ready = [
            index
            for index in route.candidates
            if index not in tried and self._board.backends.state(index) in _READY
        ]
        candidates = [self._candidate(index) for index in self.trusted.of(ready)]
        backend = choose(candidates, self._chance)
        if backend is None:
            return None
        self._board.load.add(self._worker, backend, +1)
        return Lease(self, backend, _why(backend, candidates, len(route.candidates)))

    def _candidate(self, index: int) -> Candidate:
        return Candidate(
            index,
            self._board.load.in_flight(index),
            self.slots.get(index, 0),
            self._weights.get(index, 1),
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
            self.wake()
            self._schedule_poll()


def _why(backend: int, ready: Sequence[Candidate], candidates: int) -> Choice:
    """What to tell of a choice among ``ready``, of ``candidates`` that have the model."""
    if len(ready) > 1:
        reason = Reason.LEAST_BUSY
    else:
        reason = Reason.ONLY_READY if candidates > 1 else Reason.ONLY_CANDIDATE
    chosen = next(each for each in ready if each.backend == backend)
    return Choice(reason, chosen.in_flight, chosen.slots, len(ready), candidates)
