"""The system at one moment: asked once, shared by every fragment of every viewer's page."""

from functools import cached_property

from multiproxy.supervisor.dashboard.minute import WINDOW_S, Minute
from multiproxy.supervisor.dashboard.views import (
    BackendView,
    FinishedView,
    HealthView,
    Phase,
    Provider,
    RunningView,
)

# Enough for 68 exchanges a second over the whole minute; above that the window gets shorter,
# never the numbers wrong (see ``Minute``'s ``span_s``).
MAX_FINISHED = 4096
RECENT_S = 300.0
FOREVER_S = 10 * 365 * 86400.0


class Snapshot:
    """Lazy: what no fragment asks for is never copied. ``now`` is Unix time."""

    def __init__(self, provider: Provider, now: float) -> None:
        self._provider = provider
        self.now = now

    @cached_property
    def backends(self) -> list[BackendView]:
        return self._provider.backends()

    @cached_property
    def running(self) -> list[RunningView]:
        return self._provider.running()

    @cached_property
    def finished(self) -> list[FinishedView]:
        return self._provider.finished(MAX_FINISHED, WINDOW_S)

    @cached_property
    def recent(self) -> list[FinishedView]:
        """The last minutes, for what a single one has too few samples of."""
        return self._provider.finished(MAX_FINISHED, RECENT_S)

    def history(self, limit: int) -> list[FinishedView]:
        """The newest ``limit`` there are, however long ago they ended."""
        return self._provider.finished(limit, FOREVER_S)

    @cached_property
    def health(self) -> HealthView:
        return self._provider.health()

    @cached_property
    def minute(self) -> Minute:
        return Minute(self.running, self.finished, self.now, MAX_FINISHED)

    @cached_property
    def queued(self) -> list[RunningView]:
        return [x for x in self.running if x.phase is Phase.QUEUED]
