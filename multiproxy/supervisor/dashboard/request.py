"""The page of one request: its numbers, where its time went, and who asked."""

from multiproxy.supervisor.dashboard import activity, reasons, timeline
from multiproxy.supervisor.dashboard.contract import Provider
from multiproxy.supervisor.dashboard.feed import Look
from multiproxy.supervisor.dashboard.requests import KEPT
from multiproxy.supervisor.dashboard.snapshot import Snapshot
from multiproxy.supervisor.dashboard.timeline import MIN_PART_S, Bar
from multiproxy.supervisor.dashboard.views import FinishedView, RunningView

Data = dict[str, object]

# The word for each part of the waterfall.
PARTS = {
    "rest": "receiving, connecting, failed tries",
    "wait": "waiting for a slot",
    "prefill": "prefill",
    "decode": "decode",
}
WHO = {"-": "", "C": "the client", "B": "the backend", "P": "MultiProxy"}


async def load(provider: Provider, snapshot: Snapshot, look: Look) -> list[FinishedView]:
    """The request from the history, when it is not in memory."""
    if _in_memory(snapshot, look) is not None:
        return []
    found = await provider.stored_one(_id_of(look))
    return [found] if found else []


def exists(snapshot: Snapshot, look: Look) -> bool:
    return find(snapshot, look) is not None


def detail(snapshot: Snapshot, look: Look) -> Data:
    """``ended`` or ``live`` is the request; neither when it was forgotten while shown."""
    found = find(snapshot, look)
    data: Data = {
        "live": None,
        "ended": None,
        "row": None,
        "bars": [],
        "ticks": [],
        "story": [],
        "first_token": [],
        "context": None,
    }
    if isinstance(found, RunningView):
        [row] = activity.running_rows([found])
        return data | {"live": found, "row": row, "speed": activity.live_speed(found)}
    if found is None:
        return data
    tone, words = activity.outcome_words(found)
    total = found.total_s or 1e-9
    return data | {
        "ended": found,
        "tone": tone,
        "words": words,
        "bars": timeline.rows(found) or _bars(found),
        "story": reasons.story(found),
        "first_token": timeline.until_first_token(found),
        "ticks": [total * i / 4 for i in range(5)],
        "context": _context(snapshot, found),
        "broke": _break(found),
        "blame": WHO.get(found.termination[:1], ""),
    }


def find(snapshot: Snapshot, look: Look) -> RunningView | FinishedView | None:
    found = _in_memory(snapshot, look)
    return found or next(iter(snapshot.stored(look)), None)


def _id_of(look: Look) -> str:
    return dict(look.query).get("id", "")


def _in_memory(snapshot: Snapshot, look: Look) -> RunningView | FinishedView | None:
    wanted = _id_of(look)
    for running in snapshot.running:
        if running.id == wanted:
            return running
    for limit in (256, KEPT):  # the newest are the most wanted
        for finished in snapshot.history(limit):
            if finished.id == wanted:
                return finished
    return None


def _bars(x: FinishedView) -> list[Bar]:
    """Without attempts: what is known of its phases."""
    bars, begin = [], 0.0
    for kind, seconds in activity.waterfall(x):
        if seconds >= MIN_PART_S:
            share = 100 * seconds / x.total_s
            title = PARTS[kind]
            if kind == "prefill" and x.prompt_tokens is not None:
                title = f"prefill, {x.prompt_tokens - (x.cached_tokens or 0):,} tokens"
            if kind == "decode" and x.output_tokens is not None:
                title = f"decode, {x.output_tokens:,} tokens"
            if kind == "rest" and x.prefill_s is None and x.decode_s is None:
                title = "in flight"
            bars.append(Bar(kind, title, round(begin, 2), round(max(share, 0.15), 2), seconds))
            begin += share
    return bars


def _break(x: FinishedView) -> str:
    """Where the prompt left what the conversation had said, and what that cost."""
    last = x.path[-1] if x.path else None
    if last is None or not last.broke_at:
        return ""
    return f"at {last.broke_at}: {last.reread_tokens:,} tokens were read again"


def _context(snapshot: Snapshot, x: FinishedView) -> tuple[int, int] | None:
    """Tokens used, and how many the backend's slots hold."""
    sizes = {b.id: b.context_size for b in snapshot.backends}
    size = sizes.get(x.backend)
    if not size or x.prompt_tokens is None:
        return None
    return x.prompt_tokens + (x.output_tokens or 0), size
