"""Finished exchanges, the last RING_RECORDS of each worker, in the order they ended.

The writer fills the slot of record n and then publishes n + 1. A reader copies slots and looks
at the count again: slot ``n % RING_RECORDS`` was safe to read if record ``n + RING_RECORDS`` had
not been begun, that is, while fewer than ``n + RING_RECORDS`` were published. Each record also
carries n + 1 at both ends, so that a copy which is torn in spite of this is recognised.
A writer that dies inside a record never publishes it; its successor writes over it.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

from multiproxy.scoreboard import layout

UNKNOWN = -1  # a duration or token count that never came

TRIES = 3  # failed attempts a record has room for; the last attempt is the record itself
_TICK_NS = 10_000  # their times: 32 bits of 10 us are 11.9 hours


class Choice(NamedTuple):
    """Why an attempt's backend was chosen: ``reason`` is a ``routing.placement.Reason``.

    ``busy`` of ``slots`` (0: no bound known) were taken there before; of ``candidates``
    backends that have the model ``ready`` could have been chosen.
    """

    reason: int = 0
    busy: int = 0
    slots: int = 0
    ready: int = 0
    candidates: int = 0


NO_CHOICE = Choice()


class Try(NamedTuple):
    """A failed attempt after which another one followed; times as in ``Finished``."""

    backend: int
    choice: Choice
    error: str  # 24 bytes: ProxyError.code
    chosen_ns: int
    sent_ns: int  # UNKNOWN when it could not even connect
    ended_ns: int


@dataclass(slots=True)
class Finished:
    """One exchange that ended. Texts longer than their room are cut at a whole character.

    Durations are nanoseconds from the request's head; UNKNOWN when it never came so far.
    """

    request_id: str  # 12 characters
    endpoint: str  # 24 bytes: worker/endpoints.py's name
    dialect: str  # 12
    stream: bool
    status: int  # sent to the client; 499 when it left before
    termination: str  # two letters, see access_log.py
    error: str  # 32: ProxyError.code, empty when fine
    model_asked: str  # 64
    model_served: str  # 64
    backend: int  # row of the backend board, NO_BACKEND
    attempts: int
    key: str  # 32: the key's name, never the key
    client: str  # 48: address
    user_agent: str  # 64
    finish_reason: str  # 16
    started_unix_ns: int
    queue_ns: int = UNKNOWN  # waited for a slot
    connect_ns: int = UNKNOWN  # the last attempt's request was sent
    prefill_ns: int = UNKNOWN  # the backend's own prompt time, from its timings
    first_event_ns: int = UNKNOWN
    last_event_ns: int = UNKNOWN
    total_ns: int = UNKNOWN
    prompt_tokens: int = UNKNOWN
    cached_tokens: int = UNKNOWN
    output_tokens: int = UNKNOWN
    bytes_in: int = 0
    bytes_out: int = 0
    chosen_ns: int = UNKNOWN  # the last attempt got its slot
    choice: Choice = NO_CHOICE  # of the last attempt
    tries: tuple[Try, ...] = ()  # the attempts before it, the first TRIES of them
    broke_at: int = 0  # the block where the prompt left the turn before: routing.breaks.Break
    broke_tokens: int = 0  # and what was read again for it
    split: str = ""  # 64: the model that was split, of which one part served
    copy_of: str = ""  # 12: the request that this one mirrors; nobody got its answer
    trace: bytes = b""  # 25: _http.trace_context, when somebody wants spans

    @property
    def was_continued(self) -> bool:
        """Whether an attempt failed when a part of its answer had reached the client."""
        if not self.tries or self.first_event_ns == UNKNOWN:
            return False
        return self.first_event_ns <= max(each.ended_ns for each in self.tries)


# number, numbers, texts, choice, number of tries, break, split and copy, number; then the tries,
# which most records have none of. Native order, no padding.
_RECORD = struct.Struct("=Q ?HhHQ6q3iQQq 12s24s12s2s32s64s64s32s48s64s16s B4IB HI 64s12s Q")
_TRY = struct.Struct("=h B4I 3I 24s")
# Behind the tries there is room for a trace; a bit of their number tells that it is there.
_TRACED = 0x80
_TRACE_AT = _RECORD.size + TRIES * _TRY.size
_TRACE_SIZE = 25
assert _TRACE_AT + _TRACE_SIZE <= layout.RECORD_SIZE, _RECORD.size


def _pack(memory: "memoryview[int]", at: int, number: int, r: Finished) -> None:
    for number_of_try, each in enumerate(r.tries):
        _TRY.pack_into(
            memory, at + _RECORD.size + number_of_try * _TRY.size,
            each.backend, *each.choice, _ticks(each.chosen_ns), _ticks(each.sent_ns),
            _ticks(each.ended_ns), each.error.encode("ascii", "replace"),
        )  # fmt: skip
    tries = len(r.tries)
    if r.trace:
        tries |= _TRACED
        memory[at + _TRACE_AT : at + _TRACE_AT + _TRACE_SIZE] = r.trace
    _RECORD.pack_into(
        memory, at, number,
        r.stream, r.status, r.backend, r.attempts, r.started_unix_ns,
        r.queue_ns, r.connect_ns, r.prefill_ns, r.first_event_ns, r.last_event_ns, r.total_ns,
        r.prompt_tokens, r.cached_tokens, r.output_tokens, r.bytes_in, r.bytes_out, r.chosen_ns,
        r.request_id.encode("ascii"), r.endpoint.encode("ascii"), r.dialect.encode("ascii"),
        r.termination.encode("ascii"), r.error.encode("utf-8", "replace"),
        r.model_asked.encode("utf-8", "replace"), r.model_served.encode("utf-8", "replace"),
        r.key.encode("utf-8", "replace"), r.client.encode("utf-8", "replace"),
        r.user_agent.encode("utf-8", "replace"), r.finish_reason.encode("utf-8", "replace"),
        *r.choice, tries, r.broke_at, r.broke_tokens,
        r.split.encode("utf-8", "replace"), r.copy_of.encode("ascii"), number,
    )  # fmt: skip


def _ticks(nanoseconds: int) -> int:
    """0 is UNKNOWN."""
    return 0 if nanoseconds < 0 else min(nanoseconds // _TICK_NS + 1, 0xFFFF_FFFF)


def _nanoseconds(ticks: int) -> int:
    return (ticks - 1) * _TICK_NS if ticks else UNKNOWN


def text(field: bytes) -> str:
    """A cut, zero-filled field as text; half a character at the cut is left out."""
    return field.rstrip(b"\0").decode("utf-8", "ignore")


def _unpack(copy: bytes, fields: tuple[Any, ...]) -> Finished:
    stream, status, backend, attempts, started, *numbers = fields[1:18]
    texts = [text(field) for field in fields[18:29]]
    request_id, endpoint, dialect, termination, error, asked, served, key, client, agent, reason = (
        texts
    )
    record = Finished(
        request_id, endpoint, dialect, stream, status, termination, error, asked, served,
        backend, attempts, key, client, agent, reason, started, *numbers,
    )  # fmt: skip
    record.choice = Choice(*fields[29:34])
    record.tries = tuple(_unpack_tries(copy, fields[34] & ~_TRACED))
    if fields[34] & _TRACED:
        record.trace = copy[_TRACE_AT : _TRACE_AT + _TRACE_SIZE]
    record.broke_at, record.broke_tokens = fields[35:37]
    record.split, record.copy_of = map(text, fields[37:39])
    return record


def _unpack_tries(copy: bytes, count: int) -> Iterator[Try]:
    for number in range(count):
        fields = _TRY.unpack_from(copy, _RECORD.size + number * _TRY.size)
        backend, *choice, chosen, sent, ended, error = fields
        times = map(_nanoseconds, (chosen, sent, ended))
        yield Try(backend, Choice(*choice), text(error), *times)


class Ring:
    """The ring of worker ``worker``, which is its only writer; anyone may read."""

    def __init__(self, memory: "memoryview[int]", worker: int) -> None:
        start = layout.RING.at(worker)
        self._memory = memory
        self._published = memory[start : start + layout.LINE].cast("Q")
        self._start = start + layout.LINE

    @property
    def published(self) -> int:
        """How many records were ever written; a reader that wants only new ones starts here."""
        return self._published[0]

    def append(self, record: Finished) -> None:
        """Add a record, over the oldest one when the ring is full."""
        number = self._published[0]
        at = self._start + number % layout.RING_RECORDS * layout.RECORD_SIZE
        _pack(self._memory, at, number + 1, record)
        layout.fence()
        self._published[0] = number + 1

    def read(self, cursor: int, limit: int = 1024) -> tuple[list[Finished], int, int]:
        """Up to ``limit`` records from number ``cursor`` on.

        Returns the records, the cursor for the next call, and how many between the old and
        the new cursor were overwritten before they could be read.
        """
        published = self._published[0]
        first = max(min(cursor, published), published - layout.RING_RECORDS + 1)
        last = min(published, first + limit)
        layout.fence()
        copies = [(number, self._copy(number)) for number in range(first, last)]
        layout.fence()
        # Whoever wrote meanwhile may be inside record `now`, in the slot of this one:
        torn_until = self._published[0] - layout.RING_RECORDS
        records = [
            _unpack(copy, fields)
            for number, copy in copies
            for fields in (_RECORD.unpack_from(copy),)
            if number > torn_until and fields[0] == fields[-1] == number + 1
        ]
        return records, last, max(0, last - cursor) - len(records)

    def _copy(self, number: int) -> bytes:
        at = self._start + number % layout.RING_RECORDS * layout.RECORD_SIZE
        return bytes(self._memory[at : at + layout.RECORD_SIZE])
