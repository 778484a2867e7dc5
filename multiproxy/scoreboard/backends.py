"""What the supervisor knows of every backend: its state, its numbers, and its facts as JSON."""

import struct
from enum import IntEnum
from typing import NamedTuple

from multiproxy.scoreboard import layout


class BackendState(IntEnum):
    """Whether requests may go to a backend. A row without a backend is UNCHECKED too."""

    UNCHECKED = 0
    UP = 1
    LOADING = 2  # it answers, its model is not there yet
    SLEEPING = 3  # it answers, and loads its model when a request comes
    DOWN = 4
    DRAINING = 5  # it left the configuration; workers of an old generation still use it
    STOPPED = 6  # its command is run when a request waits for it


class BackendRow(NamedTuple):
    """``slots`` 0 means unlimited, ``n_ctx`` 0 unknown (tokens per slot). Times are monotonic."""

    state: BackendState
    slots: int
    n_ctx: int
    since_ns: int  # of the state
    checked_ns: int  # the last probe's end
    check_us: int  # the last probe's duration
    failures: int  # probes that failed in a row
    port: int


_ROW = struct.Struct("=IIIQQIII")
_ROW_AT = 16  # behind sequence (u64) and state (u32, alone: read without the sequence)
_STATE_AT = 8
_RESTS_AT, _RAMP_AT = 64, 72  # two stamps, alone: read for every choice
_LENGTH_AT = 8  # in the facts section, behind its sequence
assert _ROW_AT + _ROW.size <= _RESTS_AT and _RAMP_AT + 8 <= layout.BACKEND.row_size


class BackendBoard:
    """Rows by backend index; ``write`` and ``write_facts`` are the supervisor's."""

    def __init__(self, memory: "memoryview[int]") -> None:
        self._memory = memory
        self._version = memory[layout.BOARD.offset : layout.BOARD.end].cast("Q")
        rows = memory[layout.BACKEND.offset : layout.BACKEND.end]
        self._sequences = rows.cast("Q")[:: layout.BACKEND.row_size // 8]
        self._states = rows.cast("I")[_STATE_AT // 4 :: layout.BACKEND.row_size // 4]
        stamps = rows.cast("Q")
        self._rests = stamps[_RESTS_AT // 8 :: layout.BACKEND.row_size // 8]
        self._ramps = stamps[_RAMP_AT // 8 :: layout.BACKEND.row_size // 8]
        facts = memory[layout.FACTS.offset : layout.FACTS.end]
        self._facts_sequences = facts.cast("Q")[:: layout.FACTS.row_size // 8]
        self._lengths = facts.cast("I")[_LENGTH_AT // 4 :: layout.FACTS.row_size // 4]
        self._last: dict[int, BackendRow] = {}  # as read

    @property
    def version(self) -> int:
        """Changes whenever any state, slots, context size or facts changed, or who rests."""
        return self._version[0]

    def state(self, index: int) -> BackendState:
        return BackendState(self._states[index])

    def rests_until(self, index: int) -> int:
        """When the backend's rest ends, monotonic ns; see routing/ejection.py."""
        return self._rests[index]

    def ramp_from(self, index: int) -> int:
        """Since when it comes back little by little, monotonic ns; 0 when it need not."""
        return self._ramps[index]

    def write_trust(self, index: int, rests_until_ns: int, ramp_from_ns: int) -> None:
        """For the supervisor. Two stores: between them a backend is trusted too much or little."""
        rested = self._rests[index]
        self._ramps[index] = ramp_from_ns
        self._rests[index] = rests_until_ns
        if (rested == 0) is not (rests_until_ns == 0):
            self._changed()

    def read(self, index: int) -> BackendRow:
        """The whole row; as it was read last if a write is in the way for long.

        Its writer may have lost its processor in the middle of the write: nobody waits for that.

        Raises:
            RuntimeError: so it is at the first reading.
        """
        at = layout.BACKEND.at(index) + _ROW_AT
        fields = layout.read_locked(
            self._sequences, index, lambda: _ROW.unpack_from(self._memory, at)
        )
        if fields is not None:
            self._last[index] = row = BackendRow(BackendState(fields[0]), *fields[1:])
            return row
        last = self._last.get(index)
        if last is None:
            raise RuntimeError(f"backend row {index} is being written")
        return last

    def facts(self, index: int) -> bytes:
        """The facts as JSON; empty when none are known.

        Raises:
            RuntimeError: a write was in the way at every try.
        """
        start = layout.FACTS.at(index) + layout.LINE

        def copy() -> bytes:
            return bytes(self._memory[start : start + self._lengths[index]])

        found = layout.read_locked(self._facts_sequences, index, copy)
        if found is None:
            raise RuntimeError(f"facts {index} are being written")
        return found

    def write(self, index: int, row: BackendRow) -> None:
        """Replace a row; the version changes only if requests would be placed differently."""
        at = layout.BACKEND.at(index) + _ROW_AT
        before = _ROW.unpack_from(self._memory, at)
        layout.write_locked(self._sequences, index, lambda: _ROW.pack_into(self._memory, at, *row))
        self._states[index] = row.state
        if before[:3] != row[:3]:
            self._changed()

    def write_facts(self, index: int, facts: bytes) -> None:
        """Replace the facts; does nothing when they are the same.

        Raises:
            ValueError: more than FACTS_SIZE bytes.
        """
        if len(facts) > layout.FACTS_SIZE:
            raise ValueError(f"{len(facts)} bytes of facts; the room is {layout.FACTS_SIZE}")
        if facts == self.facts(index):
            return
        start = layout.FACTS.at(index) + layout.LINE

        def copy() -> None:
            self._memory[start : start + len(facts)] = facts
            self._lengths[index] = len(facts)

        layout.write_locked(self._facts_sequences, index, copy)
        self._changed()

    def _changed(self) -> None:
        layout.fence()
        self._version[0] += 1
