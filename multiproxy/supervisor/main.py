"""The parent process: binds the sockets, owns the shared memory, answers signals, ends last.

One loop, one ticker. SIGCHLD, SIGHUP and the like only wake it up, so everything happens in one
order: reap, start, promote, probe, collect, draw. Nothing here waits for a worker, a backend or
whoever reads the log, and no failure of one of them ends it.
"""

import asyncio
import os
import secrets
import signal
import time
import traceback
from collections.abc import Callable
from pathlib import Path

from multiproxy import __version__
from multiproxy.config import Config
from multiproxy.scoreboard import WORKERS, Scoreboard
from multiproxy.supervisor.backend_rows import BackendRows
from multiproxy.supervisor.children import Children
from multiproxy.supervisor.config_file import ConfigFile
from multiproxy.supervisor.dashboard import Dashboard
from multiproxy.supervisor.dashboard.login import Login
from multiproxy.supervisor.dashboard.views import FinishedView
from multiproxy.supervisor.descriptors import CannotListen, Lifeline, bound_address, listen
from multiproxy.supervisor.discovery import Discovery
from multiproxy.supervisor.ending import Ending, Mood
from multiproxy.supervisor.health import Vitals
from multiproxy.supervisor.history.history import History
from multiproxy.supervisor.key_rows import KeyRows
from multiproxy.supervisor.limit_watch import LimitWatch
from multiproxy.supervisor.log import Level, Log, is_terminal
from multiproxy.supervisor.managed import ManagedServers
from multiproxy.supervisor.metrics import Metrics
from multiproxy.supervisor.operator import Operator
from multiproxy.supervisor.pressure_watch import PressureWatch
from multiproxy.supervisor.private_folder import PrivateFolder
from multiproxy.supervisor.provider import Provider
from multiproxy.supervisor.reloads import Reloads
from multiproxy.supervisor.rollout import Rollout
from multiproxy.supervisor.screen import Facts, Screen, api_url, log_start, reachable
from multiproxy.supervisor.simulated import COMMAND as SIMULATE_COMMAND
from multiproxy.supervisor.simulated import SimulatedServers
from multiproxy.supervisor.stats import Stats
from multiproxy.supervisor.tracing import Tracing
from multiproxy.supervisor.watch import Watch
from multiproxy.supervisor.workers import COMMAND as WORKER_COMMAND
from multiproxy.supervisor.workers import Workers

TICK_S = 0.1  # how late a worker's report of a failed backend is seen at most
COLLECT_S = 0.25
COMPLAIN_S = 60.0  # between two reports of failing ticks
AUTO_WORKERS = 4  # one core carries some 40,000 events/s


def worker_count(config: Config) -> int:
    """How many workers to start: one core is left to the backends and to us."""
    if config.workers is not None:
        return config.workers
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return max(1, min(AUTO_WORKERS, (cores or 1) - 1))


class Supervisor:
    """Everything that lives as long as the program.

    ``load`` reads the configuration again, with the command line's overrides applied.
    ``commands`` replace the programs that are started: (worker, simulate). ``history`` is the
    file that remembers what ended; without one it is forgotten at the end. ``is_watched``: the
    configuration is loaded again when its file changes. ``tracing`` makes spans of what ended.
    """

    def __init__(
        self,
        config: Config,
        config_path: str,
        load: Callable[[], Config],
        log: Log,
        commands: tuple[tuple[str, ...], tuple[str, ...]] | None = None,
        history: Path | None = None,
        is_watched: bool = False,
        tracing: Tracing | None = None,
    ) -> None:
        # for good
        self._config = config
        self._log = log
        self._started_at = time.monotonic()
        self._api = listen(config.listen, "the API")
        try:
            self._pages = (
                listen(config.dashboard.listen, "the dashboard") if config.dashboard else None
            )
        except CannotListen:
            self._api.close()
            raise
        self.api_address = bound_address(self._api)
        self.dashboard_address = bound_address(self._pages) if self._pages else None
        self._board = Scoreboard.create()
        self._lifeline = Lifeline()
        self._children = Children()
        worker, simulate = commands or (WORKER_COMMAND, SIMULATE_COMMAND)
        self._workers = Workers(
            self._board, self._children, log, self._api.fileno(), self._lifeline.fd, worker
        )
        self._simulated = SimulatedServers(self._children, log, self._lifeline.fd, simulate)
        self._rows = BackendRows()
        self._watch = Watch(self._board, log)
        self._pressures = PressureWatch(self._board, log)
        self._managed = ManagedServers(self._board, self._children, self._watch, log)
        self._folder = PrivateFolder()
        key_rows = KeyRows(self._board.keys)
        self._limits = LimitWatch(config, self._board.keys, key_rows, log)
        self._rollout = Rollout(
            self._workers,
            self._rows,
            key_rows,
            self._simulated,
            self._managed,
            self._watch,
            log,
            self._folder.file("responses.db"),
            traces=tracing.ratio if tracing is not None else None,
            captures_path=self._folder.file("captures"),
        )
        self._discovery = Discovery(log)
        self._tracing = tracing
        self._stats = Stats(
            self._board, self._rows.name_of, tracing.observe if tracing is not None else None
        )
        self._metrics = Metrics(config.metrics)
        self._history = (
            History(history, config.history.keep, self._stats.recorder, log, self._limits.restore)
            if history is not None and config.history is not None
            else None
        )
        self._ending = Ending(self._workers, log, self._running)
        self._wake = asyncio.Event()
        self._reloads = Reloads(
            config,
            config_path,
            load,
            self._rollout,
            self._discovery,
            log,
            count=worker_count,
            is_ending=lambda: self._ending.mood is not Mood.RUNNING,
            wake=self._wake.set,
            file=ConfigFile(config_path, time.monotonic) if is_watched else None,
        )
        self._facts = Facts(self.api_address, self.dashboard_address, config_path, config)
        vitals = Vitals(
            self._board,
            self._workers,
            self._rollout,
            self._stats,
            log,
            config_path,
            api_url(self._facts),
            self._started_at,
            self._history,
            self._watch,
        )
        self._provider = Provider(
            self._board,
            self._rows,
            self._watch,
            self._stats,
            log,
            vitals.view,
            self._history,
            self._metrics,
            self._managed,
            lambda: self._rollout.current.config if self._rollout.current else None,
        )
        # now and then
        self._collect_at = 0.0
        self._complain_at = 0.0
        self._screen: Screen | None = None

    async def run(self) -> int:
        """Serve until a signal ends it; the exit status."""
        self._listen_to_signals()
        dashboard = self._dashboard() if self._pages is not None else None
        if dashboard is not None:
            await dashboard.start(sock=self._pages)
        try:
            await self._reloads.start()
            self._greet()
            while not self._ending.tick():
                self._tick()
                await self._pause()
        finally:
            await self._close(dashboard)
        return self._ending.status

    async def _pause(self) -> None:
        try:
            async with asyncio.timeout(TICK_S):
                await self._wake.wait()
        except TimeoutError:
            pass
        self._wake.clear()

    def _tick(self) -> None:
        try:
            self._children.reap()
            self._workers.tick()
            self._rollout.tick()
            if self._rollout.current is not None:
                self._limits.follow(self._rollout.current.config)
            self._simulated.tick()
            self._managed.tick({row.index for row in self._rows.retired()})
            self._watch.tick()
            now = time.monotonic()
            self._reloads.tick(now)
            if now >= self._collect_at:
                self._collect_at = now + COLLECT_S
                self._remember(self._stats.collect())
                self._pressures.tick()
                self._provider.tick()
            self._draw(now)
        except Exception:
            # A bug in here must not take the workers' parent away; it shows in the log.
            if time.monotonic() >= self._complain_at:
                self._complain_at = time.monotonic() + COMPLAIN_S
                self._log.error(f"supervisor: {traceback.format_exc()}")

    def _remember(self, exchanges: list[FinishedView]) -> None:
        for exchange in exchanges:
            self._metrics.observe(exchange)
        if self._history is not None:
            self._history.offer(exchanges)
            self._history.tick()

    def _draw(self, now: float) -> None:
        if self._screen is None:
            return
        probes = [self._watch.get(row.index) for row in self._rows.current()]
        accepted = any(self._board.workers[index].accepted for index in range(WORKERS))
        has_errors = any(event.level is Level.ERROR for event in self._log.events)
        self._screen.tick(
            [probe for probe in probes if probe is not None],
            is_serving=self._rollout.current is not None,
            is_disturbed=accepted or has_errors,
            now=now,
        )
        if self._screen.is_done:
            self._screen = None

    def _dashboard(self) -> Dashboard:
        operator = Operator(self._board, self._rows, self._watch, self._log, self._reloads.reload)
        return Dashboard(
            self._provider,
            allowed_hosts=self._config.allowed_hosts,
            login=self._login(),
            actions=operator,
            boot_id=secrets.token_hex(4),
            version=__version__,
        )

    def _login(self) -> Login | None:
        """How the dashboard asks who is there; None when it does not."""
        settings = self._config.dashboard
        if settings is None or settings.auth == "none":
            return None
        if settings.auth == "token":
            address = reachable(self.dashboard_address or settings.listen)
            return Login(
                time.monotonic,
                on_link=lambda link: self._log.info(
                    f"dashboard: sign in at http://{address}{link}"
                ),
            )
        if settings.password is not None:
            return Login(time.monotonic, password=settings.password)
        return None

    def _greet(self) -> None:
        if is_terminal() and self._config.log.format != "json":
            self._screen = Screen(self._log, self._facts, self._started_at)
        else:
            log_start(self._log, self._facts)

    def _listen_to_signals(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._on_end, number)
        loop.add_signal_handler(signal.SIGHUP, self._reloads.want)
        loop.add_signal_handler(signal.SIGCHLD, self._wake.set)

    def _on_end(self, number: signal.Signals) -> None:
        if self._screen is not None:
            self._screen.close()
        # No listener, no new connections: the workers close theirs when they are told to drain.
        self._api.close()
        self._ending.signalled(number)
        self._wake.set()

    def _running(self) -> int:
        """Requests that run now."""
        return sum(table.running for table in self._board.live)

    async def _close(self, dashboard: Dashboard | None) -> None:
        """End every process, then everything else; nothing stays behind."""
        if self._screen is not None:
            self._screen.close()
        self._simulated.stop_all()
        await self._managed.close()
        self._children.kill_all()
        await self._discovery.close()
        await self._watch.close()
        await self._limits.close()
        if dashboard is not None:
            await dashboard.close()
        self._remember(self._stats.collect())
        if self._tracing is not None:
            self._tracing.close()
        if self._history is not None:
            self._history.close()
        self._api.close()
        self._lifeline.close()
        self._board.close()
        self._folder.remove()
