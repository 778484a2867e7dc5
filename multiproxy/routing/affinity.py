"""What a conversation is called, and where it would be at home.

A prompt is a chain of marks: one behind the head, one behind each message, each hashed over
all before it. Two prompts that share a mark share what is before it. With a session's name
the chain is short: the name tells what the messages would.

The home is the first in rendezvous order: every process with the same backends finds the
same one without asking, and a backend that comes or goes moves only its own conversations.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple
from zlib import crc32

_MASK = (1 << 64) - 1
_ODD = 0x9E3779B97F4A7C15  # 2^64 / golden ratio: spreads what a checksum leaves close together
_ODD_2 = 0xBF58476D1CE4E5B9
FLAT = 16  # candidates up to which each is looked at; more are looked at group by group


class Mark(NamedTuple):
    """``key`` (64 bits, never 0) names the prompt's first ``size`` bytes."""

    key: int
    size: int


def marks_of(session: bytes, blocks: Sequence[bytes], head_size: int) -> list[Mark]:
    """Return the marks of a prompt, shortest first.

    ``blocks`` are its head and its messages. A session's sub-conversations (agents send one
    session's name with all of them) differ in their head or their first message.
    """
    if not blocks:
        return []
    head = crc32(blocks[0])
    size = head_size
    marks = [Mark(_spread(head), size)]
    if session and len(blocks) > 1:
        named = crc32(blocks[1], crc32(session, head))
        marks.append(
            Mark(_spread(named, len(session)), size + sum(map(len, blocks)) - len(blocks[0]))
        )
        return marks
    sum_, length = head, 0
    for block in blocks[1:]:
        sum_ = crc32(block, sum_)
        length += len(block)
        # The length is a second check: two chains are one only if both agree.
        marks.append(Mark(_spread(sum_, length), size + length))
    return marks


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
            (backend, _spread(crc32(name.encode()), len(name)), weights.get(backend, 1.0))
            for backend, name in names.items()
        ]
        self._groups = _grouped(members)

    def order(self, key: int, count: int) -> list[int]:
        """Return the first ``count`` backends for a conversation, its home first."""
        if len(self._groups) == 1:
            return [backend for _, backend in sorted(_scores(key, self._groups[0][2]))[:count]]
        ranked = sorted(_scores(key, [(n, seed, w) for n, (seed, w, _) in enumerate(self._groups)]))
        return [min(_scores(key, self._groups[n][2]))[1] for _, n in ranked[:count]]


_Member = tuple[int, int, float]


def _grouped(members: list[_Member]) -> list[tuple[int, float, list[_Member]]]:
    """Groups of about the square root: looking at groups, then into one, is cheap for 1,000.

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


def _scores(key: int, members: Iterable[_Member]) -> list[tuple[float, int]]:
    """Weighted rendezvous: an exponential draw for each, the smallest wins."""
    log = math.log
    found = []
    for number, seed, weight in members:
        mixed = ((key ^ seed) * _ODD) & _MASK
        mixed = ((mixed ^ (mixed >> 32)) * _ODD_2) & _MASK
        found.append((-log(((mixed >> 11) + 1) * 2.0**-53) / weight, number))
    return found


def _mix(value: int) -> int:
    value = (value * _ODD) & _MASK
    value = ((value ^ (value >> 32)) * _ODD_2) & _MASK
    return value ^ (value >> 29)


def _spread(checksum: int, length: int = 0) -> int:
    return _mix((checksum << 32) ^ length ^ 0x5851F42D4C957F2D) or 1
