"""How MultiProxy itself is: for the dashboard, in sentences where something is wrong."""

import re
import time
from collections.abc import Iterator

from multiproxy.config import Config
from multiproxy.config.show import as_yaml
from multiproxy.scoreboard import WORKERS, Scoreboard, WorkerRow, WorkerState
from multiproxy.supervisor.dashboard.views import HealthView
from multiproxy.supervisor.history.history import History
from multiproxy.supervisor.log import Log
from multiproxy.supervisor.pressure_watch import problem
from multiproxy.supervisor.rollout import Rollout
from multiproxy.supervisor.stats import Stats
from multiproxy.supervisor.watch import Watch
from multiproxy.supervisor.workers import Workers

# Where settings come from is the command line's to tell: it has read the file.
_DEFAULTS = re.compile(r" *# (?:default|derived)$", re.MULTILINE)
STUCK_S = 10.0  # a worker whose loop did not turn for so long is worth a word


class Vitals:
    """Looks at everything, changes nothing. ``started_at`` is monotonic seconds."""

    def __init__(
        self,
        board: Scoreboard,
        workers: Workers,
        rollout: Rollout,
        stats: Stats,
        log: Log,
        config_path: str,
        api_url: str,
        started_at: float,
        history: History | None = None,
        watch: Watch | None = None,
    ) -> None:
        self._board = board
        self._workers = workers
        self._rollout = rollout
        self._stats = stats
        self._log = log
        self._config_path = config_path
        self._api_url = api_url
        self._started_at = started_at
        self._shown: tuple[Config, str] | None = None
        self._history = history
        self._watch = watch

    def view(self) -> HealthView:
        serving = self._workers.serving()
        current = self._rollout.current
        return HealthView(
            uptime_s=time.monotonic() - self._started_at,
            workers_serving=serving,
            workers_total=sum(len(each.workers) for each in self._workers.generations),
            config_path=self._config_path,
            api_url=self._api_url,
            ready=serving > 0,
            loaded_at=current.loaded_at if current else None,
            reload_error=self._rollout.error,
            problems=tuple(self._problems()),
            config_text=self._text_of(current.config) if current else "",
            history_path=str(self._history.path) if self._history else "",
            history_bytes=self._history.size if self._history else 0,
            lag_s=max((row.lag_ns for row in self._serving_rows()), default=0) / 1e9,
        )

    def _text_of(self, config: Config) -> str:
        """Asked for at every look, made once for each configuration."""
        if self._shown is None or self._shown[0] is not config:
            self._shown = config, _DEFAULTS.sub("", as_yaml(config, {}))
        return self._shown[1]

    def _serving_rows(self) -> Iterator[WorkerRow]:
        rows = (self._board.workers[index] for index in range(WORKERS))
        return (row for row in rows if row.state is WorkerState.SERVING)

    def _problems(self) -> Iterator[str]:
        now_ns = time.monotonic_ns()
        for row in self._serving_rows():
            stuck_s = (now_ns - row.beat_ns) / 1e9
            if row.beat_ns and stuck_s > STUCK_S:
                yield f"worker {row.index} has not answered for {stuck_s:.0f} s"
            if short := problem(row):
                yield short
        current = self._rollout.current
        if current is not None and current.config.capture is not None:
            yield "prompts and answers are being kept in files: capture is on"
        if self._watch is not None and self._watch.panic:
            yield self._watch.panic
        if self._stats.lost:
            yield f"{self._stats.lost} finished requests were not recorded"
        if self._history is not None and self._history.problem:
            yield f"The history cannot be written: {self._history.problem} ({self._history.path})"
        if self._history is not None and self._history.dropped:
            yield f"{self._history.dropped} finished requests are missing from the history"
        rows = (self._board.workers[index] for index in range(WORKERS))
        dropped = self._log.dropped + sum(row.log_dropped for row in rows)
        if dropped:
            yield f"{dropped} log lines were dropped: whoever reads the log is too slow"
