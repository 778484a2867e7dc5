"""Heads that came before: a program sends the same one again and again, but for its length.

Two heads with the same bytes mean the same, and so do two that differ in nothing but the
digits of one ``Content-Length`` line. What was parsed and checked once need not be again.
"""

import re
from typing import Generic, TypeVar

from multiproxy._http.head import RequestHead, ResponseHead

MAX_HEADS = 128
MAX_HEAD_SIZE = 2048  # bytes of one that is kept
_LENGTH = re.compile(rb"\r\n[Cc]ontent-[Ll]ength: ([0-9]{1,18})\r\n")

Head = TypeVar("Head", RequestHead, ResponseHead)
_Key = bytes | tuple[bytes, bytes]


class HeadMemory(Generic[Head]):
    """The last ``MAX_HEADS`` heads that were worth keeping.

    Only for heads that passed every check which depends on their own bytes alone, and whose
    ``Content-Length``, if they have that line, means their ``content_length``.
    """

    def __init__(self) -> None:
        self._heads: dict[_Key, Head] = {}

    def find(self, raw: bytes) -> Head | None:
        """Return the head with these bytes, which is the caller's own, or None."""
        key, length = _split(raw)
        known = self._heads.get(key)
        return None if known is None else known.copy(length)

    def keep(self, raw: bytes, head: Head) -> None:
        """Remember a head that was parsed from ``raw`` and found good."""
        if len(raw) <= MAX_HEAD_SIZE:
            if len(self._heads) >= MAX_HEADS:
                del self._heads[next(iter(self._heads))]
            key, length = _split(raw)
            self._heads[key] = head.copy(length)


def _split(raw: bytes) -> tuple[_Key, bytes | None]:
    """Return what identifies a head, and the digits that do not.

    A key without digits is a pair: no head's own bytes are equal to it, not even those of
    one that has the line without a number.
    """
    found = _LENGTH.search(raw)
    if found is None:
        return raw, None
    return (raw[: found.start(1)], raw[found.end(1) :]), found[1]
