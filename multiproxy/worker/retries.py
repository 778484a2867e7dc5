"""May a request that failed be given to another backend, and may it be given to any at all.

The rules are in ``routing/retry_budget.py`` and ``routing/poison.py``; this room adds the
clock, the configuration and what other workers saw.
"""

import random
import time
from collections.abc import Awaitable, Callable

from multiproxy.config import Retry
from multiproxy.dialects.request import Request
from multiproxy.errors import (
    BackendBusy,
    BackendDied,
    BackendError,
    BackendLoading,
    ContextExceeded,
    Poisoned,
    ProxyError,
)
from multiproxy.routing.poison import Death, Suspicion, confirmed, hash_of, quarantined
from multiproxy.routing.retry_budget import RetryBudget
from multiproxy.scoreboard import BackendState, Scoreboard
from multiproxy.worker import tasks

PAUSE_S = (0.05, 0.25)  # before what was read once is read again
MAX_DEATHS = 1  # a request that was there may be replayed once
MAX_SUSPICIONS = 1000
_GONE = (BackendState.DOWN, BackendState.LOADING)  # LOADING: it is back already
# Refused without work: another backend is asked for the first time.
_UNWORKED = (BackendBusy, BackendLoading)


class Retries:
    """The bank, the suspicions and the quarantine of one worker.

    ``is_refused`` asks whether a backend takes no connections at this moment.
    """

    def __init__(
        self,
        retry: Retry,
        board: Scoreboard,
        worker: int,
        is_refused: Callable[[int], Awaitable[bool]],
    ) -> None:
        self._mode = retry.mode
        self._board = board
        self._worker = worker
        self._chance = random.Random()
        self.budget = RetryBudget(retry.budget)
        self._is_refused = is_refused
        self._looked_at: set[int] = set()  # backends that are looked at just now
        self._suspicions: list[Suspicion] = []
        self._quarantine: frozenset[int] = frozenset()
        self._deaths: list[Death] = []
        self._version = 0

    def admit(self, request: Request) -> None:
        """Pay into the bank for a request, unless it is one that kills.

        Raises:
            Poisoned: two backends died with it, not long ago.
        """
        self.budget.request()
        if self._quarantine and request.raw and hash_of(request.raw) in self._quarantine:
            raise Poisoned(
                "Backends died while they read this request; it is not sent to another one "
                "for some minutes."
            )

    def again(self, error: BackendError, request: Request, *, sent: bool, deaths: int) -> bool:
        """Whether another backend may be tried. ``deaths`` counts broken answers so far.

        ``sent`` tells that the backend may have begun to work. Call it once per failure.
        """
        if self._mode == "off" or deaths > MAX_DEATHS:
            return False
        if not sent:
            return True  # nothing was asked of anybody: this costs no work
        if self._mode == "connect-only" or not is_repeatable(request):
            return False
        return isinstance(error, _UNWORKED) or self.budget.take(time.monotonic())

    def may_resend(self, request: Request) -> bool:
        """Whether a request may go out again when an idle connection turns out to be dead."""
        return self._mode == "generation" and is_repeatable(request)

    def pause_s(self, error: BackendError, *, sent: bool) -> float:
        """Return how long to wait before the next backend: not after a mere refusal."""
        if not sent or isinstance(error, _UNWORKED):
            return 0.0
        return self._chance.uniform(*PAUSE_S)

    def suspect(self, error: BackendError, request: Request, backend: int) -> None:
        """Remember a request whose backend may have died of it."""
        if isinstance(error, BackendDied) and request.raw:
            if len(self._suspicions) < MAX_SUSPICIONS:
                body = hash_of(request.raw)
                self._suspicions.append(Suspicion(body, backend, time.monotonic_ns()))
                if backend not in self._looked_at:
                    self._looked_at.add(backend)
                    tasks.start(self._look(backend))

    def tick(self, now_ns: int) -> None:
        """Write down the deaths that the probes confirm, and take over those of all workers."""
        if self._suspicions:
            self._confirm(now_ns)
        version = self._board.deaths.version
        if version != self._version:
            self._version = version
            self._deaths = [Death(*each) for each in self._board.deaths.read()]
        if self._deaths:
            self._quarantine = quarantined(self._deaths, now_ns)

    async def _look(self, backend: int) -> None:
        """See a death that is over before a probe comes by: some are back within milliseconds."""
        try:
            is_dead = await self._is_refused(backend)
        finally:
            self._looked_at.discard(backend)
        if not is_dead:
            return
        now_ns = time.monotonic_ns()
        for suspicion in self._suspicions:
            if suspicion.backend == backend:
                self._board.deaths.add(self._worker, suspicion.body, backend, now_ns)
        self._suspicions = [each for each in self._suspicions if each.backend != backend]
        self.tick(now_ns)  # the same request may come again at once

    def _confirm(self, now_ns: int) -> None:
        open_ = []
        for suspicion in self._suspicions:
            row = self._board.backends.read(suspicion.backend)
            verdict = confirmed(suspicion, row.state in _GONE, row.since_ns, now_ns)
            if verdict is None:
                open_.append(suspicion)
            elif verdict:
                self._board.deaths.add(
                    self._worker, suspicion.body, suspicion.backend, row.since_ns
                )
        self._suspicions = open_


class Tries:
    """The backends that one request was given to, and why it is not answered yet."""

    def __init__(self, retries: Retries, request: Request, attempts: int) -> None:
        self.tried: set[int] = set()
        self.failure: ProxyError | None = None  # of the last one
        self.pause_s = 0.0  # before the next one
        self._retries = retries
        self._request = request
        self._attempts = attempts
        self._deaths = 0

    @property
    def are_left(self) -> bool:
        """Whether one more backend may be asked."""
        return len(self.tried) < self._attempts

    def failed(self, error: BackendError, backend: int, *, was_sent: bool) -> bool:
        """Note a failure; tells whether another backend may be asked."""
        self.tried.add(backend)
        self.failure = error
        if was_sent and isinstance(error, BackendDied):
            self._deaths += 1
            self._retries.suspect(error, self._request, backend)
        self.pause_s = self._retries.pause_s(error, sent=was_sent)
        return self._retries.again(error, self._request, sent=was_sent, deaths=self._deaths)

    def refused(self, error: ContextExceeded, backend: int) -> bool:
        """Note that a prompt is too long for a backend; tells whether a larger one may be asked."""
        self.tried.add(backend)
        self.failure = error
        self.pause_s = 0.0  # nothing was worked on
        return self._retries.may_resend(self._request)


def is_repeatable(request: Request) -> bool:
    """Whether another backend would do the same: not if a slot of one backend is named."""
    slot = request.data.get("id_slot", -1)
    return slot is None or slot == -1
