"""The running system as plain values for the dashboard; see ``dashboard/views.py``."""

import platform
import time
from collections.abc import Callable, Mapping

from multiproxy import __version__
from multiproxy.config import Config
from multiproxy.config import Metrics as MetricsSettings
from multiproxy.scoreboard import (
    WORKERS,
    BackendState,
    Scoreboard,
)
from multiproxy.supervisor.backend_rows import BackendRows, Row
from multiproxy.supervisor.dashboard import views
from multiproxy.supervisor.dashboard.contract import Wanted
from multiproxy.supervisor.exchange_views import running_view
from multiproxy.supervisor.history.history import History
from multiproxy.supervisor.log import Level, Log
from multiproxy.supervisor.managed import ManagedServers
from multiproxy.supervisor.metrics import Metrics
from multiproxy.supervisor.metrics_now import Now
from multiproxy.supervisor.model_views import model_views, report
from multiproxy.supervisor.state_history import StateHistory
from multiproxy.supervisor.stats import Stats
from multiproxy.supervisor.watch import Watch

_STATES: Mapping[BackendState, views.BackendState] = {
    BackendState.UNCHECKED: views.BackendState.CHECKING,
    BackendState.UP: views.BackendState.UP,
    BackendState.LOADING: views.BackendState.LOADING,
    BackendState.SLEEPING: views.BackendState.SLEEPING,
    BackendState.DOWN: views.BackendState.DOWN,
    BackendState.DRAINING: views.BackendState.DRAINING,
    BackendState.STOPPED: views.BackendState.STOPPED,
}
_ADMITTING = (views.BackendState.UP, views.BackendState.SLEEPING)
_KINDS: Mapping[Level, str] = {Level.INFO: "ok", Level.WARNING: "warn", Level.ERROR: "err"}
USAGE_REFRESH_S = 5.0  # a month of hours is some ten thousand sums
NOTE_STATES_S = 1.0
MOST_USAGES = 32  # different questions that are answered from memory


class Provider:
    """Answers from the scoreboard, the collected records and the log; never blocks."""

    def __init__(
        self,
        board: Scoreboard,
        rows: BackendRows,
        watch: Watch,
        stats: Stats,
        log: Log,
        health: Callable[[], views.HealthView],
        history: History | None = None,
        metrics: Metrics | None = None,
        managed: ManagedServers | None = None,
        config: Callable[[], Config | None] = lambda: None,
    ) -> None:
        """``config`` gives the settings in use, None before there are any."""
        self.health = health
        self._config = config
        self._states = StateHistory()
        self._noted = 0.0  # when, monotonic
        self._board = board
        self._rows = rows
        self._watch = watch
        self._stats = stats
        self._log = log
        self._history = history
        self._metrics = metrics or Metrics(MetricsSettings())
        self._managed = managed
        self._usage: dict[tuple[str, float], tuple[float, list[views.UsageView]]] = {}
        self._windows: dict[str, tuple[float, views.WindowView]] = {}  # made when (monotonic)

    def backends(self) -> list[views.BackendView]:
        current = [self._backend(row, is_current=True) for row in self._rows.current()]
        return current + [self._backend(row, is_current=False) for row in self._rows.retired()]

    def tick(self) -> None:
        """Remember now and then what state the backends are in."""
        now = time.monotonic()
        if now - self._noted >= NOTE_STATES_S:
            self._noted = now
            self._states.note(self.backends(), time.time())

    def changes(self, backend: str) -> list[views.ChangeView]:
        return self._states.of(backend)

    def models(self) -> list[views.ModelView]:
        config, rows = self._config(), self._rows.current()
        if config is None:
            return []
        facts = {row.index: probe.facts for row in rows if (probe := self._watch.get(row.index))}
        return model_views(config, rows, facts)

    def running(self) -> list[views.RunningView]:
        now_ns = time.monotonic_ns()
        rows = [row for worker in range(WORKERS) for row in self._board.live[worker].rows()]
        rows.sort(key=lambda row: row.started_ns)
        return [running_view(row, self._rows.name_of(row.backend), now_ns) for row in rows]

    def finished(self, limit: int, since_s: float) -> list[views.FinishedView]:
        oldest = time.time() - since_s
        found: list[views.FinishedView] = []
        for ended in reversed(self._stats.recorder.finished):
            # Collected in rounds of a quarter second; within one the order is by end.
            if ended.ended_at < oldest or len(found) >= limit:
                break
            found.append(ended)
        return found

    async def stored(self, wanted: Wanted, limit: int) -> list[views.FinishedView]:
        return await self._history.page(wanted, limit) if self._history else []

    async def stored_one(self, request_id: str) -> views.FinishedView | None:
        return await self._history.one(request_id) if self._history else None

    def pulse(self) -> views.PulseView:
        return self._stats.recorder.pulse(self.running(), time.time())

    def window(self, name: str) -> views.WindowView:
        now = time.monotonic()
        made_at, found = self._windows.get(name, (0.0, None))
        if found is None or now - made_at >= views.WINDOWS[name].refresh_s:
            found = self._stats.recorder.window(name, self.running(), time.time())
            self._windows[name] = now, found
        return found

    def usage(self, by: str, since: float) -> list[views.UsageView]:
        now, asked = time.monotonic(), (by, since)
        made_at, found = self._usage.get(asked, (0.0, None))
        if found is None or now - made_at >= USAGE_REFRESH_S:
            found = self._stats.recorder.usage_by(by, since)
            if len(self._usage) >= MOST_USAGES:
                self._usage.clear()
            self._usage[asked] = now, found
        return found

    def metrics(self, live_streams: int, openmetrics: bool) -> str:
        now = Now(
            self.backends(),
            self.running(),
            self.health(),
            version=__version__,
            python=platform.python_version(),
            live_streams=live_streams,
            rows_dropped=self._history.dropped if self._history else 0,
            rows_unlisted=self._history.unlisted if self._history else 0,
            unrecorded=self._stats.lost,
        )
        return self._metrics.exposition(now, openmetrics)

    def events(self) -> list[views.EventView]:
        return [
            views.EventView(event.seq, event.at, _KINDS[event.level], event.text, event.mark)
            for event in self._log.events
        ]

    def _backend(self, row: Row, is_current: bool) -> views.BackendView:
        probe = self._watch.get(row.index)
        if probe is None:
            return views.BackendView(row.id, "", views.BackendState.CHECKING)
        numbers = self._board.backends.read(row.index)
        checked = numbers.checked_ns > 0
        # Stamps are monotonic; a page wants the time of day.
        epoch = time.time() - time.monotonic()
        state, since_ns = _STATES[numbers.state], probe.since_ns
        reason = probe.standing.reason
        # When most of them rest, workers ask them all the same.
        if probe.resting.is_resting and not self._watch.is_panic and state in _ADMITTING:
            state, since_ns = views.BackendState.DOWN, probe.resting.since_ns
            reason = probe.resting.reason(time.monotonic_ns())
        return views.BackendView(
            id=row.id,
            address=f"{probe.url.host}:{probe.url.port}",
            state=state if is_current else views.BackendState.DRAINING,
            since=epoch + since_ns / 1e9,
            models=said.names if (said := report(row, probe.facts)) else (),
            slots_busy=self._board.load.in_flight(row.index),
            slots_total=numbers.slots or None,
            context_size=numbers.n_ctx or None,
            weight=row.backend.weight,
            tags=row.backend.tags,
            last_check_at=epoch + numbers.checked_ns / 1e9 if checked else None,
            last_check_s=numbers.check_us / 1e6 if checked else None,
            checks_failed=probe.failed,
            reason=reason,
            detail=probe.facts["build"],
            held=row.held,
            leaves=not is_current,
            server=self._server(row),
        )

    def _server(self, row: Row) -> views.ServerView | None:
        server = self._managed.get(row.index) if self._managed is not None else None
        if server is None:
            return None
        return views.ServerView(
            command=server.shown,
            stage=server.life.stage.value,
            pid=server.process.pid if server.process is not None else None,
            started_at=server.started_at,
            starts=server.life.starts,
            deaths=server.life.deaths,
            reason=server.life.reason,
            start=row.backend.start,
            ttl_s=row.backend.ttl,
            exclusive=row.backend.exclusive or "",
            lines=tuple(views.LineView(line.at, line.text) for line in server.output.lines),
        )
