"""Which trace a request belongs to: the fields that say so, read and written.

Source: https://www.w3.org/TR/trace-context/ (traceparent, tracestate).
"""

import hashlib
import re
from typing import NamedTuple

SAMPLED = 1
SIZE = 25  # bytes of an encoded trace
NO_PARENT = bytes(8)
_KNOWN_FLAGS = 0b11  # sampled, random
_PARENT = re.compile(rb"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
_MEMBER = rb"[a-z0-9][a-z0-9_*/@-]{0,255}=[!-+\--<>-~ ]{0,255}[!-+\--<>-~]"
_STATE = re.compile(rb"%b(?:[ \t]*,[ \t]*%b){0,31}" % (_MEMBER, _MEMBER))
_MAX_STATE = 512  # bytes: what everybody passes on


class Trace(NamedTuple):
    """16 bytes of the trace, 8 of the client's span (``NO_PARENT`` when the trace begins here).

    ``state`` is what others along the way want to be told, unread.
    """

    id: bytes
    parent: bytes
    flags: int
    state: bytes = b""

    def encode(self) -> bytes:
        """``SIZE`` bytes without ``state``."""
        return self.id + self.parent + bytes((self.flags,))

    def fields(self, span: bytes) -> bytes:
        """The header lines for the next station, which is called from ``span``."""
        lines = b"traceparent: 00-%b-%b-%02x\r\n" % (
            self.id.hex().encode(), span.hex().encode(), self.flags,
        )  # fmt: skip
        return lines + b"tracestate: %b\r\n" % self.state if self.state else lines


def read(parents: list[bytes], states: list[bytes]) -> Trace | None:
    """The trace of a request with these fields; None when they name none, or are malformed."""
    if len(parents) != 1:
        return None
    match = _PARENT.fullmatch(parents[0])
    if match is None:
        return None
    version, trace, span, flags, rest = match.groups()
    if version == b"ff" or (version == b"00" and rest) or not (int(trace, 16) and int(span, 16)):
        return None
    state = b",".join(states)
    if len(state) > _MAX_STATE or not _STATE.fullmatch(state):
        state = b""  # what is malformed is dropped, and the trace goes on
    return Trace(
        bytes.fromhex(trace.decode()),
        bytes.fromhex(span.decode()),
        int(flags, 16) & _KNOWN_FLAGS,
        state,
    )


def decode(encoded: bytes) -> Trace:
    """What ``Trace.encode`` gave."""
    return Trace(encoded[:16], encoded[16:24], encoded[24])


def span_id(request_id: str, attempt: int) -> bytes:
    """The span of a request (attempt 0) or of one of its attempts.

    It follows from the request, so that who tells a backend of it and who makes the span
    later need not talk to each other.
    """
    return hashlib.blake2b(b"%b %d" % (request_id.encode(), attempt), digest_size=8).digest()
