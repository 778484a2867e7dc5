"""Worker processes: started in generations, watched, replaced when they die, drained.

A generation is the set of workers that run one configuration. On reload a new generation starts
on the same listening socket; when all of it serves, the old one is drained. Everything happens in
``tick`` and when a process was reaped: no tasks, so a test drives it with a clock of its own.
"""

import os
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import Enum

from multiproxy.scoreboard import WORKERS, Scoreboard, WorkerState
from multiproxy.supervisor import own_code
from multiproxy.supervisor.children import Children
from multiproxy.supervisor.descriptors import file_of
from multiproxy.supervisor.log import Log

COMMAND = own_code.command("multiproxy", "worker")

QUICK_DEATH_S = 2.0  # a worker that lived shorter is likely to die again
FIRST_BACKOFF_S = 0.25  # after the second quick death in a row; doubles
LONGEST_BACKOFF_S = 5.0
FAILED_STARTS = 3  # deaths of a generation that never served, after which a reload is given up
START_S = 30.0  # by then all of a new generation serve, or the reload is given up
KILL_GRACE_S = 5.0  # a drained worker gets this much longer than timeouts.drain to end


class NoFreeRows(Exception):
    """Draining generations hold too many rows of the scoreboard."""


class Stage(Enum):
    """Where a generation is in its life."""

    STARTING = "starting"
    SERVING = "serving"  # every worker served at least once
    DRAINING = "draining"
    ENDED = "ended"
    FAILED = "failed"  # it never served; its workers are told to end, the row set is given back


_NEXT = {
    Stage.STARTING: {Stage.SERVING, Stage.DRAINING, Stage.FAILED},
    Stage.SERVING: {Stage.DRAINING},
    Stage.DRAINING: {Stage.ENDED},
    Stage.FAILED: {Stage.ENDED},
    Stage.ENDED: set(),
}


@dataclass(slots=True)
class Worker:
    """One row of the scoreboard and the process that owns it, if any."""

    index: int
    process: "subprocess.Popen[bytes] | None" = None
    started_at: float = 0.0  # monotonic seconds
    quick_deaths: int = 0  # in a row
    restart_at: float | None = None


@dataclass(slots=True)
class Generation:
    """Workers of one configuration. Only ``Workers`` moves its stage."""

    number: int
    snapshot: bytes = field(repr=False)
    drain_s: float
    started_at: float
    workers: list[Worker] = field(default_factory=list)
    stage: Stage = Stage.STARTING
    deaths: int = 0
    kill_at: float | None = None

    def enter(self, stage: Stage) -> None:
        assert stage in _NEXT[self.stage], f"generation {self.number}: {self.stage} to {stage}"
        self.stage = stage

    @property
    def is_wanted(self) -> bool:
        """Whether a worker of it that dies is replaced."""
        return self.stage in (Stage.STARTING, Stage.SERVING)


class Workers:
    """Every generation that has not ended; ``clock`` gives monotonic seconds."""

    def __init__(
        self,
        board: Scoreboard,
        children: Children,
        log: Log,
        listener_fd: int,
        lifeline_fd: int,
        command: Sequence[str] = COMMAND,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.generations: list[Generation] = []
        self._board = board
        self._children = children
        self._log = log
        self._descriptors = (listener_fd, board.fd, lifeline_fd)
        self._command = tuple(command)
        self._clock = clock

    def start(self, number: int, count: int, snapshot: bytes, drain_s: float) -> Generation:
        """Start ``count`` workers as generation ``number``.

        Raises:
            NoFreeRows: too many workers of earlier generations still run.
        """
        taken = {worker.index for old in self.generations for worker in old.workers}
        free = [index for index in range(WORKERS) if index not in taken]
        if len(free) < count:
            raise NoFreeRows(f"{len(taken)} workers of earlier configurations still run")
        workers = [Worker(index) for index in free[:count]]
        generation = Generation(number, snapshot, drain_s, self._clock(), workers)
        self.generations.append(generation)
        for worker in workers:
            self._spawn(generation, worker)
        return generation

    def tick(self) -> None:
        """Restart whoever is due, notice who serves, end what drains too long."""
        now = self._clock()
        for generation in list(self.generations):
            if generation.stage is Stage.STARTING:
                self._judge_start(generation, now)
            for worker in generation.workers:
                if worker.restart_at is not None and worker.restart_at <= now:
                    self._spawn(generation, worker)
            if generation.kill_at is not None and generation.kill_at <= now:
                self._kill(generation)
            self._end_if_empty(generation)

    def drain(self, generation: Generation) -> None:
        """Ask its workers to finish; they are killed when ``drain_s`` and a grace have passed."""
        if generation.is_wanted:
            generation.enter(Stage.DRAINING)
            self._terminate(generation)

    def drain_all(self) -> None:
        for generation in list(self.generations):
            self.drain(generation)

    def hurry(self) -> None:
        """Tell all workers a second time: they end now."""
        for generation in self.generations:
            for worker in generation.workers:
                if worker.process is not None:
                    worker.process.terminate()

    def serving(self) -> int:
        """How many processes serve now."""
        states = (self._board.workers[index].state for index in range(WORKERS))
        return sum(state is WorkerState.SERVING for state in states)

    def _spawn(self, generation: Generation, worker: Worker) -> None:
        listener, board, lifeline = self._descriptors
        snapshot = file_of(generation.snapshot, "multiproxy-config")
        flags = {
            "--index": worker.index,
            "--listener": listener,
            "--scoreboard": board,
            "--snapshot": snapshot,
            "--lifeline": lifeline,
        }
        arguments = [str(part) for flag in flags.items() for part in flag]
        worker.restart_at = None
        worker.started_at = self._clock()
        try:
            worker.process = self._children.start(
                [*self._command, *arguments],
                (*self._descriptors, snapshot),
                lambda status: self._on_exit(generation, worker, status),
            )
        except OSError as error:
            self._log.error(f"worker {worker.index} cannot be started: {error}")
            worker.restart_at = self._clock() + LONGEST_BACKOFF_S
        finally:
            os.close(snapshot)

    def _on_exit(self, generation: Generation, worker: Worker, status: int) -> None:
        # The process was reaped: nobody else writes to its rows now.
        self._board.bury(worker.index)
        worker.process = None
        if generation.is_wanted:
            reason = f"signal {-status}" if status < 0 else f"exit status {status}"
            self._log.error(f"worker {worker.index} died ({reason}); starting another")
            generation.deaths += 1
            self._plan_restart(worker)

    def _plan_restart(self, worker: Worker) -> None:
        now = self._clock()
        if now - worker.started_at >= QUICK_DEATH_S:
            worker.quick_deaths = 0
        else:
            worker.quick_deaths += 1
        wait = 0.0
        if worker.quick_deaths > 1:
            wait = min(FIRST_BACKOFF_S * 2 ** (worker.quick_deaths - 2), LONGEST_BACKOFF_S)
        worker.restart_at = now + wait

    def _judge_start(self, generation: Generation, now: float) -> None:
        rows = [self._board.workers[worker.index] for worker in generation.workers]
        if all(row.state is WorkerState.SERVING for row in rows):
            generation.enter(Stage.SERVING)
            return
        late = now - generation.started_at >= START_S
        dying = generation.deaths >= FAILED_STARTS
        # Without another generation to fall back on, go on trying.
        if (late or dying) and any(old.stage is Stage.SERVING for old in self.generations):
            generation.enter(Stage.FAILED)
            self._terminate(generation)

    def _terminate(self, generation: Generation) -> None:
        generation.kill_at = self._clock() + generation.drain_s + KILL_GRACE_S
        for worker in generation.workers:
            worker.restart_at = None
            if worker.process is not None:
                worker.process.terminate()
        self._end_if_empty(generation)

    def _kill(self, generation: Generation) -> None:
        generation.kill_at = None
        for worker in generation.workers:
            if worker.process is not None:
                self._log.warning(f"worker {worker.index} did not end by itself; killing it")
                worker.process.kill()

    def _end_if_empty(self, generation: Generation) -> None:
        if generation.is_wanted or any(worker.process for worker in generation.workers):
            return
        if generation.stage is not Stage.ENDED:
            generation.enter(Stage.ENDED)
            self.generations.remove(generation)
