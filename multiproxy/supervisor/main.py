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
from dataclasses import replace
from pathlib import Path

from multiproxy import __version__
from multiproxy.config import Config, ConfigError, Problem, exposures
from multiproxy.config.discovered import expand, sought
from multiproxy.errors import BadCertificate
from multiproxy.scoreboard import WORKERS, Scoreboard
from multiproxy.supervisor.backend_rows import BackendRows, TooManyBackends
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
from multiproxy.supervisor.key_rows import KeyRows, TooManyKeys
from multiproxy.supervisor.log import Level, Log, is_terminal
from multiproxy.supervisor.metrics import Metrics
from multiproxy.supervisor.operator import Operator
from multiproxy.supervisor.private_folder import PrivateFolder
from multiproxy.supervisor.provider import Provider
from multiproxy.supervisor.rollout import Rollout
from multiproxy.supervisor.screen import Facts, Screen, log_start, reachable
from multiproxy.supervisor.simulated import COMMAND as SIMULATE_COMMAND
from multiproxy.supervisor.simulated import SimulatedServers
from multiproxy.supervisor.stats import Stats
from multiproxy.supervisor.watch import Watch
from multiproxy.supervisor.workers import COMMAND as WORKER_COMMAND
from multiproxy.supervisor.workers import NoFreeRows, Workers

TICK_S = 0.1  # how late a worker's report of a failed backend is seen at most
COLLECT_S = 0.25
_FIXED = ("listen", "dashboard", "log", "history", "metrics")  # until a restart
FIRST_LOOKUP_S = 2.0  # how long the start waits for DNS
LOOKUPS_S = 2.0  # between two generations that DNS asks for
FULL_S = 30.0  # until the next try when draining workers left no room for one
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
    configuration is loaded again when its file changes.
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
    ) -> None:
        # for good
        self._log = log
        self._load = load
        self._config_path = config_path
        self._file = ConfigFile(config_path, time.monotonic) if is_watched else None
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
        self._folder = PrivateFolder()
        self._rollout = Rollout(
            self._workers,
            self._rows,
            KeyRows(self._board.keys),
            self._simulated,
            self._watch,
            log,
            self._folder.file("responses.db"),
        )
        self._discovery = Discovery(log)
        self._stats = Stats(self._board, self._rows.name_of)
        self._metrics = Metrics(config.metrics)
        self._history = (
            History(history, config.history.keep, self._stats.recorder, log)
            if history is not None and config.history is not None
            else None
        )
        self._ending = Ending(self._workers, log, self._running)
        vitals = Vitals(
            self._board,
            self._workers,
            self._rollout,
            self._stats,
            log,
            config_path,
            f"{'https' if config.tls else 'http'}://{reachable(self.api_address)}/v1",
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
        )
        # now and then
        self._config = config  # the first: addresses and log stay what they were
        self._loaded = config  # the newest that serves, before DNS had its say
        self._roll_at = 0.0
        self._wants_reload = False
        self._reloading: list[asyncio.Future[str]] = []  # who wants to know how it went
        self._wake = asyncio.Event()
        self._collect_at = 0.0
        self._complain_at = 0.0
        self._screen: Screen | None = None

    async def run(self) -> int:
        """Serve until a signal ends it; the exit status."""
        self._listen_to_signals()
        dashboard = Dashboard(
            self._provider,
            allowed_hosts=self._config.allowed_hosts,
            login=self._login(),
            actions=Operator(self._board, self._rows, self._watch, self._log, self.reload),
            boot_id=secrets.token_hex(4),
            version=__version__,
        )
        if self._pages is not None:
            await dashboard.start(sock=self._pages)
        try:
            self._discovery.follow(sought(self._config))
            await self._discovery.first(FIRST_LOOKUP_S)
            self._begin(self._config)
            self._greet()
            while not self._ending.tick():
                self._tick()
                await self._pause()
        finally:
            await self._close(dashboard if self._pages is not None else None)
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
            self._simulated.tick()
            self._watch.tick()
            if self._file is not None and self._file.has_changed():
                self._log.info(f"{self._config_path} changed")
                self._on_reload()
            if self._wants_reload and self._rollout.next is None:
                self._wants_reload = False
                self._reload()
            self._tell_reloaded()
            now = time.monotonic()
            if self._discovery.has_changed and now >= self._roll_at:
                self._roll_out_found(now)
            if now >= self._collect_at:
                self._collect_at = now + COLLECT_S
                self._remember(self._stats.collect())
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
        facts = Facts(self.api_address, self.dashboard_address, self._config_path, self._config)
        if is_terminal() and self._config.log.format != "json":
            self._screen = Screen(self._log, facts, self._started_at)
        else:
            log_start(self._log, facts)

    def _listen_to_signals(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._on_end, number)
        loop.add_signal_handler(signal.SIGHUP, self._on_reload)
        loop.add_signal_handler(signal.SIGCHLD, self._wake.set)

    def _on_end(self, number: signal.Signals) -> None:
        if self._screen is not None:
            self._screen.close()
        # No listener, no new connections: the workers close theirs when they are told to drain.
        self._api.close()
        self._ending.signalled(number)
        self._wake.set()

    def _on_reload(self) -> None:
        if self._ending.mood is Mood.RUNNING:
            self._wants_reload = True
            self._wake.set()

    async def reload(self) -> str:
        """Reload, and wait until the new configuration serves or was given up.

        Returns what was wrong, "" when nothing was.
        """
        if self._ending.mood is not Mood.RUNNING:
            return "MultiProxy is shutting down"
        told: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._reloading.append(told)
        self._on_reload()
        return await told

    def _tell_reloaded(self) -> None:
        over = self._ending.mood is not Mood.RUNNING
        if (self._wants_reload or self._rollout.next is not None) and not over:
            return
        waiting, self._reloading = self._reloading, []
        for told in waiting:
            if not told.done():  # who asked may have left
                told.set_result("MultiProxy is shutting down" if over else self._rollout.error)

    def _reload(self) -> None:
        """Start a generation for the file as it is now; a bad file changes nothing."""
        try:
            config = unmovable(self._load(), self._config, self._log)
            _refuse_exposure(config, self._config_path)
            self._begin(config)
        except ConfigError as error:
            for problem in error.problems:
                where = f"{error.name}:{problem.line}:{problem.column}"
                self._log.error(f"reload: {where}: {problem.message}")
            self._rollout.error = f"{error.name}: {error.problems[0].message}"
        except (CannotListen, NoFreeRows, TooManyBackends, TooManyKeys, BadCertificate) as error:
            self._log.error(f"reload: {error}")
            self._rollout.error = str(error)

    def _begin(self, config: Config) -> None:
        """Start a generation for ``config`` with the servers that DNS has now.

        Raises: see `Rollout.begin`.
        """
        self._rollout.begin(expand(config, self._discovery.places), worker_count(config))
        self._loaded = config
        self._discovery.taken()
        self._discovery.follow(sought(config))

    def _roll_out_found(self, now: float) -> None:
        """Start a generation because DNS has other servers than before."""
        if self._rollout.next is not None or self._ending.mood is not Mood.RUNNING:
            return
        self._roll_at = now + LOOKUPS_S
        try:
            self._begin(self._loaded)
        except (CannotListen, NoFreeRows, TooManyBackends, TooManyKeys, BadCertificate) as error:
            self._roll_at = now + FULL_S
            self._log.warning(f"the servers found by DNS have to wait: {error}")

    def _running(self) -> int:
        """Requests that run now."""
        return sum(table.running for table in self._board.live)

    async def _close(self, dashboard: Dashboard | None) -> None:
        """End every process, then everything else; nothing stays behind."""
        if self._screen is not None:
            self._screen.close()
        self._simulated.stop_all()
        self._children.kill_all()
        await self._discovery.close()
        await self._watch.close()
        if dashboard is not None:
            await dashboard.close()
        self._remember(self._stats.collect())
        if self._history is not None:
            self._history.close()
        self._api.close()
        self._lifeline.close()
        self._board.close()
        self._folder.remove()


def _refuse_exposure(config: Config, path: str) -> None:
    """The file may be fine for its own addresses, and open those that stay.

    Raises:
        ConfigError: it would.
    """
    problems = [Problem(0, 0, message, hint) for _, message, hint in exposures(config)]
    if problems:
        raise ConfigError(problems, path)


def unmovable(config: Config, old: Config, log: Log) -> Config:
    """``config`` with the settings that need a restart left as they are, and a word about it."""
    for name in _FIXED:
        wanted, kept = getattr(config, name), getattr(old, name)
        if wanted != kept:
            log.warning(f"reload: '{name}' changed; that needs a restart, the old value stays")
    return replace(config, **{name: getattr(old, name) for name in _FIXED})
