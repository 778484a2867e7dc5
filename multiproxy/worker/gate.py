"""Lets requests in by their key, and counts what each key uses, over all workers of the host.

A key costs a digest and one sum over all workers; what has no limit is not counted. Without keys
everyone is ``ANYONE``. With a limit store the minute and the day of a key are those of all
replicas: then, and only for keys with such a limit, a request asks Redis before it is let in.
"""

import random
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from multiproxy._http.head import RequestHead
from multiproxy.auth import ANYONE, Keyring, Principal, Spent, refuse_excess
from multiproxy.auth import shared as replicas
from multiproxy.auth.shared import Moment
from multiproxy.config import Key
from multiproxy.scoreboard import KeyUsage
from multiproxy.worker.endpoints import Endpoint, Kind
from multiproxy.worker.limit_store import LimitStore

_MINUTE_NS = 60_000_000_000
_2020_NS = 1_577_836_800 * 10**9  # the counts' minutes have 24 bits: until 2051 from there
_DAY_S = 86_400

# Who asks whether the house stands is a load balancer; a browser's preflight carries no key.
_OPEN = frozenset((Kind.HEALTH, Kind.ALIVE, Kind.PREFLIGHT))
_COUNTED = frozenset((Kind.GENERATE, Kind.COUNT, Kind.QUERY))


@dataclass(frozen=True, slots=True)
class Shared:
    """What is needed to share limits: the store, and each key's name for this replica in it."""

    store: LimitStore
    replica_of: Mapping[str, str]


class Visit:
    """One request and whose it is; ``close`` it exactly once, with the tokens it used.

    ``is_asked`` tells that it is not let in before ``Gate.ask``.
    """

    __slots__ = ("_gate", "_runs", "is_asked", "principal")

    def __init__(
        self, gate: "Gate | None", principal: Principal, *, runs: bool, is_asked: bool = False
    ) -> None:
        self._gate = gate
        self._runs = runs
        self.is_asked = is_asked
        self.principal = principal

    def close(self, tokens: int) -> None:
        """Give back the place of a generation, and count what was used. Idempotent."""
        gate, self._gate = self._gate, None
        if gate is not None:
            gate.leave(self.principal, runs=self._runs, tokens=tokens)


UNCOUNTED = Visit(None, ANYONE, runs=False)


class Gate:
    """The keys of one worker; ``indices`` are the keys' rows of ``usage`` by name."""

    def __init__(
        self,
        keys: Sequence[Key],
        indices: Mapping[str, int],
        usage: KeyUsage,
        worker: int,
        shared: Shared | None = None,
    ) -> None:
        self._keyring = Keyring(keys, indices) if keys else None
        self._usage = usage
        self._worker = worker
        self._shared = shared
        self._chance = random.Random()

    def admit(self, endpoint: Endpoint, head: RequestHead) -> Visit:
        """Return the visit of a request whose body has not been read yet.

        Raises:
            NotAuthenticated, BadFraming: see ``Keyring.find``.
            RateLimited: the key is good, and over a limit.
        """
        if self._keyring is None or endpoint.kind in _OPEN:
            return UNCOUNTED
        principal = self._keyring.find(head.get(b"authorization"), head.get(b"x-api-key"))
        if endpoint.kind not in _COUNTED:
            return Visit(None, principal, runs=False)
        runs = endpoint.kind is Kind.GENERATE
        at = self._now()
        self._refuse_excess(principal, self._spent(principal, at, runs), at)
        is_asked = self._shared is not None and replicas.is_shared(principal)
        if runs:
            self._usage.add(self._worker, principal.index, +1)
        if not is_asked:
            self._count_request(principal, at)
        return Visit(self, principal, runs=runs, is_asked=is_asked)

    async def ask(self, who: Principal) -> None:
        """Let a request in that is over none of this replica's limits, if all agree.

        Raises:
            RateLimited: over all replicas the key is over a limit.
        """
        at = self._now()
        answer = await self._store.ask(self._command(who, at, counts=True))
        if answer is None:  # it is away; many may have asked before the first is counted here
            self._refuse_excess(who, self._spent(who, at, runs=False), at)
        else:
            is_let_in, spent = replicas.understand(answer)
            if not is_let_in:
                self._refuse_excess(who, spent, at)
        self._count_request(who, at)

    def leave(self, who: Principal, *, runs: bool, tokens: int) -> None:
        """Count a request as ended; for ``Visit``."""
        if runs:
            self._usage.add(self._worker, who.index, -1)
        if tokens > 0 and (who.tokens_per_minute or who.tokens_per_day):
            at = self._now()
            self._usage.count_tokens(self._worker, who.index, at.minute, at.day, tokens)
            if self._shared is not None:
                self._store.tell(self._command(who, at, counts=False))

    def tell_all(self) -> None:
        """Tell the store of every key, for one that has forgotten them."""
        at = self._now()
        for who in self._keyring or ():
            if replicas.is_shared(who):
                self._store.tell(self._command(who, at, counts=False))

    def _now(self) -> Moment:
        now = time.time()
        # A clock that is set must not give a key a fresh minute, but replicas share no other.
        clock_ns = time.monotonic_ns() if self._shared is None else time.time_ns() - _2020_NS
        minute, into_ns = divmod(clock_ns, _MINUTE_NS)
        return Moment(minute, into_ns / 1e9, int(now // _DAY_S), _DAY_S - now % _DAY_S)

    def _refuse_excess(self, who: Principal, spent: Spent, at: Moment) -> None:
        refuse_excess(who, spent, at.into_minute_s, at.day_left_s, self._chance)

    def _count_request(self, who: Principal, at: Moment) -> None:
        if who.requests_per_minute is not None:
            self._usage.count_request(self._worker, who.index, at.minute)

    @property
    def _store(self) -> LimitStore:
        assert self._shared is not None
        return self._shared.store

    def _command(self, who: Principal, at: Moment, *, counts: bool) -> replicas.Command:
        assert self._shared is not None
        own = self._spent(who, at, runs=False)
        return replicas.command(who, self._shared.replica_of[who.name], own, at, counts=counts)

    def _spent(self, who: Principal, at: Moment, runs: bool) -> Spent:
        """Read only the counts that have a limit: a sum is over all workers' rows."""
        usage, key, minute = self._usage, who.index, at.minute
        requests = tokens = (0, 0)
        if who.requests_per_minute is not None:
            requests = usage.requests(key, minute), usage.requests(key, minute - 1)
        if who.tokens_per_minute is not None:
            tokens = usage.tokens(key, minute), usage.tokens(key, minute - 1)
        return Spent(
            usage.running(key) if runs else 0,
            *requests,
            *tokens,
            usage.tokens_of_day(key, at.day) if who.tokens_per_day is not None else 0,
        )
