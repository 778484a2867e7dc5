"""Named numbers in shared memory: a descriptor reads and writes one aligned cell."""

from typing import Protocol


class Row(Protocol):
    """An object whose ``words`` (u32) and ``stamps`` (u64) are two views of its bytes."""

    words: "memoryview[int]"
    stamps: "memoryview[int]"


class Word:
    """A u32 at ``offset`` bytes of the row."""

    def __init__(self, offset: int) -> None:
        assert offset % 4 == 0
        self._cell = offset // 4

    def __get__(self, row: Row, kind: type) -> int:
        return row.words[self._cell]

    def __set__(self, row: Row, value: int) -> None:
        row.words[self._cell] = value


class Stamp:
    """A u64 at ``offset`` bytes of the row."""

    def __init__(self, offset: int) -> None:
        assert offset % 8 == 0
        self._cell = offset // 8

    def __get__(self, row: Row, kind: type) -> int:
        return row.stamps[self._cell]

    def __set__(self, row: Row, value: int) -> None:
        row.stamps[self._cell] = value
