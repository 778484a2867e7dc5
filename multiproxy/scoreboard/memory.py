"""Where prompts went: which backend has which prefix in its cache. One table for all workers.

A place in the table is two words: what it says, and its key XOR what it says. Any worker may
write any place at any time without a lock: if two writes mix, the two words do not belong
together any more, and a reader finds nothing there. Nothing is lost by that but a hint.
"""

from struct import Struct
from typing import NamedTuple

from multiproxy.scoreboard import layout

WAYS = layout.MEMORY_WAYS
TICKS_PER_S = 10
MAX_BACKEND = (1 << 12) - 1
MAX_TOKENS = (1 << 23) - 1
_TICKS = (1 << 28) - 1  # 310 days
# a trace: exact 1 bit | ticks 28 | tokens 23 | backend 12
_TOKENS_AT, _TICKS_AT = 12, 35
_EXACT = 1 << 63


class Trace(NamedTuple):
    """A prefix of ``tokens`` was last at ``backend`` at ``seen_s`` (monotonic, 0.1 s fine).

    ``is_exact`` tells that the backend counted the tokens itself.
    """

    backend: int
    tokens: int
    seen_s: float
    is_exact: bool = False


_new = tuple.__new__  # half the price of the class's own
_BUCKET = Struct(f"={2 * WAYS}Q")
assert WAYS == 8, "find is written out for eight"


class Memory:
    """``find`` and ``note`` cost about a microsecond, whatever is in the table."""

    def __init__(self, memory: "memoryview[int]") -> None:
        self._memory = memory
        self._words = memory.cast("Q")
        self._buckets = len(self._words) // (2 * WAYS)

    def find(self, key: int) -> list[Trace]:
        """Return every backend that a prefix went to."""
        # Every request asks several times: written out this takes a third of the time of a loop.
        a, a_, b, b_, c, c_, d, d_, e, e_, f, f_, g, g_, h, h_ = _BUCKET.unpack_from(
            self._memory, key % self._buckets * _BUCKET.size
        )
        found = []
        if a ^ a_ == key:
            found.append(a)
        if b ^ b_ == key:
            found.append(b)
        if c ^ c_ == key:
            found.append(c)
        if d ^ d_ == key:
            found.append(d)
        if e ^ e_ == key:
            found.append(e)
        if f ^ f_ == key:
            found.append(f)
        if g ^ g_ == key:
            found.append(g)
        if h ^ h_ == key:
            found.append(h)
        if not found:
            return []
        return [
            _new(
                Trace,
                (
                    said & MAX_BACKEND,
                    said >> _TOKENS_AT & MAX_TOKENS,
                    (said >> _TICKS_AT & _TICKS) / TICKS_PER_S,
                    said >= _EXACT,
                ),
            )
            for said in found
            if said
        ]

    def note(
        self, key: int, backend: int, tokens: int, seen_s: float, is_exact: bool = False
    ) -> None:
        """Write a trace, over the same backend's last one or the least recent of its bucket."""
        at = key % self._buckets * 2 * WAYS
        words = _BUCKET.unpack_from(self._memory, at * 8)
        place, least = 0, _TICKS + 1
        for way in range(0, 2 * WAYS, 2):
            said = words[way]
            if said ^ words[way + 1] == key and said & MAX_BACKEND == backend:
                place = way
                break
            ticks = said >> _TICKS_AT & _TICKS  # 0 of an empty place: the first to be taken
            if ticks < least:
                least, place = ticks, way
        said = _packed(backend, tokens, seen_s, is_exact)
        self._words[at + place] = said
        self._words[at + place + 1] = said ^ key

    def forget(self, key: int, backend: int) -> None:
        """Remove one backend's trace of a prefix, if there is one."""
        at = key % self._buckets * 2 * WAYS
        words = self._words[at : at + 2 * WAYS].tolist()
        for way in range(0, 2 * WAYS, 2):
            if (
                words[way]
                and words[way] ^ words[way + 1] == key
                and words[way] & MAX_BACKEND == backend
            ):
                self._words[at + way] = 0
                self._words[at + way + 1] = 0


def _packed(backend: int, tokens: int, seen_s: float, is_exact: bool) -> int:
    tokens = min(max(tokens, 1), MAX_TOKENS)  # never 0: that is an empty place
    ticks = int(seen_s * TICKS_PER_S) & _TICKS
    said = ticks << _TICKS_AT | tokens << _TOKENS_AT | backend
    return said | _EXACT if is_exact else said
