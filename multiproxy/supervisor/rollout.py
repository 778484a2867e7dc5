"""From a configuration to a serving generation of workers, and from there to the next one.

``begin`` gives every backend a row, starts its simulated server and its probe, and starts the
workers. ``tick`` promotes a generation once all of it serves, only then drains the one before,
and clears up after those that have ended.
"""

import time
from dataclasses import dataclass, replace

from multiproxy._http.tls import backend_context, server_context
from multiproxy.config import Backend, Config, Url, encode
from multiproxy.supervisor.backend_rows import BackendRows, Row
from multiproxy.supervisor.capture_folder import CaptureFolder
from multiproxy.supervisor.key_rows import KeyRows
from multiproxy.supervisor.log import Log
from multiproxy.supervisor.managed import ManagedServers
from multiproxy.supervisor.simulated import SimulatedServers
from multiproxy.supervisor.watch import Watch
from multiproxy.supervisor.workers import Generation, Stage, Workers


@dataclass(frozen=True, slots=True)
class Deployment:
    """One configuration and what runs it. ``loaded_at`` is Unix time in seconds."""

    config: Config
    generation: Generation
    rows: tuple[Row, ...]
    loaded_at: float


class Rollout:
    """``current`` serves; ``next`` is on its way to take over."""

    def __init__(
        self,
        workers: Workers,
        rows: BackendRows,
        keys: KeyRows,
        simulated: SimulatedServers,
        managed: ManagedServers,
        watch: Watch,
        log: Log,
        responses_path: str = "",
        traces: float | None = None,
        captures_path: str = "",
    ) -> None:
        self.current: Deployment | None = None
        self.next: Deployment | None = None
        self.error = ""  # first line of why the last reload failed; empty when it went well
        self._workers = workers
        self._rows = rows
        self._keys = keys
        self._simulated = simulated
        self._managed = managed
        self._watch = watch
        self._responses_path = responses_path  # of the stored responses all workers share
        self._captures = CaptureFolder(captures_path, log)
        self._traces = traces  # the share of requests whose traces are recorded
        self._log = log
        self._numbers = 0
        self._known: set[int] = set()  # generations whose rows are not given back yet

    def begin(self, config: Config, worker_count: int) -> None:
        """Start a generation for ``config``.

        Raises:
            NoFreeRows, TooManyBackends, TooManyKeys, CannotListen: it does not fit; nothing has
                changed.
            BadCertificate: a file of the configuration cannot be used; nothing has changed.
        """
        assert self.next is None
        check_certificates(config)
        number = self._numbers + 1
        rows = self._rows.assign(config.backends, number)
        try:
            urls = {row.index: self._url_of(row) for row in rows}
            for row in rows:
                server = self._managed.get(row.index)
                self._watch.start(row, urls[row.index], server.life if server else None)
            extra = {
                "generation": number,
                "workers": worker_count,
                "backends": {row.id: row.index for row in rows},
                "keys": self._keys.assign((key.name for key in config.keys), number),
                "urls": {row.id: str(urls[row.index]) for row in rows if row.backend.url is None},
                "replica_of": self._keys.replica_of,
                "traces": self._traces,
                "responses": self._responses_path if config.store_responses else "",
                "captures": self._captures.make(config.capture),
            }
            # The dashboard's password is not for workers, nor is what a command is told.
            backends = tuple(map(_without_arguments, config.backends))
            told = replace(config, dashboard=None, backends=backends)
            generation = self._workers.start(
                number, worker_count, encode(told, extra), config.timeouts.drain
            )
        except BaseException:
            self._release(number)
            raise
        self._managed.load_s = config.timeouts.load
        self._numbers = number
        self._known.add(number)
        self.next = Deployment(config, generation, tuple(rows), time.time())
        if self.current is None:  # the first: show it before it serves
            self._rows.make_current(rows, number)

    def tick(self) -> None:
        """Promote, give up, clear up."""
        if self.next is not None and self.next.generation.stage is Stage.SERVING:
            self._promote(self.next)
        elif self.next is not None and self.next.generation.stage is Stage.FAILED:
            self.error = "the new workers did not start; the old ones go on"
            self._log.error(f"reload: {self.error}")
            self.next = None
        alive = {generation.number for generation in self._workers.generations}
        for number in self._known - alive:
            self._release(number)
        self._known &= alive

    def _promote(self, following: Deployment) -> None:
        before, self.current, self.next = self.current, following, None
        self._rows.make_current(following.rows, following.generation.number)
        self._captures.serve(following.config.capture)
        if before is None:
            count = len(following.generation.workers)
            self._log.info(f"ready: {count} worker{'' if count == 1 else 's'} serving")
        else:
            self.error = ""
            self._workers.drain(before.generation)
            count = len(following.rows)
            text = f"configuration loaded: {count} backend{'' if count == 1 else 's'}"
            self._log.info(text, mark="reload")

    def _url_of(self, row: Row) -> Url:
        if row.backend.command:
            return self._managed.url_of(row)
        return row.backend.url or self._simulated.url_of(row)

    def _release(self, number: int) -> None:
        self._keys.release(number)
        for row in self._rows.release(number):
            self._watch.stop(row)
            self._simulated.stop(row.index)
            self._managed.stop(row.index)


def _without_arguments(backend: Backend) -> Backend:
    return replace(backend, command=backend.command[:1], env=()) if backend.command else backend


def check_certificates(config: Config) -> None:
    """Read what workers and probes will read, so that a mistake is told before they start.

    Raises:
        BadCertificate: a file cannot be used.
    """
    if config.tls is not None:
        server_context(config.tls.cert, config.tls.key)
    for backend in config.backends:
        if backend.url is not None and backend.tls is not None:
            backend_context(backend.tls, backend.url)
