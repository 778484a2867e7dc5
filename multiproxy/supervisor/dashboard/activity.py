"""The rows of the Activity list: what each exchange is called, and the drawing beside it."""

from collections.abc import Sequence
from dataclasses import dataclass

from multiproxy.supervisor.dashboard import figures, formats
from multiproxy.supervisor.dashboard.figures import Rect
from multiproxy.supervisor.dashboard.views import (
    FLOW_STEP_S,
    FinishedView,
    Outcome,
    Phase,
    RunningView,
)

WIDTH, HEIGHT = 240, 20  # viewBox of the timeline
SHOWN = 15  # finished rows on the first page
SHOWN_RUNNING = 40  # more than fit on any screen: four times a second, each row costs 0.2 ms
NEW_S = 1.6  # how long a row is new
MIN_FLOW_TOP = 4.0  # tokens per 200 ms: a slow stream must look slow


@dataclass(frozen=True, slots=True)
class RunningRow:
    view: RunningView
    tone: str  # class of the row: dec, pre, que, rec
    status: str
    figure: str  # "flow", "prefill" or "wait"
    path: str = ""
    rects: tuple[Rect, ...] = ()


@dataclass(frozen=True, slots=True)
class FinishedRow:
    view: FinishedView
    tone: str  # ok, retried, gone, failed
    status: str
    rects: tuple[Rect, ...]
    broke_at: float | None  # x of the red tick
    is_new: bool


def running_rows(running: Sequence[RunningView], patience_s: float = 60.0) -> list[RunningRow]:
    """``patience_s`` is the length of the waiting line's scale."""
    top = max([MIN_FLOW_TOP, *(1.15 * max(x.flow) for x in running if x.flow)])
    return [_running_row(x, top, patience_s) for x in running]


def _running_row(x: RunningView, flow_top: float, patience_s: float) -> RunningRow:
    if x.phase is Phase.DECODING:
        path = figures.flow(x.flow, flow_top, WIDTH, HEIGHT)
        return RunningRow(x, "dec", "Decoding", "flow", path)
    if x.phase is Phase.PREFILL:
        done = x.prefill_progress
        cached = min((x.cached_tokens or 0) / x.prompt_tokens, 1.0) if x.prompt_tokens else 0.0
        parts = [("cache", cached), ("prefill", max(0.0, (done or 0.0) - cached))]
        word = "Prefill" if done is None else f"Prefill {100 * done:.0f} %"
        return RunningRow(x, "pre", word, "prefill", "", _segments(parts, 1))
    waited = [("wait", min(x.elapsed_s, patience_s))]
    if x.phase is Phase.QUEUED:
        place = f", {formats.ordinal(x.queue_position)}" if x.queue_position else ""
        return RunningRow(x, "que", f"Queued{place}", "wait", "", _segments(waited, patience_s))
    word = "Receiving" if x.phase is Phase.RECEIVING else "Connecting"
    return RunningRow(x, "rec", word, "wait", "", _segments(waited, patience_s))


def finished_rows(
    finished: Sequence[FinishedView], now: float, limit: int = SHOWN
) -> list[FinishedRow]:
    """The newest ``limit``, with waterfalls on the scale of the longest of them."""
    shown = finished[:limit]
    scale = max([1.0, *(x.total_s for x in shown)])
    return [_finished_row(x, scale, now) for x in shown]


def _finished_row(x: FinishedView, scale: float, now: float) -> FinishedRow:
    tone, status = outcome_words(x)
    parts = waterfall(x)
    width = WIDTH - 3  # room for the tick
    rects = tuple(figures.segments(parts, scale, width))
    failed = x.outcome.is_failure
    broke_at = round(x.total_s / scale * width + 1.5, 1) if failed else None
    return FinishedRow(x, tone, status, rects, broke_at, now - x.ended_at < NEW_S)


def waterfall(x: FinishedView) -> list[tuple[str, float]]:
    """The parts of an exchange in time order; what no phase accounts for comes first.

    That rest is the body's arrival, connecting, and attempts that failed; after an answer that
    was not streamed it is what nobody timed, the decoding.
    """
    known = [("wait", x.queue_s), ("prefill", x.prefill_s or 0.0), ("decode", x.decode_s or 0.0)]
    rest = x.total_s - sum(amount for _, amount in known)
    if x.prefill_s is None and x.decode_s is None:
        return [known[0], ("rest", max(0.0, rest))]
    if x.decode_s is None and x.output_tokens:
        return [*known[:2], ("decode", max(0.0, rest))]
    return [("rest", rest if rest > 0.02 else 0.0), *known]


def outcome_words(x: FinishedView) -> tuple[str, str]:
    """Class and words of the status cell."""
    if x.outcome is Outcome.CLIENT_LEFT:
        words = {"cancelled_by_operator": "Cancelled", "mirror_made_way": "Made way"}
        return "gone", words.get(x.error, "Client left")
    if x.outcome is Outcome.OK:
        return ("retried", f"{x.status}, retried") if x.attempts > 1 else ("ok", str(x.status))
    words = {
        Outcome.TIMEOUT: "Timeout",
        Outcome.NO_BACKEND: "No backend",
        Outcome.BROKEN_STREAM: "Broken",
    }
    if word := words.get(x.outcome):
        return "failed", word
    return ("gone" if x.outcome is Outcome.REJECTED else "failed"), str(x.status)


def live_speed(x: RunningView) -> float | None:
    """Tokens per second now; a stream that just began has no speed yet."""
    if x.tokens_per_s is not None:
        return x.tokens_per_s
    recent = x.flow[-10:]
    return sum(recent) / (FLOW_STEP_S * len(recent)) if recent else None


def _segments(parts: Sequence[tuple[str, float]], scale: float) -> tuple[Rect, ...]:
    return tuple(figures.segments(parts, scale, WIDTH))
