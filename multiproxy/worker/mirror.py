"""Mirrored traffic: answered requests are sent once more, to another model, for its numbers only.

A copy must not cost a request anything. It begins when its original has its answer; it runs
only at a backend where no request runs, beside other copies at most, one slot left free where
there are two; and as soon as a request comes there it is broken off. Copies are not among the
requests in flight, so no placement makes room for them.
"""

import asyncio
import random
from dataclasses import replace
from typing import TYPE_CHECKING

from multiproxy._http.head import RequestHead
from multiproxy.dialects.request import Request
from multiproxy.routing.recall import Wish
from multiproxy.routing.table import Route
from multiproxy.scoreboard import BackendState
from multiproxy.worker import tasks
from multiproxy.worker.account import Account
from multiproxy.worker.endpoints import Endpoint, Kind
from multiproxy.worker.mirrored import Copy

if TYPE_CHECKING:
    from multiproxy.worker.main import Worker

WATCH_S = 0.005  # between looks for requests where copies run


class Mirror:
    """The copies of one worker; ``running`` are those that have not ended."""

    def __init__(self, worker: "Worker") -> None:
        self.running: set[Copy] = set()
        self._worker = worker
        self._chance = random.Random()
        self._look: asyncio.TimerHandle | None = None

    def offer(
        self,
        endpoint: Endpoint,
        head: RequestHead,
        request: Request,
        route: Route,
        original: Account,
    ) -> None:
        """Send what ``route`` has just answered to the model that mirrors it, or let it be."""
        mirror, worker = route.mirror, self._worker
        if mirror is None or endpoint.kind is not Kind.GENERATE or worker.draining:
            return
        to = worker.backends.table.lookup(mirror.model)
        if to is None or self._chance.random() >= mirror.share:
            return
        wish = worker.placer.wishes.of(endpoint, head, request, to)
        backend = self._idle(to, wish)
        if backend is None:
            return
        # Unlike a stand-in, which the client may have asked for by its own name, this one is ours.
        to = replace(to, send_as={backend: to.send_as.get(backend, to.model)})
        worker.board.load.add_copy(worker.index, backend, +1)
        copy = Copy(worker, endpoint, head, request, to, backend, wish, original)
        self.running.add(copy)
        copy.task = tasks.start(self._run(copy))
        self._watch()

    def tick(self, now: float, now_ns: int) -> None:
        """Show the copies to those who look."""
        for copy in list(self.running):
            copy.tick(now, now_ns)

    def stop(self) -> None:
        """This process ends: so do the copies."""
        for copy in list(self.running):
            copy.stop()

    def _idle(self, route: Route, wish: Wish) -> int | None:
        """The backend where a copy disturbs nobody; of several one that knows the prompt."""
        board, slots = self._worker.board, self._worker.placer.slots
        free = [
            (-wish.cached.get(index, 0.0), board.load.copies(index), index)
            for index in route.candidates
            if board.backends.state(index) is BackendState.UP
            and not board.backends.rests_until(index)
            and not board.load.in_flight(index)
            and board.load.copies(index) < max(1, slots.get(index, 0) - 1)
        ]
        return min(free)[2] if free else None

    async def _run(self, copy: Copy) -> None:
        record = await copy.run()
        self._worker.board.load.add_copy(self._worker.index, copy.backend, -1)
        self.running.discard(copy)
        self._worker.record(record)

    def _watch(self) -> None:
        if self._look is None:
            self._look = asyncio.get_running_loop().call_later(WATCH_S, self._make_way)

    def _make_way(self) -> None:
        """Break off the copies where requests run now."""
        self._look = None
        if self.running:
            self._watch()
        in_flight = self._worker.board.load.in_flight
        for copy in list(self.running):
            if in_flight(copy.backend):
                copy.stop()
