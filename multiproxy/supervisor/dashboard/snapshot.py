"""The system at one moment: asked once, shared by every fragment of every viewer's page."""

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import TypeVar, cast

from multiproxy.supervisor.dashboard.contract import Provider
from multiproxy.supervisor.dashboard.feed import Look
from multiproxy.supervisor.dashboard.views import (
    BackendView,
    ChangeView,
    EventView,
    FinishedView,
    HealthView,
    ModelView,
    Phase,
    PulseView,
    RunningView,
    UsageView,
    WindowView,
)

T = TypeVar("T")

MAX_FINISHED = 8192  # all there are
MINUTE_S = 60.0
FOREVER_S = 10 * 365 * 86400.0


class Snapshot:
    """Lazy: what no fragment asks for is never copied. ``now`` is Unix time."""

    def __init__(
        self,
        provider: Provider,
        now: float,
        stored: Callable[[Look], Sequence[FinishedView]] = lambda look: (),
    ) -> None:
        """``stored`` tells what was fetched from the history for a look."""
        self._provider = provider
        self.stored = stored
        self._windows: dict[str, WindowView] = {}
        self._made: dict[object, object] = {}
        self.now = now

    @cached_property
    def backends(self) -> list[BackendView]:
        return self._provider.backends()

    def changes(self, backend: str) -> list[ChangeView]:
        return self._provider.changes(backend)

    @cached_property
    def models(self) -> list[ModelView]:
        return self._provider.models()

    @cached_property
    def running(self) -> list[RunningView]:
        return self._provider.running()

    @cached_property
    def finished(self) -> list[FinishedView]:
        """Those of the last minute."""
        return self._provider.finished(MAX_FINISHED, MINUTE_S)

    def since(self, span_s: float) -> list[FinishedView]:
        """Those of the last ``span_s`` seconds that are still kept one by one."""
        return self._provider.finished(MAX_FINISHED, span_s)

    def history(self, limit: int) -> list[FinishedView]:
        """The newest ``limit`` there are, however long ago they ended."""
        return self._provider.finished(limit, FOREVER_S)

    @property
    def events(self) -> list[EventView]:
        return self._provider.events()

    @cached_property
    def health(self) -> HealthView:
        return self._provider.health()

    @cached_property
    def pulse(self) -> PulseView:
        return self._provider.pulse()

    def window(self, name: str) -> WindowView:
        if name not in self._windows:
            self._windows[name] = self._provider.window(name)
        return self._windows[name]

    def usage(self, by: str, since: float) -> list[UsageView]:
        return self._provider.usage(by, since)

    def once(self, key: object, make: Callable[[], T]) -> T:
        """What ``make`` gives, made at most once per key for everybody who asks."""
        if key not in self._made:
            self._made[key] = make()
        return cast(T, self._made[key])

    @cached_property
    def queued(self) -> list[RunningView]:
        return [x for x in self.running if x.phase is Phase.QUEUED]
