"""Lets requests in by their key, and counts what each key uses, over all workers of the host.

A key costs a digest and one sum over all workers; what has no limit is not counted. Without keys
everyone is ``ANYONE``.
"""

import random
import time
from collections.abc import Mapping, Sequence

from multiproxy._http.head import RequestHead
from multiproxy.auth import ANYONE, Keyring, Principal, Spent, refuse_excess
from multiproxy.config import Key
from multiproxy.scoreboard import KeyUsage
from multiproxy.worker.endpoints import Endpoint, Kind

_MINUTE_NS = 60_000_000_000
_DAY_S = 86_400

# Who asks whether the house stands is a load balancer; a browser's preflight carries no key.
_OPEN = frozenset((Kind.HEALTH, Kind.ALIVE, Kind.PREFLIGHT))
_COUNTED = frozenset((Kind.GENERATE, Kind.COUNT, Kind.QUERY))


class Visit:
    """One request and whose it is; ``close`` it exactly once, with the tokens it used."""

    __slots__ = ("_gate", "_runs", "principal")

    def __init__(self, gate: "Gate | None", principal: Principal, *, runs: bool) -> None:
        self._gate = gate
        self._runs = runs
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
        self, keys: Sequence[Key], indices: Mapping[str, int], usage: KeyUsage, worker: int
    ) -> None:
        self._keyring = Keyring(keys, indices) if keys else None
        self._usage = usage
        self._worker = worker
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
        minute, into_ns = divmod(time.monotonic_ns(), _MINUTE_NS)
        now = time.time()
        refuse_excess(
            principal,
            self._spent(principal, minute, int(now // _DAY_S), runs),
            into_ns / 1e9,
            _DAY_S - now % _DAY_S,
            self._chance,
        )
        if runs:
            self._usage.add(self._worker, principal.index, +1)
        if principal.requests_per_minute is not None:
            self._usage.count_request(self._worker, principal.index, minute)
        return Visit(self, principal, runs=runs)

    def leave(self, who: Principal, *, runs: bool, tokens: int) -> None:
        """Count a request as ended; for ``Visit``."""
        if runs:
            self._usage.add(self._worker, who.index, -1)
        if tokens > 0 and (who.tokens_per_minute or who.tokens_per_day):
            minute, day = time.monotonic_ns() // _MINUTE_NS, int(time.time() // _DAY_S)
            self._usage.count_tokens(self._worker, who.index, minute, day, tokens)

    def _spent(self, who: Principal, minute: int, day: int, runs: bool) -> Spent:
        """Read only the counts that have a limit: a sum is over all workers' rows."""
        usage, key = self._usage, who.index
        requests = tokens = (0, 0)
        if who.requests_per_minute is not None:
            requests = usage.requests(key, minute), usage.requests(key, minute - 1)
        if who.tokens_per_minute is not None:
            tokens = usage.tokens(key, minute), usage.tokens(key, minute - 1)
        return Spent(
            usage.running(key) if runs else 0,
            *requests,
            *tokens,
            usage.tokens_of_day(key, day) if who.tokens_per_day is not None else 0,
        )
