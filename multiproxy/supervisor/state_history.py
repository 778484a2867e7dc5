"""What state each backend was in since this program was started, from one change to the next.

In memory only: a restart forgets it. Not each blip is there, as it looks once in a while.
"""

from collections import deque
from collections.abc import Iterable

from multiproxy.supervisor.dashboard.views import BackendView, ChangeView

MOST_CHANGES = 500  # of one backend
FORGOTTEN_S = 7 * 86_400.0  # a backend that nobody knows any more


class StateHistory:
    """``note`` is told what is so; ``of`` tells what was. Times are Unix seconds."""

    def __init__(self) -> None:
        self._changes: dict[str, deque[ChangeView]] = {}
        self._seen: dict[str, float] = {}

    def note(self, backends: Iterable[BackendView], now: float) -> None:
        for view in backends:
            if view.leaves:
                continue  # another one of that name may have come
            changes = self._changes.setdefault(view.id, deque(maxlen=MOST_CHANGES))
            if not changes or changes[-1].state is not view.state:
                changes.append(ChangeView(now, view.state, view.reason))
            self._seen[view.id] = now
        for id in [id for id, seen in self._seen.items() if now - seen > FORGOTTEN_S]:
            del self._seen[id], self._changes[id]

    def of(self, backend: str) -> list[ChangeView]:
        """Oldest first; the last one is the present."""
        return list(self._changes.get(backend, ()))
