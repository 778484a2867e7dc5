"""What one exchange was: its phases as they happen, and one record when it ended.

Entering a phase stamps the clock once; the stamp goes to the live table, the record and the
termination code alike.
"""

import time
from typing import Any

from multiproxy._http.trace_context import Trace, span_id
from multiproxy.dialects.events import Progress, Usage
from multiproxy.errors import ProxyError
from multiproxy.routing.breaks import Break
from multiproxy.scoreboard import (
    NO_BACKEND,
    TRIES,
    UNKNOWN,
    Choice,
    Finished,
    LiveTable,
    Phase,
    Running,
    Try,
)

CLIENT_GONE = 499  # nginx's status for it; never sent
_LETTER = {
    Phase.READING: "R",
    Phase.QUEUED: "Q",
    Phase.CONNECTING: "C",
    Phase.PREFILL: "W",
    Phase.DECODING: "D",
    Phase.FINISHING: "D",
}


class Account:
    """One exchange in the live table, and its record in the making.

    The table has it from the first ``show`` on, which the worker's clock calls: what is
    over before a person could see it costs no shared memory.
    """

    def __init__(self, table: LiveTable, request_id: str, client: str) -> None:
        self._table = table
        self._row: int | None = None
        self._is_shown = False
        self._counted = 0
        self._progress: Progress | None = None
        now = time.monotonic_ns()
        self.live = Running(request_id, Phase.READING, now, time.time_ns(), now, client=client)
        self.record = Finished(
            request_id, "", "", False, 0, "--", "", "", "", NO_BACKEND, 0, "", client, "", "",
            self.live.started_unix_ns,
        )  # fmt: skip
        self._queued_at = 0
        self._trace: Trace | None = None

    def traced(self, trace: Trace) -> None:
        """Note the trace that the request is a part of."""
        self._trace = trace
        self.record.trace = trace.encode()

    @property
    def trace_fields(self) -> bytes:
        """The lines that tell the backend of this attempt of the trace, if there is one."""
        if self._trace is None:
            return b""
        return self._trace.fields(span_id(self.record.request_id, self.record.attempts))

    def admitted(self, key: str) -> None:
        """Note the name of the client's key."""
        self.record.key = self.live.key = key

    def understood(self, endpoint: str, dialect: str, model: str | None, *, stream: bool) -> None:
        """Note what the request asks for."""
        record, live = self.record, self.live
        record.endpoint = live.endpoint = endpoint
        record.dialect = live.dialect = dialect
        record.model_asked = live.model_asked = model or ""
        record.stream = live.stream = stream

    def copies(self, original: "Account") -> None:
        """Note that it mirrors another exchange."""
        self.record.copy_of = self.live.copy_of = original.record.request_id

    def routed(self, model: str, split: str = "") -> None:
        """Note which model serves it, and of which split it is a part."""
        self.record.model_served = self.live.model_served = model
        self.record.split = split
        if self._row is not None:
            self._table.write(self._row, self.live)

    def show(self) -> None:
        """Put the exchange into the live table, if it is not there and there is room."""
        if not self._is_shown:
            self._is_shown = True
            self._row = self._table.claim()
            if self._row is not None:
                self._table.write(self._row, self.live)

    def chosen(self, backend: int, choice: Choice) -> None:
        """Note the backend of a new attempt, and why it is this one."""
        record = self.record
        record.attempts += 1
        self.live.attempts = record.attempts
        record.backend = self.live.backend = backend
        record.choice = choice
        record.connect_ns = UNKNOWN

    def retried(self, error: ProxyError, *, was_told: bool = False) -> None:
        """Note that the attempt failed and another may follow.

        ``was_told`` tells that the client has a part of its answer.
        """
        record = self.record
        if not was_told:
            record.first_event_ns = UNKNOWN
        if len(record.tries) < TRIES:
            now = time.monotonic_ns() - self.live.started_ns
            failed = Try(
                record.backend, record.choice, error.code or "", record.chosen_ns,
                record.connect_ns, now,
            )  # fmt: skip
            record.tries += (failed,)

    @property
    def asked(self) -> set[int]:
        """The backends of all attempts so far."""
        return {self.record.backend, *(each.backend for each in self.record.tries)}

    def enter(self, phase: Phase) -> None:
        """Stamp a phase."""
        now = time.monotonic_ns()
        record, live = self.record, self.live
        if phase is Phase.QUEUED:
            self._queued_at = now
        elif live.phase is Phase.QUEUED:
            record.queue_ns = max(0, record.queue_ns) + now - self._queued_at
            record.chosen_ns = now - live.started_ns
        if phase is Phase.PREFILL:
            record.connect_ns = now - live.started_ns
        elif phase is Phase.DECODING and record.first_event_ns == UNKNOWN:
            record.first_event_ns = now - live.started_ns
        live.phase = phase
        live.phase_since_ns = now
        live.queue_position = live.queue_wait_ms = 0
        if self._row is not None:
            self._table.update(self._row, live)

    def waits(self, position: int, wait_s: float) -> None:
        """Note how many are before it in the line, itself included, and how long that may take."""
        self.live.queue_position = position
        self.live.queue_wait_ms = int(wait_s * 1000)
        if self._row is not None:
            self._table.update(self._row, self.live)

    def count(self, events: int, progress: Progress | None, now_ns: int) -> bool:
        """Bring the live table up to date; tells whether the backend gave a sign of life."""
        new = events - self._counted
        if new > 0:
            self._counted = events
            if self._row is not None:
                self._table.count(self._row, new, now_ns)
        if progress is not None and progress is not self._progress:
            self._progress = progress
            live = self.live
            live.prompt_total, live.prompt_cached = progress.total, progress.cache
            live.prompt_processed = progress.processed
            if self._row is not None:
                self._table.update(self._row, live)
            return True
        return new > 0

    def failed(self, error: ProxyError) -> None:
        """Note why and while doing what the exchange failed."""
        self.record.error = error.code or ""
        self.record.termination = error.side.value + _LETTER[self.live.phase]

    def client_gone(self) -> None:
        """Note that the client left."""
        self.record.status = CLIENT_GONE
        self.record.error = "client_gone"
        self.record.termination = "C" + _LETTER[self.live.phase]

    def broke(self, found: Break) -> None:
        """Note where the prompt left the turn before."""
        self.record.broke_at, self.record.broke_tokens = found

    def answered(self) -> None:
        """Stamp the end of the backend's answer."""
        self.record.last_event_ns = time.monotonic_ns() - self.live.started_ns

    def close(
        self, usage: Usage | None, events: int, finish_reason: str | None, user_agent: bytes
    ) -> Finished:
        """End the exchange: free its row and return its record."""
        record = self.record
        if self._row is not None:
            self._table.release(self._row)
            self._row = None
        record.total_ns = time.monotonic_ns() - self.live.started_ns
        record.finish_reason = finish_reason or ""
        record.user_agent = user_agent[:64].decode("latin-1")
        if record.first_event_ns != UNKNOWN and record.last_event_ns == UNKNOWN:
            record.last_event_ns = record.total_ns
        if usage is not None:
            record.prompt_tokens, record.cached_tokens = usage.prompt, usage.cached
            record.output_tokens = usage.output
            record.prefill_ns = _milliseconds(usage.timings)
        elif events:
            record.output_tokens = events  # llama-server sends about one token per event
        return record


def _milliseconds(timings: dict[str, Any] | None) -> int:
    value = (timings or {}).get("prompt_ms")
    return int(value * 1e6) if isinstance(value, int | float) and 0 <= value < 1e9 else UNKNOWN
