"""Running exchanges of each worker, one row each, for the dashboard to look at.

A row is claimed when a request's head is complete and released when the exchange ends. When a
table is full the exchange runs all the same; only nobody sees it, and that is counted.
"""

import struct
from dataclasses import dataclass
from enum import IntEnum

from multiproxy.scoreboard import layout
from multiproxy.scoreboard.ring import text

BARS = 60
BAR_NS = 200_000_000  # one bar of the token flow: 60 of them are the last 12 s


class Phase(IntEnum):
    """What a running exchange waits for. FREE is a row without one."""

    FREE = 0
    READING = 1  # the client's body
    QUEUED = 2  # a slot
    CONNECTING = 3  # the backend's connection
    PREFILL = 4  # its first event
    DECODING = 5  # its further events
    FINISHING = 6  # the client, which has not taken all bytes yet


@dataclass(slots=True)
class Running:
    """One running exchange. Texts are cut as in ``ring.Finished``."""

    request_id: str
    phase: Phase
    phase_since_ns: int  # monotonic
    started_unix_ns: int
    started_ns: int  # monotonic
    endpoint: str = ""
    dialect: str = ""
    stream: bool = False
    model_asked: str = ""
    model_served: str = ""
    key: str = ""
    client: str = ""
    backend: int = layout.NO_BACKEND
    prompt_total: int = 0  # return_progress of the prefill; 0 when unknown
    prompt_cached: int = 0
    prompt_processed: int = 0
    attempts: int = 0
    queue_position: int = 0  # 1 is next; 0 when it does not wait, or nobody knows yet
    queue_wait_ms: int = 0  # predicted
    copy_of: str = ""  # the request that this one mirrors
    tokens: int = 0  # so far; written by ``count`` only
    bars: bytes = b""  # tokens per BAR_NS, oldest first; written by ``count`` only
    bar_at: int = 0  # number of the newest bar: monotonic ns // BAR_NS


# The row: sequence Q | tokens I, bar_at I | 60 bars | moving part | fixed part
_SEQUENCE = 0
_TOKENS = 8
_BAR_AT = 12
_BARS = 16
_MOVING = struct.Struct("=IiQIIIIII")
_MOVING_AT = 80
_FIXED = struct.Struct("=QQ?12s24s12s64s64s32s48s12s")
_FIXED_AT = 120
assert _BARS + BARS <= _MOVING_AT
assert _MOVING_AT + _MOVING.size <= _FIXED_AT
assert _FIXED_AT + _FIXED.size <= layout.LIVE_ROW_SIZE, _FIXED.size


class LiveTable:
    """The table of worker ``worker``, which is its only writer; ``rows`` is for anyone."""

    def __init__(self, memory: "memoryview[int]", worker: int) -> None:
        start = layout.LIVE.at(worker)
        table = memory[start : start + layout.LIVE.row_size]
        self._bytes = table
        self._words = table.cast("I")
        self._stamps = table.cast("Q")
        # The worker's own memory: free rows below `used`. New rows are opened only when it is
        # empty, so that readers scan few.
        self._free: list[int] = []

    @property
    def used(self) -> int:
        """Rows that were ever claimed; readers look no further."""
        return self._words[0]

    @property
    def dropped(self) -> int:
        """Exchanges that found no free row."""
        return self._words[1]

    def claim(self) -> int | None:
        """A free row, or None when all are taken: then the exchange runs unseen."""
        used = self._words[0]
        if self._free:
            slot = self._free.pop()
        elif used < layout.LIVE_ROWS:
            slot = used
            self._words[0] = used + 1
        else:
            self._words[1] = (self._words[1] + 1) & 0xFFFF_FFFF
            return None
        at = self._at(slot)
        self._words[(at + _TOKENS) // 4] = 0
        self._words[(at + _BAR_AT) // 4] = 0
        self._bytes[at + _BARS : at + _BARS + BARS] = bytes(BARS)
        return slot

    def write(self, slot: int, row: Running) -> None:
        """Write everything but ``tokens`` and the bars."""
        at = self._at(slot)

        def pack() -> None:
            _FIXED.pack_into(
                self._bytes, at + _FIXED_AT,
                row.started_unix_ns, row.started_ns, row.stream,
                row.request_id.encode("ascii"), row.endpoint.encode("ascii"),
                row.dialect.encode("ascii"), row.model_asked.encode("utf-8", "replace"),
                row.model_served.encode("utf-8", "replace"), row.key.encode("utf-8", "replace"),
                row.client.encode("utf-8", "replace"), row.copy_of.encode("ascii"),
            )  # fmt: skip
            self._pack_moving(at, row)

        layout.write_locked(self._stamps, (at + _SEQUENCE) // 8, pack)

    def update(self, slot: int, row: Running) -> None:
        """Write phase, its time, backend and progress: what changes in a known exchange."""
        at = self._at(slot)
        layout.write_locked(self._stamps, (at + _SEQUENCE) // 8, lambda: self._pack_moving(at, row))

    def count(self, slot: int, tokens: int, now_ns: int) -> None:  # per piece
        """Add ``tokens`` to the row's total and to the bar of this moment."""
        at = self._at(slot)
        self._words[(at + _TOKENS) // 4] += tokens
        bar = now_ns // BAR_NS & 0xFFFF_FFFF
        cell = (at + _BAR_AT) // 4
        newest = self._words[cell]
        bars = at + _BARS
        if bar != newest:
            # Bars nobody wrote in between are silence.
            for missed in range(max(newest + 1, bar - BARS + 1), bar + 1):
                self._bytes[bars + missed % BARS] = 0
            self._words[cell] = bar
        position = bars + bar % BARS
        self._bytes[position] = min(255, self._bytes[position] + tokens)

    def release(self, slot: int) -> None:
        """Give the row back."""
        at = self._at(slot)
        self._clear(at)
        self._free.append(slot)

    @property
    def running(self) -> int:
        """How many rows are in use: cheaper than ``rows``."""
        step = layout.LIVE_ROW_SIZE // 4
        first = (layout.LINE + _MOVING_AT) // 4
        phases = self._words[first : first + self.used * step : step]
        return self.used - phases.tolist().count(Phase.FREE)

    def rows(self) -> list[Running]:
        """A copy of every running exchange; one that is written at this moment is left out."""
        found = []
        for slot in range(self.used):
            at = self._at(slot)
            if self._words[(at + _MOVING_AT) // 4] == Phase.FREE:
                continue
            row = layout.read_locked(
                self._stamps,
                (at + _SEQUENCE) // 8,
                lambda at=at: self._read(at),  # type: ignore[misc]
            )
            if row is not None and row.phase is not Phase.FREE:
                found.append(row)
        return found

    def reset(self) -> None:
        """Free every row. For the supervisor, once the worker's pid was reaped."""
        for slot in range(self.used):
            self._clear(self._at(slot))
        self._words[0] = 0

    def _at(self, slot: int) -> int:
        return layout.LINE + slot * layout.LIVE_ROW_SIZE

    def _clear(self, at: int) -> None:
        cell = (at + _MOVING_AT) // 4

        def free() -> None:
            self._words[cell] = Phase.FREE

        layout.write_locked(self._stamps, (at + _SEQUENCE) // 8, free)

    def _pack_moving(self, at: int, row: Running) -> None:
        _MOVING.pack_into(
            self._bytes, at + _MOVING_AT, row.phase, row.backend, row.phase_since_ns,
            row.prompt_total, row.prompt_cached, row.prompt_processed, row.attempts,
            row.queue_position, min(row.queue_wait_ms, 0xFFFF_FFFF),
        )  # fmt: skip

    def _read(self, at: int) -> Running:
        phase, backend, since, total, cached, processed, attempts, position, wait_ms = (
            _MOVING.unpack_from(self._bytes, at + _MOVING_AT)
        )
        unix, started, stream, *texts = _FIXED.unpack_from(self._bytes, at + _FIXED_AT)
        request_id, endpoint, dialect, asked, served, key, client, copy_of = map(text, texts)
        newest = self._words[(at + _BAR_AT) // 4]
        bars = bytes(self._bytes[at + _BARS : at + _BARS + BARS])
        oldest = (newest + 1) % BARS
        return Running(
            request_id, Phase(phase), since, unix, started, endpoint, dialect, stream, asked,
            served, key, client, backend, total, cached, processed, attempts,
            tokens=self._words[(at + _TOKENS) // 4],
            queue_position=position, queue_wait_ms=wait_ms, copy_of=copy_of,
            bars=bars[oldest:] + bars[:oldest], bar_at=newest,
        )  # fmt: skip
