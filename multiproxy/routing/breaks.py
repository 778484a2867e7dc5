"""Where a prompt stopped being the one it continues, and what that cost.

Agents change what they said before: a tool is added, a reminder moves, an old result is pruned.
From there on the backend reads everything again. A conversation's blocks (system, tools, each
message) are kept as checksums; its next turn is held against them once the backend told how
much of the prompt it had to read.
"""

from collections import OrderedDict
from collections.abc import Sequence
from itertools import accumulate
from typing import NamedTuple
from zlib import crc32

WORTH = 256  # tokens; less is not worth a word
FAR_MORE = 2  # times what the new tail has must be read before it is called a break
CONVERSATIONS = 512  # remembered, the most recent
MOST_BLOCKS = 1024  # of one conversation; a longer one is not watched
HEAD = 2  # blocks before the first message
LEAST = HEAD + 2  # blocks of what is a conversation: a first message alone may be anything's


class Break(NamedTuple):
    """``block`` is 1 for system, 2 for tools, 2 + n for message n; ``tokens`` is what was read
    again although the turn before had said it, or something in its place.
    """

    block: int
    tokens: int


NO_BREAK = Break(0, 0)


class Shape(NamedTuple):
    """A prompt's blocks. ``key`` names its conversation, whatever became of its head."""

    key: tuple[int, int, int]
    sums: tuple[int, ...]
    ends: tuple[int, ...]  # bytes of the prompt up to the end of each block


def shape_of(session: bytes, sums: Sequence[int], sizes: Sequence[int]) -> Shape | None:
    """Return a prompt's shape; None for what continues nothing, or is too long to be watched.

    ``sums`` and ``sizes`` are checksums and bytes of system, tools, and the messages. Without
    a session's name only those with the same system and tools are one conversation.
    """
    if not LEAST <= len(sums) <= MOST_BLOCKS:
        return None
    name = crc32(session) if session else hash((sums[0], sums[1]))
    return Shape((name, sums[HEAD], sizes[HEAD]), tuple(sums), tuple(accumulate(sizes)))


def broken(before: Sequence[int], now: Shape, prompt: int, cached: int) -> Break:
    """Hold a prompt against the checksums of the turn it continues.

    ``prompt`` are its tokens, ``cached`` those the backend did not have to read.
    """
    if len(now.sums) <= len(before):  # somebody went back: what is new there is new
        return NO_BREAK
    pairs = enumerate(zip(before, now.sums, strict=False))
    first = next((place for place, (old, new) in pairs if old != new), None)
    if first is None:
        return NO_BREAK
    size = now.ends[-1]
    tail = prompt * (size - now.ends[len(before) - 1]) // size
    behind = prompt * (size - (now.ends[first - 1] if first else 0)) // size
    read = min(prompt - cached, behind)  # more was lost for another reason
    cost = read - tail
    return Break(first + 1, cost) if cost >= WORTH and read > FAR_MORE * tail else NO_BREAK


class Breaks:
    """The conversations of one process. Turns that another process served are not missed: the
    next one here is held against the last one that was seen here.
    """

    def __init__(self) -> None:
        self._known: OrderedDict[tuple[int, int, int], tuple[int, ...]] = OrderedDict()

    def look(self, shape: Shape | None, prompt: int, cached: int) -> Break:
        """Tell whether a turn that was just answered broke with the one before; remember it."""
        if shape is None:
            return NO_BREAK
        before = self._known.get(shape.key)
        self._known[shape.key] = shape.sums
        self._known.move_to_end(shape.key)
        if len(self._known) > CONVERSATIONS:
            self._known.popitem(last=False)
        return broken(before, shape, prompt, cached) if before is not None else NO_BREAK


def block_name(block: int) -> str:
    """Return what people call a ``Break``'s block; empty for none."""
    return ("", "system", "tools")[block] if block <= HEAD else f"message {block - HEAD}"
