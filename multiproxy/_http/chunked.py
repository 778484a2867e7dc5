"""The chunked transfer coding, strict and bounded: bytes in, the body's bytes out.

Source: RFC 9112 section 7.1. Written by hand because httptools shows neither chunk
extensions nor trailers, so it cannot bound them, and because it has no end of input.
"""

import re
from enum import Enum, auto

MAX_EXTENSION_BYTES = 16 * 1024  # over one message
MAX_TRAILER_BYTES = 8 * 1024
MAX_SIZE_DIGITS = 16  # 2**64 - 1; any number of leading zeros would be a way to stall us
# A body of 1-byte chunks costs 20,000 callbacks per 64 KiB; ordinary clients send kilobytes.
DENSE_AFTER_CHUNKS = 1_000
DENSE_AVERAGE = 16  # bytes per chunk

_TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_QUOTED = rb'"(?:[\t !#-\[\]-~\x80-\xff]|\\[\t -~\x80-\xff])*"'
_SIZE_LINE = re.compile(
    rb"([0-9A-Fa-f]{1,%d})((?:[ \t]*;[ \t]*%s(?:[ \t]*=[ \t]*(?:%s|%s))?)*)"
    % (MAX_SIZE_DIGITS, _TOKEN, _TOKEN, _QUOTED)
)
# Framing behind the body is a lie to somebody, though we drop trailers: RFC 9110 section 6.5.1.
_TRAILER_LINE = re.compile(
    rb"(?!(?i:transfer-encoding|content-length|host):)%s:[\t -~\x80-\xff]*" % _TOKEN
)


class ChunkedError(Exception):
    """The bytes are not the chunked coding, or pass one of its limits."""


class _State(Enum):
    SIZE = auto()
    DATA = auto()
    DATA_END = auto()
    TRAILER = auto()
    DONE = auto()


class ChunkedDecoder:
    """Undoes the chunked coding of one message, fed with pieces cut anywhere.

    After ``done``, ``rest`` holds the bytes behind the message. Chunk extensions and
    trailers are checked and dropped. ``strict_density`` refuses bodies of tiny chunks.
    """

    __slots__ = (
        "_chunks", "_extension_bytes", "_left", "_line", "_state", "_strict_density",
        "_total", "_trailer_bytes", "rest",
    )  # fmt: skip

    def __init__(self, *, strict_density: bool = False) -> None:
        self._state = _State.SIZE
        self._left = 0  # bytes of the current chunk still to come
        self._line = b""  # an unfinished size or trailer line, or half of a CRLF
        self._extension_bytes = 0
        self._trailer_bytes = 0
        self._chunks = 0
        self._total = 0
        self._strict_density = strict_density
        self.rest = b""

    @property
    def done(self) -> bool:
        """Whether the last chunk and the trailers were read."""
        return self._state is _State.DONE

    @property
    def at_boundary(self) -> bool:
        """Whether the next byte begins a chunk's size line."""
        return self._state is _State.SIZE and not self._line

    def feed(self, data: bytes) -> bytes:
        """Return the body bytes in ``data``.

        Raises:
            ChunkedError: malformed, or over a limit. The decoder is of no use afterwards.
        """
        if self._line:
            data, self._line = self._line + data, b""
        pieces: list[bytes] = []
        position, end = 0, len(data)
        while position < end and self._state is not _State.DONE:
            if self._state is _State.DATA:
                piece = data[position : position + self._left]
                pieces.append(piece)
                position += len(piece)
                self._left -= len(piece)
                if not self._left:
                    self._state = _State.DATA_END
            elif self._state is _State.DATA_END:
                if data[position : position + 2] == b"\r\n":
                    position += 2
                    self._state = _State.SIZE
                elif data[position:] == b"\r":
                    self._line = b"\r"
                    position = end
                else:
                    raise ChunkedError("chunk data is not followed by CRLF")
            else:
                line_end = data.find(b"\r\n", position)
                if line_end < 0:
                    self._keep_line(data[position:])
                    position = end
                else:
                    self._take_line(data[position:line_end])
                    position = line_end + 2
        self.rest = data[position:]
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def _keep_line(self, line: bytes) -> None:
        if b"\n" in line or b"\r" in line[:-1]:
            raise ChunkedError("a line does not end with CRLF")
        limit = MAX_TRAILER_BYTES - self._trailer_bytes
        if self._state is _State.SIZE:
            limit = MAX_SIZE_DIGITS + MAX_EXTENSION_BYTES - self._extension_bytes
            if b";" not in line and len(line.rstrip(b" \t\r")) > MAX_SIZE_DIGITS:
                raise ChunkedError("the chunk size has too many digits")
        if len(line) > limit:
            raise ChunkedError("chunk extensions or trailers are too long")
        self._line = line

    def _take_line(self, line: bytes) -> None:
        if self._state is _State.TRAILER:
            self._trailer_bytes += len(line) + 2
            if self._trailer_bytes > MAX_TRAILER_BYTES + 2:  # the empty line counts for nothing
                raise ChunkedError("trailers are too long")
            if not line:
                self._state = _State.DONE
            elif not _TRAILER_LINE.fullmatch(line):
                raise ChunkedError("a trailer is malformed")
            return
        match = _SIZE_LINE.fullmatch(line)
        if match is None:
            raise ChunkedError("the chunk size is malformed")
        self._extension_bytes += len(match[2])
        if self._extension_bytes > MAX_EXTENSION_BYTES:
            raise ChunkedError("chunk extensions are too long")
        self._left = int(match[1], 16)
        self._state = _State.DATA if self._left else _State.TRAILER
        self._chunks += 1
        self._total += self._left
        if (
            self._strict_density
            and self._chunks > DENSE_AFTER_CHUNKS
            and self._total < self._chunks * DENSE_AVERAGE
        ):
            raise ChunkedError("the body comes in too many tiny chunks")
