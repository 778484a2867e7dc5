"""The life of a server that we start: when it is run, ended, and tried again. Pure.

``Life`` is told what is so (``Scene``) and what happened to its process, and says what to do.
Requests wait while a server is on its way; they are refused while its command is known to fail,
which is not tried again before a pause.
"""

from dataclasses import dataclass
from enum import Enum

from multiproxy.scoreboard import BackendState
from multiproxy.supervisor.verdict import Standing

LINGER_S = 0.5  # idle for so long before it makes way: the gap between two requests is no idleness
PATIENCE_S = 30.0  # who waits for its place waits at most so long for such a moment
GRACE_S = 0.25  # between its last request and its end: workers have seen that it takes none
KILL_S = 10.0  # from the polite signal to the other one
STEADY_S = 10.0  # who lived so long did not die of its start
FIRST_PAUSE_S = 1.0  # before a command that failed is tried again; doubles
LONGEST_PAUSE_S = 60.0
HOPEFUL = 2  # failures in a row after which requests no longer wait for who had run before


class Stage(Enum):
    """Where a server is in its life."""

    STOPPED = "stopped"
    STARTING = "starting"  # its process runs and is not ready
    RUNNING = "running"
    LEAVING = "leaving"  # gets no new requests, finishes those it has
    STOPPING = "stopping"  # was told to end
    BROKEN = "broken"  # ended unasked; waits for the next try


_NEXT = {
    Stage.STOPPED: {Stage.STARTING, Stage.BROKEN},
    Stage.STARTING: {Stage.RUNNING, Stage.STOPPING, Stage.BROKEN},
    Stage.RUNNING: {Stage.LEAVING, Stage.STOPPING, Stage.BROKEN},
    Stage.LEAVING: {Stage.RUNNING, Stage.STOPPING, Stage.STOPPED},
    Stage.STOPPING: {Stage.STOPPED, Stage.BROKEN},
    Stage.BROKEN: {Stage.STARTING, Stage.STOPPED},
}
HAS_PROCESS = (Stage.STARTING, Stage.RUNNING, Stage.LEAVING, Stage.STOPPING)


class Order(Enum):
    """What to do with the process."""

    NOTHING = "nothing"
    START = "start"
    TERMINATE = "terminate"
    KILL = "kill"


@dataclass(frozen=True, slots=True)
class Scene:
    """What is so at one moment; times are monotonic seconds.

    ``rival_since``: since when a server is wanted that this one keeps from running.
    """

    now: float
    is_wanted: bool = False  # a request waits for it
    is_busy: bool = False  # it has requests
    is_ready: bool = False  # it answered that its model is loaded
    is_held: bool = False  # drained by an operator
    is_retired: bool = False  # it left the configuration
    is_always: bool = False
    may_start: bool = True  # nobody that excludes it runs
    rival_since: float | None = None
    ttl_s: float | None = None
    load_s: float = 600.0


class Life:
    """One server. ``reason`` is why it does not run, in words; "" when nothing is wrong."""

    def __init__(self, now: float) -> None:
        self.stage = Stage.STOPPED
        self.since = now
        self.reason = ""
        self.starts = 0
        self.deaths = 0  # unasked ends
        self._failures = 0  # in a row
        self._retry_at = 0.0
        self._revives = False  # it ran and died: it is started again though nobody asks
        self._is_late = False  # it is told to end because it did not get ready in time
        self._busy_at = self._used_at = now  # used: busy, or wanted
        self._last_seen = ""  # by checks, why it is not ready
        self._told_at = 0.0  # when it was told to end

    def tick(self, scene: Scene) -> Order:
        """What is to be done now. A START must be followed by ``exited`` some day."""
        if scene.is_busy:
            self._busy_at = scene.now
        if scene.is_busy or scene.is_wanted:
            self._used_at = scene.now
        match self.stage:
            case Stage.STOPPED:
                return self._stopped(scene)
            case Stage.BROKEN:
                return self._broken(scene)
            case Stage.STARTING:
                return self._starting(scene)
            case Stage.RUNNING:
                return self._running(scene)
            case Stage.LEAVING:
                return self._leaving(scene)
            case Stage.STOPPING:
                return self._stopping(scene)

    @property
    def is_asked(self) -> bool:
        """Whether there is somebody to answer checks."""
        return self.stage in (Stage.STARTING, Stage.RUNNING)

    @property
    def is_hopeful(self) -> bool:
        """Whether it died, and requests may wait for its next start."""
        return self.stage is Stage.BROKEN and self._revives and self._failures <= HOPEFUL

    @property
    def has_process(self) -> bool:
        return self.stage in HAS_PROCESS

    def dismiss(self, now: float) -> Order:
        """Nobody knows it any more: it ends, whatever it does."""
        if not self.has_process or self.stage is Stage.STOPPING:
            return Order.NOTHING
        return self._end(now)

    def exited(self, now: float, reason: str, *, was_ready: bool = False) -> None:
        """Its process is gone, or could not be made; ``reason`` tells how it ended.

        ``was_ready`` tells that checks had found it ready: it may have died before the next tick.
        """
        lived_s = now - self.since
        if was_ready and self.stage is Stage.STARTING:
            self._enter(Stage.RUNNING, now)
        asked = self.stage in (Stage.LEAVING, Stage.STOPPING)
        if asked and not self._is_late:
            self._enter(Stage.STOPPED, now)
            return
        if self.stage is Stage.RUNNING:
            self._revives = True
            if lived_s >= STEADY_S:
                self._failures = 0
        elif self.stage is Stage.STARTING and self._revives and self._failures > 1:
            self._revives = False  # it will not come back by itself: the next request may try
        self.deaths += 1
        if not self._is_late:
            self.reason = reason
        self._is_late = False
        self._failures += 1
        was_steady = self.stage is Stage.RUNNING and self._failures == 1
        pause_s = min(FIRST_PAUSE_S * 2 ** (self._failures - 1), LONGEST_PAUSE_S)
        self._retry_at = now + (0.0 if was_steady else pause_s)
        self._enter(Stage.BROKEN, now)

    def overrule(self, seen: Standing) -> Standing:
        """What the backend is, if checks say ``seen`` of it; with no process nobody was asked."""
        match self.stage:
            case Stage.STARTING:
                self._last_seen = seen.reason
                # Nobody answers before it listens; who answers and refuses us will go on to.
                if seen.state is BackendState.UNCHECKED or seen.misses:
                    return Standing(BackendState.LOADING, "its command was started")
                return seen
            case Stage.RUNNING:
                return seen
            case Stage.BROKEN if self.is_hopeful:
                return Standing(BackendState.LOADING, self.reason)
            case Stage.BROKEN:
                return Standing(BackendState.DOWN, self.reason)
            case Stage.STOPPING if self._is_late:
                return Standing(BackendState.DOWN, self.reason)
        return Standing(BackendState.STOPPED, "its command is run when a request waits for it")

    # -- by stage ----------------------------------------------------------------------------

    def _stopped(self, scene: Scene) -> Order:
        wants = scene.is_wanted or (scene.is_always and not scene.is_retired)
        return self._start(scene) if wants else Order.NOTHING

    def _broken(self, scene: Scene) -> Order:
        if scene.now < self._retry_at:
            return Order.NOTHING
        if self._revives and not (scene.is_held or scene.is_retired) and scene.may_start:
            return self._start(scene)
        if not scene.is_always or scene.is_held or scene.is_retired or not scene.may_start:
            self._revives = False
            self._enter(Stage.STOPPED, scene.now)
            return Order.NOTHING
        return self._start(scene)

    def _start(self, scene: Scene) -> Order:
        if scene.is_held or not scene.may_start:
            return Order.NOTHING
        self.starts += 1
        self._last_seen = ""
        self._used_at = scene.now
        self._enter(Stage.STARTING, scene.now)
        return Order.START

    def _starting(self, scene: Scene) -> Order:
        if scene.is_ready:
            self.reason = ""
            self._revives = False
            self._used_at = scene.now
            self._enter(Stage.RUNNING, scene.now)
        elif scene.now - self.since >= scene.load_s:
            self._is_late = True
            self.reason = f"its command was not ready within {scene.load_s:g} s"
            if self._last_seen:
                self.reason += f": {self._last_seen}"
            return self._end(scene.now)
        elif scene.is_held:
            return self._end(scene.now)
        return Order.NOTHING

    def _running(self, scene: Scene) -> Order:
        if scene.now - self.since >= STEADY_S:
            self._failures = 0
        idle_s = scene.now - self._used_at
        ages = scene.ttl_s is not None and idle_s >= scene.ttl_s
        leaves = scene.is_held or scene.is_retired or scene.rival_since is not None
        impatient = False
        if scene.rival_since is not None:  # from its own first moment on: everyone has a turn
            impatient = scene.now - max(scene.rival_since, self.since) >= PATIENCE_S
        if ages or (leaves and idle_s >= LINGER_S) or impatient:
            self._enter(Stage.LEAVING, scene.now)
        return Order.NOTHING

    def _leaving(self, scene: Scene) -> Order:
        """A ttl that a request crossed is no reason any more; the others are."""
        leaves = scene.is_held or scene.is_retired or scene.rival_since is not None
        if not leaves and (scene.is_busy or scene.is_wanted):
            self._enter(Stage.RUNNING, scene.now)
        elif not scene.is_busy and scene.now - max(self._busy_at, self.since) >= GRACE_S:
            return self._end(scene.now)
        return Order.NOTHING

    def _stopping(self, scene: Scene) -> Order:
        if scene.now - self._told_at < KILL_S:
            return Order.NOTHING
        self._told_at = scene.now
        return Order.KILL

    def _end(self, now: float) -> Order:
        self._told_at = now
        self._enter(Stage.STOPPING, now)
        return Order.TERMINATE

    def _enter(self, stage: Stage, now: float) -> None:
        assert stage in _NEXT[self.stage], f"{self.stage} to {stage}"
        self.stage = stage
        self.since = now
