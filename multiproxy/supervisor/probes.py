"""The watch over one backend each: ask, judge, write the backend board, log what changed."""

import asyncio
import random
import time
from collections.abc import Callable
from typing import Protocol

from multiproxy._http.tls import backend_context
from multiproxy.config import Url
from multiproxy.scoreboard import BackendRow, BackendState, Scoreboard
from multiproxy.supervisor.backend_rows import Row
from multiproxy.supervisor.facts import Json, encode, facts_of
from multiproxy.supervisor.log import Log, printable
from multiproxy.supervisor.look import facts_seen, look
from multiproxy.supervisor.probe_http import ProbeConnection
from multiproxy.supervisor.resting import Resting
from multiproxy.supervisor.verdict import ALIVE_S, Sight, Standing, interval_s, judge

TIMEOUT_S = 5.0  # for each of the three questions
LEAST_PAUSE_S = 0.2  # between two probes, however many failures workers report
STARTING_S = 0.3  # a server that was just started may be ready any moment
UNASKED_S = 60.0  # one without a process is not asked: whoever starts it tells
STILL_DOWN_FIRST_S = 60.0  # then twice as long each time
STILL_DOWN_LONGEST_S = 3600.0

# What a held backend is shown as does not hide that it is dead.
_DEAD = (BackendState.DOWN,)
_RESTING = (BackendState.SLEEPING, BackendState.STOPPED)
_ADMITTING = (BackendState.UP, BackendState.SLEEPING)


class Process(Protocol):
    """What is known of a server that is started by us, besides what it answers."""

    starts: int

    @property
    def is_asked(self) -> bool:
        """Whether there is somebody to answer."""
        ...

    def overrule(self, seen: Standing) -> Standing:
        """What the backend is when checks say ``seen``."""
        ...


class Probe:
    """Watches the backend of ``row`` until cancelled; the only writer of its board row."""

    def __init__(
        self,
        row: Row,
        url: Url,
        board: Scoreboard,
        log: Log,
        clock_ns: Callable[[], int] = time.monotonic_ns,
        process: Process | None = None,
    ) -> None:
        self.row = row
        self.url = url
        self._process = process
        self._found = Standing()  # by asking; what the process tells may go before it
        self._starts = 0  # of the process that was asked
        self.standing = process.overrule(self._found) if process is not None else self._found
        self.facts: Json = facts_of(None, None, False)
        self._has_met = False
        self.since_ns = clock_ns()
        self.failed = 0  # checks without a good answer
        self._board = board
        self._log = log
        self._clock_ns = clock_ns
        self._tls = backend_context(row.backend.tls, url)
        self._tls_settings = row.backend.tls
        self._wake = asyncio.Event()
        self._failures = board.load.failures(row.index)
        self._was_down = False
        self.resting = Resting(board, row.index, row.id, log)
        self._remind_s = STILL_DOWN_FIRST_S
        self._last = (0, 0)  # when the last probe ended, and its microseconds

    async def run(self) -> None:
        """Probe for ever."""
        while True:
            await self.probe()
            self._wake.clear()
            # Spread, so that many backends are not asked in one instant.
            await self._pause(self._interval_s() * random.uniform(0.8, 1.0))

    def tick(self) -> None:
        """Ask at once when a worker reported a failure since the last look, or let it rest."""
        self.resting.tick(self._clock_ns())
        failures = self._board.load.failures(self.row.index)
        if failures != self._failures:
            self._failures = failures
            self._wake.set()

    def told(self) -> None:
        """Write down at once what became of a process that is ours."""
        assert self._process is not None
        if self._starts != self._process.starts:
            self._starts, self._found = self._process.starts, Standing()
        before, self.standing = self.standing, self._process.overrule(self._found)
        if self.standing.state is not before.state:
            self._changed(before, self._clock_ns())
        self._write(*self._last)
        self._wake.set()

    async def probe(self) -> Standing:
        """Ask once and write down what is true now."""
        process, starts = self._process, self._starts
        if process is not None and not process.is_asked:
            self._write(*self._last)
            return self.standing
        started = self._clock_ns()
        sight = await self._look()
        now = self._clock_ns()
        if self._starts != starts:
            return self.standing  # this was about another process
        succeeded = self._board.load.last_succeeded(self.row.index)
        alive = succeeded > 0 and now - succeeded < ALIVE_S * 1e9
        before, self._found = self.standing, judge(sight, self.standing, alive)
        self.standing = self._found if process is None else process.overrule(self._found)
        self.failed += self.standing.misses > before.misses
        self._learn(sight)
        if self.standing.state is not before.state:
            self._changed(before, now)
        else:
            self._remind(now)
        self._write(now, (now - started) // 1000)
        return self.standing

    def hold(self, held: bool) -> None:
        """Give the backend no new requests, or give it some again; what runs there goes on."""
        self.row.held = held
        self._write(*self._last)

    def _interval_s(self) -> float:
        if self._process is None:
            return interval_s(self.standing)
        if not self._process.is_asked:
            return UNASKED_S
        loading = self.standing.state is BackendState.LOADING
        return STARTING_S if loading else interval_s(self.standing)

    async def _pause(self, interval: float) -> None:
        await asyncio.sleep(LEAST_PAUSE_S)
        try:
            async with asyncio.timeout(interval - LEAST_PAUSE_S):
                await self._wake.wait()
        except TimeoutError:
            pass

    async def _look(self) -> Sight:
        backend = self.row.backend
        if backend.tls != self._tls_settings:  # a reload came
            self._tls = backend_context(backend.tls, self.url)
            self._tls_settings = backend.tls
        name = backend.tls.server_name if backend.tls else None
        connection = ProbeConnection(self.url, backend.api_key, self._tls, name)
        try:
            return await look(connection, TIMEOUT_S)
        finally:
            connection.close()

    def _learn(self, sight: Sight) -> None:
        """Keep the old facts where a question went unanswered."""
        seen = facts_seen(sight)
        self._has_met = self._has_met or seen is not None
        self.facts = seen or self.facts

    def _write(self, now: int, duration_us: int) -> None:
        backend = self.row.backend
        self._last = now, duration_us
        state = self.standing.state
        if self.row.held and state not in _DEAD:
            state = BackendState.DRAINING
        facts = dict(self.facts)
        facts["slots"] = slots = backend.slots or facts["slots"]
        facts["n_ctx"] = n_ctx = backend.context_size or facts["n_ctx"]
        if self._has_met or self._process is None:  # else workers assume the best
            self._board.backends.write_facts(self.row.index, encode(facts))
        row = BackendRow(
            state, slots, n_ctx, self.since_ns, now,
            min(duration_us, 2**32 - 1), self.standing.misses, self.url.port,
        )  # fmt: skip
        self._board.backends.write(self.row.index, row)

    def _changed(self, before: Standing, now: int) -> None:
        lasted = (now - self.since_ns) / 1e9
        self.since_ns = now
        self._remind_s = STILL_DOWN_FIRST_S
        state, name = self.standing.state, self.row.id
        if state in _ADMITTING and self._was_down:
            self.resting.restarted(now)
        self._was_down = state is BackendState.DOWN or (self._was_down and state not in _ADMITTING)
        # A start is no change, and falling asleep is no trouble: neither is drawn.
        is_news = before.state not in (BackendState.UNCHECKED, *_RESTING)
        is_drawn = state is BackendState.DOWN or (is_news and state not in _RESTING)
        mark = f"{name} {state.name.lower()}" if is_drawn else ""
        if state is BackendState.DOWN:
            self._log.warning(f"{name} is down: {self.standing.reason}", mark)
        elif state is BackendState.UP and before.state is BackendState.DOWN:
            self._log.info(f"{name} is up again after {span(lasted)}: {self.summary()}", mark)
        elif state in _ADMITTING:
            self._log.info(f"{name} is {state.name.lower()}: {self.summary()}", mark)
        elif self._process is None:  # else who starts and ends it has told
            self._log.info(f"{name} is {state.name.lower()}", mark)

    def _remind(self, now: int) -> None:
        down_s = (now - self.since_ns) / 1e9
        if self.standing.state is BackendState.DOWN and down_s >= self._remind_s:
            self._remind_s += min(self._remind_s, STILL_DOWN_LONGEST_S)
            reason = self.standing.reason
            self._log.warning(f"{self.row.id} is still down, {span(down_s)}: {reason}")

    def summary(self) -> str:
        """Models, slots and context in a few words."""
        models = [model["id"] for model in self.facts["models"]]
        names = ", ".join(models[:3]) + (f" and {len(models) - 3} more" if models[3:] else "")
        slots = self.row.backend.slots or self.facts["slots"]
        n_ctx = self.row.backend.context_size or self.facts["n_ctx"]
        parts = [printable(names) or "no models"]
        if slots:
            parts.append(f"{slots} slot{'s' if slots > 1 else ''}")
        if n_ctx:
            parts.append(f"{n_ctx:,} tokens each")
        return ", ".join(parts)


def span(seconds: float) -> str:
    """A duration for people: 8 s, 14 m, 3 h 05 m."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes = int(seconds // 60)
    return f"{minutes} m" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02} m"
