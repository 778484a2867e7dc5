"""The keys' day over restarts, and the limit store in which replicas add up what keys use.

The workers ask the store themselves. Here somebody says, once, that it is away or back, and
reminds one that came back of all that was used.
"""

import asyncio
from collections.abc import Coroutine
from typing import Any
from urllib.parse import urlsplit

from multiproxy.config import Config
from multiproxy.scoreboard import KeyUsage
from multiproxy.supervisor.history.store import Loaded
from multiproxy.supervisor.key_rows import KeyRows
from multiproxy.supervisor.log import Log
from multiproxy.worker.gate import Gate, Shared
from multiproxy.worker.limit_store import LimitStore

NOBODY = -1  # a gate through which nobody comes
DAY_S = 86_400


class LimitWatch:
    """``follow`` the configuration that serves; without a store there is nothing to watch."""

    def __init__(self, config: Config, usage: KeyUsage, rows: KeyRows, log: Log) -> None:
        self._config = config
        self._usage = usage
        self._rows = rows
        self._log = log
        self._url: str | None = None
        self._store: LimitStore | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    def follow(self, config: Config) -> None:
        """Look at the store of the configuration that serves now."""
        self._config = config
        if self._url == config.limits.store:
            return
        self._url = config.limits.store
        if self._store is not None:
            self._begin(self._store.close())
            self._store = None
        if self._url:
            self._store = LimitStore(self._url, self._on_change)
            self._begin(self._store.start())

    def restore(self, loaded: Loaded, now: float) -> None:
        """Take the day's use of each key from the history, unless the store remembers it."""
        if self._config.limits.store:
            return
        day = int(now // DAY_S)
        used: dict[str, int] = {}
        for group, hour, name, counters in loaded.usage:
            if group == "key" and hour // DAY_S == day:
                tokens = counters.prompt_tokens + counters.output_tokens
                used[name] = used.get(name, 0) + tokens
        self._rows.restore_day(day, used)

    async def close(self) -> None:
        """Hang up."""
        if self._store is not None:
            self._begin(self._store.close())
        if self._tasks:
            await asyncio.wait(self._tasks)

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _on_change(self, reason: str) -> None:
        where = urlsplit(self._url or "").netloc.rpartition("@")[2]
        if reason:
            self._log.warning(
                f"limits.store {where} cannot be used ({reason}): "
                "until it can, each replica counts for itself"
            )
            return
        self._log.info(f"limits.store {where}: what keys use is counted over all replicas")
        assert self._store is not None
        shared = Shared(self._store, self._rows.replica_of)
        Gate(self._config.keys, self._rows.rows, self._usage, NOBODY, shared).tell_all()
