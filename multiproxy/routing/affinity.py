"""What a conversation is called, and where it would be at home.

A prompt is a chain of marks: one behind the head, one behind each message, each hashed over
all before it. Two prompts that share a mark share what is before it. With a session's name
the chain is short: the name tells what the messages would.

The home is the first in rendezvous order: every process with the same backends finds the
same one without asking, and a backend that comes or goes moves only its own conversations.
"""

import math
from collections.abc import Mapping, Sequence
from struct import Struct, pack
from typing import NamedTuple
from zlib import crc32

_MASK = (1 << 64) - 1
_ODD = 0x9E3779B97F4A7C15  # 2^64 / golden ratio: spreads what a checksum leaves close together
_ODD_2 = 0xBF58476D1CE4E5B9
_LANE = 128  # bits: the product of two words
_LOG_MOST = 64 * math.log(2)  # of a draw
LAST = 16  # turns from the end that are told apart: a request rarely adds more to the one before
FLAT = 16  # candidates up to which each is looked at; more are looked at group by group


class Mark(NamedTuple):
    """``key`` (64 bits, never 0) names the prompt's first ``size`` bytes."""

    key: int
    size: int


def marks_of(
    session: bytes, head: bytes, sums: Sequence[int], sizes: Sequence[int], size: int
) -> list[Mark]:
    """Return the marks of a prompt of ``size`` bytes, shortest first; 0 where that is not known.

    One is behind its head, one behind its first turn, and one behind each of the ``LAST`` ones.
    ``sums`` and ``sizes`` are the turns' checksums and bytes; a comma is between turns. A
    session's sub-conversations (agents send one session's name with all of them) differ in
    their head or their first turn.
    """
    sum_ = crc32(head)
    told = sum(sizes) + max(0, len(sizes) - 1)
    end = max(len(head), size - told)  # of the head: what is in no turn, tools included
    marks = [Mark(_key(sum_, 0), end)]
    if not sums:
        return marks
    if session:
        named = _chain(sums[:1], crc32(session, sum_))
        marks.append(Mark(_key(named, len(session)), end + told))
        return marks
    cut = max(1, len(sums) - LAST)
    length = sizes[0]
    sum_ = _chain(sums[:1], sum_)
    marks.append(Mark(_key(sum_, length), end + length))
    length += sum(sizes[1:cut]) + cut - 1
    sum_ = _chain(sums[1:cut], sum_)
    for turn_sum, turn_size in zip(sums[cut:], sizes[cut:], strict=True):
        length += turn_size + 1
        sum_ = _chain((turn_sum,), sum_)
        marks.append(Mark(_key(sum_, length), end + length))
    return marks


def _chain(sums: Sequence[int], before: int) -> int:
    """The checksum of what the turns ``before`` and these say, whose checksums are given."""
    return crc32(pack(f"<{len(sums)}I", *sums), before)


def arm_of(key: int, weights: Sequence[int]) -> int:
    """Return which of several weighted arms a conversation belongs to, always the same one."""
    point = (_mix(key ^ _ODD_2) * sum(weights)) >> 64
    for arm, weight in enumerate(weights):
        point -= weight
        if point < 0:
            return arm
    raise ValueError("no arm has a weight")


class Homes:
    """The rendezvous order of one set of candidates.

    ``names`` maps backend indices to their ids, which replicas share as they do not share
    indices; ``weights`` tells each one's share of the homes.
    """

    def __init__(self, names: Mapping[int, str], weights: Mapping[int, float]) -> None:
        members = [
            (backend, _seed(name.encode()), weights.get(backend, 1.0))
            for backend, name in names.items()
        ]
        groups = _grouped(members)
        self._groups = [_Lot(members) for *_, members in groups]
        self._heads = _Lot([(n, seed, weight) for n, (seed, weight, _) in enumerate(groups)])

    def order(self, key: int, count: int) -> list[int]:
        """Return the first ``count`` backends for a conversation, its home first."""
        group = self._groups[0]
        if len(self._groups) > 1:
            scores = self._heads.scores(key)
            group = self._groups[scores.index(min(scores))]
        scores = group.scores(key)
        first = sorted(range(len(scores)), key=scores.__getitem__)[:count]
        return [group.numbers[place] for place in first]


_Member = tuple[int, int, float]


def _grouped(members: list[_Member]) -> list[tuple[int, float, list[_Member]]]:
    """Groups of about the square root: to look at groups, then into one, is cheap for 1,000.

    A member's group follows from its own name; the number of groups changes only when the
    number of members doubles.
    """
    if len(members) <= FLAT:
        return [(0, 1.0, members)]
    count = 1 << round(math.log2(len(members)) / 2)
    groups: dict[int, list[_Member]] = {}
    for member in members:
        groups.setdefault(_mix(member[1]) % count, []).append(member)
    return [
        (_mix(number + 1), sum(weight for *_, weight in group), group)
        for number, group in sorted(groups.items())
    ]


class _Lot:
    """Members that draw together. Each has a lane of 128 bits in one long number: to mix all
    of them with a key takes two multiplications, which no lane's product leaves.
    """

    __slots__ = ("_draws", "_halves", "_ones", "_seeds", "_shares", "numbers")

    def __init__(self, members: Sequence[_Member]) -> None:
        self.numbers = [number for number, *_ in members]
        self._shares = [-weight for *_, weight in members]
        self._ones = sum(1 << _LANE * place for place in range(len(members)))
        self._halves = self._ones * _MASK
        self._seeds = sum(seed << _LANE * place for place, (_, seed, _) in enumerate(members))
        self._draws = Struct("<" + "Q8x" * len(members))  # the lower half of each lane

    def scores(self, key: int) -> list[float]:
        """Weighted rendezvous: an exponential draw for each, the smallest wins."""
        mixed = ((self._ones * key ^ self._seeds) * _ODD) & self._halves
        mixed = ((mixed ^ (mixed >> 32)) & self._halves) * _ODD_2
        mixed |= self._ones  # no draw is 0
        draws = self._draws.unpack(mixed.to_bytes(self._draws.size, "little"))
        log, most = math.log, _LOG_MOST
        return [(log(draw) - most) / share for draw, share in zip(draws, self._shares, strict=True)]


def _mix(value: int) -> int:
    value = (value * _ODD) & _MASK
    value = ((value ^ (value >> 32)) * _ODD_2) & _MASK
    return value ^ (value >> 29)


def _key(checksum: int, length: int) -> int:
    """64 bits: two chains have the same key only if checksum and length agree."""
    return ((checksum * _ODD) & _MASK) ^ ((length << 40) & _MASK) or 1


def _seed(name: bytes) -> int:
    return _mix(crc32(name) << 32 ^ len(name))
