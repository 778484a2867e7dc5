"""Exchanges, running and finished, from the scoreboard's words into the dashboard's. Pure."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from itertools import pairwise

from multiproxy.routing.breaks import block_name
from multiproxy.routing.placement import Reason
from multiproxy.scoreboard import BAR_NS, UNKNOWN, Choice, Finished, Phase, Running
from multiproxy.supervisor.dashboard import views

LIVE_BARS = 10  # 2 s: the span of a running exchange's tokens per second

_PHASES: Mapping[Phase, views.Phase] = {
    Phase.READING: views.Phase.RECEIVING,
    Phase.QUEUED: views.Phase.QUEUED,
    Phase.CONNECTING: views.Phase.CONNECTING,
    Phase.PREFILL: views.Phase.PREFILL,
    Phase.DECODING: views.Phase.DECODING,
    Phase.FINISHING: views.Phase.DECODING,
}
_NO_BACKEND = ("no_backend_available", "backend_not_started", "overloaded", "model_loading")


def running_view(row: Running, backend: str, now_ns: int) -> views.RunningView:
    """One running exchange at the monotonic time ``now_ns``."""
    flow = flow_until(row, now_ns)
    is_decoding = row.phase in (Phase.DECODING, Phase.FINISHING)
    has_progress = row.prompt_total > 0
    return views.RunningView(
        id=row.request_id,
        started_at=row.started_unix_ns / 1e9,
        elapsed_s=(now_ns - row.started_ns) / 1e9,
        phase=_PHASES[row.phase],
        model=row.model_served or row.model_asked,
        backend=backend,
        key=row.key,
        api=row.endpoint,
        stream=row.stream,
        queue_position=row.queue_position or None,
        prompt_tokens=row.prompt_total if has_progress else None,
        cached_tokens=row.prompt_cached if has_progress else None,
        # llama-server counts the cached part as processed.
        prefill_progress=min(row.prompt_processed / row.prompt_total, 1) if has_progress else None,
        output_tokens=row.tokens,
        attempts=max(row.attempts, 1),
        ttft_s=(
            (row.phase_since_ns - row.started_ns) / 1e9 if row.phase is Phase.DECODING else None
        ),
        tokens_per_s=sum(flow[-LIVE_BARS:]) / (LIVE_BARS * BAR_NS / 1e9) if is_decoding else None,
        flow=flow,
        client=row.client,
        copy_of=row.copy_of,
    )


def flow_until(row: Running, now_ns: int) -> tuple[int, ...]:
    """The row's bars moved on to now, without those from before it started."""
    now = now_ns // BAR_NS
    silent = now - row.bar_at if row.bar_at else len(row.bars)
    bars = row.bars + bytes(min(max(silent, 0), len(row.bars)))
    age = now - row.started_ns // BAR_NS + 1
    return tuple(bars[-min(max(age, 1), len(row.bars)) :]) if row.bars else ()


_REASONS = {int(reason): reason.name.lower() for reason in Reason if reason}


def outcome_of(record: Finished) -> views.Outcome:
    """The class of an ended exchange; its termination's first letter says who ended it."""
    if record.termination.startswith("-"):
        return views.Outcome.OK if record.status < 400 else views.Outcome.REJECTED
    if record.error in ("client_gone", "cancelled_by_operator", "mirror_made_way"):
        return views.Outcome.CLIENT_LEFT  # nothing failed: somebody had enough
    if record.termination.startswith("C"):
        return views.Outcome.REJECTED
    if record.status == 200:
        return views.Outcome.BROKEN_STREAM
    if record.error in _NO_BACKEND:
        return views.Outcome.NO_BACKEND
    return views.Outcome.TIMEOUT if record.status == 504 else views.Outcome.UPSTREAM_ERROR


def finished_view(
    record: Finished, backend: str, name_of: Callable[[int], str] = str
) -> views.FinishedView:
    """One finished exchange; ``name_of`` gives the id of a backend."""
    first, last = record.first_event_ns, record.last_event_ns
    decode_ns = last - first if first != UNKNOWN and last != UNKNOWN else UNKNOWN
    speed = None
    if decode_ns > 0 and record.output_tokens >= 2:
        speed = (record.output_tokens - 1) / (decode_ns / 1e9)
    prefill_ns = record.prefill_ns
    if prefill_ns == UNKNOWN and first >= record.connect_ns != UNKNOWN:
        prefill_ns = first - record.connect_ns
    return views.FinishedView(
        id=record.request_id,
        started_at=record.started_unix_ns / 1e9,
        total_s=max(record.total_ns, 0) / 1e9,
        status=record.status,
        outcome=outcome_of(record),
        model=record.model_served or record.model_asked,
        requested_model=record.model_asked,
        backend=backend,
        key=record.key,
        api=record.endpoint,
        stream=record.stream,
        prompt_tokens=_count(record.prompt_tokens),
        cached_tokens=_count(record.cached_tokens),
        output_tokens=_count(record.output_tokens),
        ttft_s=_seconds(first) if record.stream else None,
        tokens_per_s=speed,
        queue_s=max(record.queue_ns, 0) / 1e9,
        prefill_s=_seconds(prefill_ns),
        decode_s=_seconds(decode_ns),
        attempts=record.attempts,
        termination=record.termination,
        finish_reason=record.finish_reason,
        error=record.error,
        client=record.client,
        user_agent=record.user_agent,
        split=record.split,
        copy_of=record.copy_of,
        path=_path(record, name_of),
    )


def _path(record: Finished, name_of: Callable[[int], str]) -> tuple[views.AttemptView, ...]:
    """The attempts that are known: the first ones, and the last, which the record is about."""
    path: list[views.AttemptView] = []
    if record.attempts == 0 or record.chosen_ns == UNKNOWN:
        return ()
    first = record.first_event_ns
    for each in record.tries:
        choice, sent = each.choice, each.sent_ns
        began = first if each.chosen_ns <= first <= each.ended_ns else UNKNOWN
        times = (each.chosen_ns, sent if sent >= each.chosen_ns else UNKNOWN, began)
        path.append(_attempt(name_of(each.backend), choice, times, each.ended_ns, each.error))
    if len(path) < record.attempts:
        times = (record.chosen_ns, record.connect_ns, UNKNOWN if record.was_continued else first)
        ended = record.last_event_ns if record.last_event_ns != UNKNOWN else record.total_ns
        error = record.error if record.termination != "--" else ""
        last = _attempt(name_of(record.backend), record.choice, times, ended, error, is_last=True)
        if record.broke_tokens:
            broke_at = block_name(record.broke_at)
            last = replace(last, broke_at=broke_at, reread_tokens=record.broke_tokens)
        path.append(last)
    return tuple(_with_waits(path, max(record.queue_ns, 0) / 1e9))


def _attempt(
    backend: str,
    choice: Choice,
    times: tuple[int, int, int],
    ended_ns: int,
    error: str,
    is_last: bool = False,
) -> views.AttemptView:
    chosen, sent, first = times
    return views.AttemptView(
        backend,
        _REASONS.get(choice.reason, ""),
        choice.busy,
        choice.slots,
        choice.ready,
        choice.candidates,
        0.0,
        chosen / 1e9,
        _seconds(sent),
        _seconds(first),
        ended_ns / 1e9,
        error,
        was_retried=not is_last,
    )


def _with_waits(path: list[views.AttemptView], queue_s: float) -> list[views.AttemptView]:
    """A later attempt waits from the end of the one before; the rest of the wait is the first's."""
    if len(path) == 1 and not queue_s:
        return path
    waits = [0.0] + [b.chosen_s - a.ended_s for a, b in pairwise(path)]
    waits[0] = max(0.0, min(queue_s - sum(waits), path[0].chosen_s))
    return [replace(a, waited_s=max(0.0, wait)) for a, wait in zip(path, waits, strict=True)]


def _count(value: int) -> int | None:
    return None if value == UNKNOWN else value


def _seconds(nanoseconds: int) -> float | None:
    return None if nanoseconds == UNKNOWN else nanoseconds / 1e9
