"""The dashed lines of a chart: when a backend went down or came up, when a reload was done."""

from collections.abc import Sequence
from dataclasses import dataclass

from multiproxy.supervisor.dashboard.views import EventView, Window

MOST = 12  # lines: more are a grid and not events
LABEL_WIDTH = 20.0  # percent of the chart's width
LABEL_CHARACTERS = 20
LATE = 80.0  # percent: from here on a label stands to the left of its line


@dataclass(frozen=True, slots=True)
class EventLine:
    """``x`` in percent of the width; ``label`` is "" where another one already stands."""

    x: float
    at: float
    kind: str
    text: str
    label: str

    @property
    def is_late(self) -> bool:
        return self.x >= LATE


def of(events: Sequence[EventView], window: Window, now: float) -> list[EventLine]:
    """The newest lines that fall into ``window``, oldest first; the newest are labelled first."""
    # As still as the curves they stand beside: those are made anew every ``refresh_s``.
    step = window.refresh_s or 1.0
    end = now // step * step
    found: list[EventLine] = []
    taken: list[float] = []  # left edges of the labels so far
    for event in reversed(events):
        x = min(round(100 * (1 - (end - event.at) / window.span_s), 1), 100.0)
        if not event.mark or x < 0:
            continue
        left = x - LABEL_WIDTH if x >= LATE else x
        has_room = all(abs(left - other) >= LABEL_WIDTH for other in taken)
        if has_room:
            taken.append(left)
        label = _short(event.mark) if has_room else ""
        found.append(EventLine(x, event.at, event.kind, event.mark, label))
        if len(found) == MOST:
            break
    return found[::-1]


def _short(text: str) -> str:
    return text if len(text) <= LABEL_CHARACTERS else f"{text[: LABEL_CHARACTERS - 1]}…"
