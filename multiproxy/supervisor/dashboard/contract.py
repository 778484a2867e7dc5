"""What the dashboard may ask of the running system; ``views`` are the answers.

A ``Provider`` copies them out of it. Calls are frequent (up to four times a second while
somebody looks), must not block and must not raise.
"""

from dataclasses import dataclass
from typing import Protocol

from multiproxy.supervisor.dashboard.views import (
    BackendView,
    ChangeView,
    EventView,
    FinishedView,
    HealthView,
    ModelView,
    Outcome,
    PulseView,
    RunningView,
    UsageView,
    WindowView,
)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to look for among finished exchanges; "" does not filter. Texts are exact, but ``q``
    is a part of id, key, model or client, in any case."""

    q: str = ""
    status: str = ""  # ok, failed, retried, left, rejected
    model: str = ""
    backend: str = ""
    key: str = ""
    before: tuple[float, str] | None = None  # end and id of an exchange: older ones

    def takes(self, x: FinishedView) -> bool:
        return (
            (self.before is None or (x.ended_at, x.id) < self.before)
            and self.takes_names(x)
            and self._takes_status(x)
        )

    def takes_names(self, x: FinishedView | RunningView) -> bool:
        if self.model and x.model != self.model:
            return False
        if self.backend and x.backend != self.backend:
            return False
        if self.key and x.key != self.key:
            return False
        needle = self.q.lower()
        texts = (x.id, x.key, x.model, x.client)
        return not needle or any(needle in text.lower() for text in texts)

    def _takes_status(self, x: FinishedView) -> bool:
        match self.status:
            case "ok":
                return x.outcome is Outcome.OK
            case "failed":
                return x.outcome.is_failure
            case "retried":
                return x.attempts > 1
            case "left":
                return x.outcome is Outcome.CLIENT_LEFT
            case "rejected":
                return x.outcome is Outcome.REJECTED
        return True


class Provider(Protocol):
    """Lists are fresh copies."""

    def backends(self) -> list[BackendView]:
        """In the order of the configuration, which is the order of every list and colour."""
        ...

    def changes(self, backend: str) -> list[ChangeView]:
        """The states that this run saw it in, oldest first, the last one is the present."""
        ...

    def models(self) -> list[ModelView]:
        """In the order of the configuration, or of the backends that report them."""
        ...

    def running(self) -> list[RunningView]:
        """Oldest first, so that rows do not move while they are looked at."""
        ...

    def finished(self, limit: int, since_s: float) -> list[FinishedView]:
        """Those that ended within the last ``since_s`` seconds, newest first, at most ``limit``."""
        ...

    async def stored(self, wanted: Wanted, limit: int) -> list[FinishedView]:
        """The newest ``limit`` that match, newest first, from the history: further back than
        ``finished`` and seconds behind it. Empty when it cannot be read."""

    async def stored_one(self, request_id: str) -> FinishedView | None: ...

    def pulse(self) -> PulseView: ...

    def window(self, name: str) -> WindowView:
        """``name`` is one of WINDOWS; the same object until it is made anew."""
        ...

    def usage(self, by: str, since: float) -> list[UsageView]:
        """Per hour and name since Unix time ``since``, oldest first; ``by`` is a USAGE_GROUP."""
        ...

    def metrics(self, live_streams: int, openmetrics: bool) -> str:
        """What Prometheus is told; ``live_streams`` dashboards are open."""
        ...

    def health(self) -> HealthView: ...

    def events(self) -> list[EventView]:
        """The recent ones, oldest first; at most some hundred."""
        ...
