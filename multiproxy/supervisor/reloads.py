"""Which configuration is in use: the first one, those of reloads, and what DNS makes of them."""

import asyncio
from collections.abc import Callable
from dataclasses import replace

from multiproxy.config import Config, ConfigError, Problem, exposures
from multiproxy.config.discovered import expand, sought
from multiproxy.errors import BadCertificate
from multiproxy.supervisor.backend_rows import TooManyBackends
from multiproxy.supervisor.config_file import ConfigFile
from multiproxy.supervisor.descriptors import CannotListen
from multiproxy.supervisor.discovery import Discovery
from multiproxy.supervisor.key_rows import TooManyKeys
from multiproxy.supervisor.log import Log
from multiproxy.supervisor.rollout import Rollout
from multiproxy.supervisor.workers import NoFreeRows

FIRST_LOOKUP_S = 2.0  # how long the start waits for DNS
LOOKUPS_S = 2.0  # between two generations that DNS asks for
FULL_S = 30.0  # until the next try when draining workers left no room for one
_FIXED = ("listen", "dashboard", "log", "history", "metrics")  # until a restart
_DOES_NOT_FIT = (CannotListen, NoFreeRows, TooManyBackends, TooManyKeys, BadCertificate)


class Reloads:
    """Begins generations, one at a time; ``load`` reads the configuration again.

    ``count`` tells how many workers a configuration wants, ``is_ending`` that none begins any
    more. ``wake`` has ``tick`` called soon. ``file`` is the configuration's when it is watched.
    """

    def __init__(
        self,
        first: Config,
        path: str,
        load: Callable[[], Config],
        rollout: Rollout,
        discovery: Discovery,
        log: Log,
        *,
        count: Callable[[Config], int],
        is_ending: Callable[[], bool],
        wake: Callable[[], None],
        file: ConfigFile | None,
    ) -> None:
        self._first = first  # what needs a restart stays as it is in there
        self._loaded = first  # the newest that serves, before DNS had its say
        self._path = path
        self._load = load
        self._rollout = rollout
        self._discovery = discovery
        self._log = log
        self._count = count
        self._is_ending = is_ending
        self._wake = wake
        self._file = file
        self._is_wanted = False
        self._waiting: list[asyncio.Future[str]] = []  # who wants to know how it went
        self._roll_at = 0.0

    async def start(self) -> None:
        """Begin the first generation.

        Raises: see `Rollout.begin`.
        """
        self._discovery.follow(sought(self._first))
        await self._discovery.first(FIRST_LOOKUP_S)
        self._begin(self._first)

    def want(self) -> None:
        """Reload as soon as the generation before serves."""
        if not self._is_ending():
            self._is_wanted = True
            self._wake()

    async def reload(self) -> str:
        """Reload, and wait until the new configuration serves or was given up.

        Returns what was wrong, "" when nothing was.
        """
        if self._is_ending():
            return "MultiProxy is shutting down"
        told: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._waiting.append(told)
        self.want()
        return await told

    def tick(self, now: float) -> None:
        """Begin what is wanted and tell who waits; ``now`` is monotonic seconds."""
        if self._file is not None and self._file.has_changed():
            self._log.info(f"{self._path} changed")
            self.want()
        if self._is_wanted and self._rollout.next is None:
            self._is_wanted = False
            self._reload()
        self._tell()
        if self._discovery.has_changed and now >= self._roll_at:
            self._roll_out_found(now)

    def _tell(self) -> None:
        over = self._is_ending()
        if (self._is_wanted or self._rollout.next is not None) and not over:
            return
        waiting, self._waiting = self._waiting, []
        for told in waiting:
            if not told.done():  # who asked may have left
                told.set_result("MultiProxy is shutting down" if over else self._rollout.error)

    def _reload(self) -> None:
        """Start a generation for the file as it is now; a bad file changes nothing."""
        try:
            config = self._unmoved(self._load())
            _refuse_exposure(config, self._path)
            self._begin(config)
        except ConfigError as error:
            for problem in error.problems:
                where = f"{error.name}:{problem.line}:{problem.column}"
                self._log.error(f"reload: {where}: {problem.message}")
            self._rollout.error = f"{error.name}: {error.problems[0].message}"
        except _DOES_NOT_FIT as error:
            self._log.error(f"reload: {error}")
            self._rollout.error = str(error)

    def _roll_out_found(self, now: float) -> None:
        """Start a generation because DNS has other servers than before."""
        if self._rollout.next is not None or self._is_ending():
            return
        self._roll_at = now + LOOKUPS_S
        try:
            self._begin(self._loaded)
        except _DOES_NOT_FIT as error:
            self._roll_at = now + FULL_S
            self._log.warning(f"the servers found by DNS have to wait: {error}")

    def _begin(self, config: Config) -> None:
        """Start a generation for ``config`` with the servers that DNS has now.

        Raises: see `Rollout.begin`.
        """
        self._rollout.begin(expand(config, self._discovery.places), self._count(config))
        self._loaded = config
        self._discovery.taken()
        self._discovery.follow(sought(config))

    def _unmoved(self, config: Config) -> Config:
        """``config`` with the settings that need a restart left alone, and a word about it."""
        for name in _FIXED:
            if getattr(config, name) != getattr(self._first, name):
                self._log.warning(
                    f"reload: '{name}' changed; that needs a restart, the old value stays"
                )
        return replace(config, **{name: getattr(self._first, name) for name in _FIXED})


def _refuse_exposure(config: Config, path: str) -> None:
    """The file may be fine for its own addresses, and open those that stay.

    Raises:
        ConfigError: it would.
    """
    problems = [Problem(0, 0, message, hint) for _, message, hint in exposures(config)]
    if problems:
        raise ConfigError(problems, path)
