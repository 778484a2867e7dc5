"""Where the time of one request went: a group of bars for each attempt, gaps included."""

from collections.abc import Iterator
from dataclasses import dataclass

from multiproxy.supervisor.dashboard.views import AttemptView, FinishedView

MIN_PART_S = 0.001  # a shorter one is no part of the story
MIN_DEFERRED_S = 0.02  # below this it is the network, not a backend that lets it wait
MIN_WORDED_S = 0.01
MIN_WIDTH = 0.15  # percent: too short to see is still drawn


@dataclass(frozen=True, slots=True)
class Bar:
    """One row of the timeline; ``x``, ``width`` and ``broke_at`` in percent of the whole."""

    kind: str
    title: str
    x: float
    width: float
    seconds: float
    is_group: bool = False  # the head of an attempt
    broke_at: float | None = None


def rows(x: FinishedView) -> list[Bar]:
    """The bars of every attempt; empty when the attempts of ``x`` are not known."""
    if not x.path:
        return []
    bars: list[Bar] = []
    begin = max(0.0, x.path[0].chosen_s - x.path[0].waited_s)
    if begin >= MIN_PART_S:
        bars.append(_bar(x, "rest", "receiving the request", 0.0, begin))
    for number, attempt in enumerate(x.path, 1):
        begin = max(0.0, attempt.chosen_s - attempt.waited_s)
        title = f"Attempt {_number(x, number)} · {attempt.backend or 'unknown backend'}"
        bars.append(_bar(x, "rail", title, begin, attempt.ended_s, is_group=True))
        parts = list(_parts(x, attempt, begin))
        for place, (kind, words, start, end) in enumerate(parts):
            broke = attempt.error and place == len(parts) - 1
            words += ", then it failed" if broke else ""
            bars.append(_bar(x, kind, words, start, end, broke_at=end if broke else None))
    after = x.path[-1].ended_s
    if x.total_s - after >= MIN_PART_S:
        waiting = x.path[-1].error and x.queue_s
        words = "waiting for another backend" if waiting else "finishing"
        bars.append(_bar(x, "wait" if waiting else "rest", words, after, x.total_s))
    return bars


def until_first_token(x: FinishedView) -> list[tuple[str, float]]:
    """What the time to the first token was spent on: words and seconds, the parts worth a word."""
    if not x.path or x.ttft_s is None:
        return []
    failed = sum(each.ended_s - each.chosen_s for each in x.path if each.was_retried)
    last = x.path[-1]
    known = last.first_s is not None and last.sent_s is not None
    prefill = last.first_s - last.sent_s if known else 0.0  # type: ignore[operator]
    parts = (("failed try", failed), ("queue", x.queue_s), ("prefill", prefill))
    return [(words, seconds) for words, seconds in parts if seconds >= MIN_WORDED_S]


def _number(x: FinishedView, place: int) -> int:
    """Attempts between the first ones and the last may have been left out."""
    return x.attempts if place == len(x.path) and not x.path[-1].was_retried else place


def _parts(
    x: FinishedView, attempt: AttemptView, begin: float
) -> Iterator[tuple[str, str, float, float]]:
    """(kind, words, start, end) of one attempt in order of time; at least one."""
    found = list(_all_parts(x, attempt, begin))
    long = [part for part in found if part[3] - part[2] >= MIN_PART_S]
    yield from long or found[-1:]


def _all_parts(
    x: FinishedView, attempt: AttemptView, begin: float
) -> Iterator[tuple[str, str, float, float]]:
    yield "wait", "waiting for a slot", begin, attempt.chosen_s
    sent = attempt.sent_s
    if sent is None:
        yield "rest", "connecting", attempt.chosen_s, attempt.ended_s
        return
    yield "rest", "connecting", attempt.chosen_s, sent
    if attempt.was_retried:
        yield "prefill", "prefill", sent, attempt.ended_s
        return
    first = attempt.first_s
    if first is None:  # not streamed: the backend tells how long its prompt took
        if x.prefill_s is None:
            yield "rest", "in flight", sent, attempt.ended_s
            return
        first = min(sent + x.prefill_s, attempt.ended_s)
    deferred = first - sent - x.prefill_s if x.prefill_s is not None else 0.0
    if deferred >= MIN_DEFERRED_S:
        yield "rest", "waiting inside the backend", sent, sent + deferred
        sent += deferred
    processed = None if x.prompt_tokens is None else x.prompt_tokens - (x.cached_tokens or 0)
    yield "prefill", "prefill" + _tokens(processed), sent, first
    yield "decode", "decode" + _tokens(x.output_tokens), first, attempt.ended_s


def _tokens(count: int | None) -> str:
    return "" if count is None else f", {count:,} tokens"


def _bar(
    x: FinishedView,
    kind: str,
    title: str,
    start: float,
    end: float,
    *,
    is_group: bool = False,
    broke_at: float | None = None,
) -> Bar:
    whole = x.total_s or 1e-9
    at = min(100 * start / whole, 100 - MIN_WIDTH)
    width = max(100 * (end - start) / whole, MIN_WIDTH)
    broke = None if broke_at is None else round(min(100 * broke_at / whole, 100.0), 2)
    return Bar(
        kind,
        title,
        round(at, 2),
        round(min(width, 100 - at), 2),
        max(0.0, end - start),
        is_group,
        broke,
    )
