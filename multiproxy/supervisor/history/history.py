"""The history as the supervisor uses it: told what ended, asked for the past, never waited for."""

import asyncio
import sqlite3
import time
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from multiproxy.supervisor.dashboard.contract import Wanted
from multiproxy.supervisor.dashboard.views import FinishedView
from multiproxy.supervisor.history import reader, schema
from multiproxy.supervisor.history.desk import Desk
from multiproxy.supervisor.history.store import Batch, HistoryUnusable, Loaded, Store
from multiproxy.supervisor.log import Log
from multiproxy.supervisor.rollups.recorder import Recorder, series_of
from multiproxy.supervisor.rollups.totals import Counters

T = TypeVar("T")

HOUR_S = 3600
WRITE_S = 1.0  # between two batches
RETRY_S = 5.0  # after one that failed
PRUNE_S = 600.0  # after everything old was deleted
MOST_WAITING = 20_000  # requests that wait for a disk that does not take them
MOST_PER_SECOND = 250  # requests with a row of their own; the sums have all of them
READ_LIMIT_S = 5.0
CLOSE_LIMIT_S = 3.0  # for the last batch at the end of the program

_FAILURES = (OSError, sqlite3.Error, HistoryUnusable, ValueError)


class Written(NamedTuple):
    """What the writer's thread did with a batch."""

    size: int  # bytes of the file
    pruned: int | None  # requests that were deleted; None: it did not look
    is_new_file: bool


class History:
    """``offer`` what ended, ``tick`` a few times a second; both only touch memory.

    Until the past was loaded nothing is written: sums of the running hour are replaced on the
    disk by those in memory, which must contain them first.
    """

    def __init__(
        self,
        path: Path,
        keep_s: float,
        recorder: Recorder,
        log: Log,
        on_loaded: Callable[[Loaded, float], None] = lambda loaded, now: None,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], float] = time.time,
    ) -> None:
        self.path = path
        self.problem = ""  # why nothing is written at the moment
        self.dropped = 0  # requests that will never be written
        self.unlisted = 0  # requests that only the sums have, because a second had too many
        self.size = 0  # bytes of the file
        self._keep_s = keep_s
        self._recorder = recorder
        self._log = log
        self._on_loaded = on_loaded
        self._clock = clock
        self._now = now
        self._store = Store(path)
        self._writer = Desk("history-writer")
        self._reader = Desk("history-reader")
        self._waiting: deque[FinishedView] = deque()
        self._second = 0  # Unix time, in which ``_listed`` requests got a row
        self._listed = 0
        self._usage: dict[schema.Usage, Counters] = {}  # what is to be added on the disk
        self._is_loaded = False
        self._next_at = clock()
        self._prune_at = clock()
        self._in_hand: Future[Loaded] | Future[Written] | None = None
        self._batch = Batch()  # what the writer has now

    def offer(self, exchanges: Iterable[FinishedView]) -> None:
        """Take over exchanges that have ended, in the order of their ends."""
        for x in exchanges:
            if self._is_listed(x):
                self._waiting.append(x)
            else:
                self.unlisted += 1
            place = (int(x.ended_at // HOUR_S) * HOUR_S, *series_of(x)[:2], x.key)
            self._usage.setdefault(place, Counters()).add(x)
        while len(self._waiting) > MOST_WAITING:
            self._waiting.popleft()
            self.dropped += 1

    def _is_listed(self, x: FinishedView) -> bool:
        """What went wrong always is; of the rest as many as a disk should take for ever."""
        second = int(x.ended_at)
        if second != self._second:
            self._second, self._listed = second, 0
        self._listed += 1
        return self._listed <= MOST_PER_SECOND or x.outcome.is_failure or x.attempts > 1

    def tick(self) -> None:
        """Look after the writer: take what it has, give it what is next."""
        if self._in_hand is not None:
            if not self._in_hand.done():
                return
            done, self._in_hand = self._in_hand, None
            self._take(done)
        if self._clock() >= self._next_at:
            self._next_at = self._clock() + WRITE_S
            self._give()

    async def page(self, wanted: Wanted, limit: int) -> list[FinishedView]:
        """See ``reader.page``; nothing when the file cannot be read."""
        found = await self._read(lambda: reader.page(self.path, wanted, limit))
        return found or []

    async def one(self, request_id: str) -> FinishedView | None:
        """The exchange with this id, if it is kept and can be read."""
        return await self._read(lambda: reader.one(self.path, request_id))

    def close(self) -> None:
        """Write what is there, for a while; a disk that hangs is left alone."""
        limit = self._clock() + CLOSE_LIMIT_S
        if self._in_hand is not None:
            try:
                self._in_hand.exception(CLOSE_LIMIT_S)
            except TimeoutError:
                return
            self._take(self._in_hand)
        self._in_hand = None
        self._next_at = 0.0
        self._give()
        self._writer.submit(self._store.close)
        self._writer.close(max(0.0, limit - self._clock()))
        self._reader.close(0.0)

    async def _read(self, ask: Callable[[], T]) -> T | None:
        if not self._is_loaded:
            return None
        try:
            async with asyncio.timeout(READ_LIMIT_S):
                return await asyncio.wrap_future(self._reader.submit(ask))
        except (TimeoutError, *_FAILURES) as error:
            self._report(str(error) or "it cannot be read")
            return None

    def _give(self) -> None:
        if not self._is_loaded:
            self._in_hand = self._writer.submit(self._open_and_load)
            return
        recorder = self._recorder
        self._batch = Batch(
            list(self._waiting),
            [
                schema.sums_row(level.step, *changed)
                for level in recorder.stored_levels
                for changed in level.take_changed()
            ],
            self._usage,
        )
        self._waiting.clear()
        self._usage = {}
        wants_prune = self._clock() >= self._prune_at
        if self._batch or wants_prune:
            batch = self._batch
            self._in_hand = self._writer.submit(lambda: self._write(batch, wants_prune))

    def _take(self, done: "Future[Any]") -> None:
        error = done.exception()
        if error is not None:
            if not isinstance(error, _FAILURES):
                raise error
            self._failed(error)
            return
        result: Loaded | Written = done.result()
        if isinstance(result, Loaded):
            self._is_loaded = True
            self._recorder.restore(result.requests, result.sums, result.usage, self._now())
            self._on_loaded(result, self._now())
            self._next_at = 0.0
        else:
            self.size = result.size
            if result.pruned is not None:
                self._prune_at = self._clock() + (WRITE_S if result.pruned else PRUNE_S)
            if result.is_new_file:
                self._touch_all()
        if self.problem:
            self._log.info("the history is written again")
            self.problem = ""

    def _failed(self, error: BaseException) -> None:
        self._next_at = self._clock() + RETRY_S
        self._waiting.extendleft(reversed(self._batch.requests))
        self.offer(())
        for place, counters in self._batch.usage.items():
            self._usage.setdefault(place, Counters()).merge(counters)
        self._batch = Batch()
        if self._is_loaded:
            self._touch_all()
        self._report(str(error))

    def _touch_all(self) -> None:
        """Whatever sums are on the disk: the next batch has them all."""
        for level in self._recorder.stored_levels:
            level.touch_all()

    def _report(self, reason: str) -> None:
        if reason != self.problem:
            self._log.warning(f"the history {self.path} cannot be used: {reason}")
        self.problem = reason

    # -- in the writer's thread ----------------------------------------------------------------

    def _open_and_load(self) -> Loaded:
        self._store.open()
        return self._store.load(self._now())

    def _write(self, batch: Batch, wants_prune: bool) -> Written:
        # Closed after a failure, or somebody moved the file away.
        is_new_file = not self._store.is_open
        if is_new_file:
            self._store.open()
        try:
            self._store.write(batch)
            pruned = self._store.prune(self._now(), self._keep_s) if wants_prune else None
        except sqlite3.Error:
            self._store.close()
            raise
        return Written(self._store.size(), pruned, is_new_file)
