"""Where an HTTP/1.1 answer's body begins and ends, for the judge.

Written by hand so that the judge shares no parser with the proxy. It is strict where a
proxy could cheat (a body that ends early, bytes after the end) and knows nothing else.
"""

from enum import Enum


class WireError(Exception):
    """The bytes are not an answer that a client may accept."""


class Place(Enum):
    """Where in an answer the next byte belongs."""

    HEAD = "head"
    LENGTH = "body with a length"
    SIZE = "chunk size"
    CHUNK = "chunk data"
    CHUNK_END = "after chunk data"
    TRAILER = "trailer"
    DONE = "done"


class AnswerReader:
    """Bytes of one answer in, bytes of its body out; ``place`` is DONE at its proper end."""

    def __init__(self) -> None:
        self.place = Place.HEAD
        self.status = 0
        self.closes = False  # the sender ends the connection after this answer
        self._rest = b""
        self._left = 0  # bytes until the body, or this chunk, is complete

    def feed(self, data: bytes) -> bytes:
        """The body bytes in ``data``.

        Raises:
            WireError: wrong framing, or bytes after the answer's end.
        """
        data, self._rest = self._rest + data, b""
        body: list[bytes] = []
        at = 0
        while at < len(data):
            if self.place is Place.DONE:
                raise WireError(f"{len(data) - at} bytes after the end of the answer")
            if self.place in (Place.CHUNK, Place.LENGTH):
                piece = data[at : at + self._left]
                body.append(piece)
                at += len(piece)
                self._left -= len(piece)
                if not self._left:
                    self.place = Place.DONE if self.place is Place.LENGTH else Place.CHUNK_END
                continue
            mark = b"\r\n\r\n" if self.place is Place.HEAD else b"\r\n"
            end = data.find(mark, at)
            if end < 0:
                self._rest = data[at:]
                break
            self._take(data[at:end])
            at = end + len(mark)
        return b"".join(body)

    def _take(self, line: bytes) -> None:
        """Move on past a whole head or one line of the chunked framing."""
        if self.place is Place.HEAD:
            self._take_head(line)
        elif self.place is Place.SIZE:
            try:
                self._left = int(line.split(b";")[0], 16)
            except ValueError:
                raise WireError(f"chunk size {line[:40]!r}") from None
            self.place = Place.CHUNK if self._left else Place.TRAILER
        elif self.place is Place.CHUNK_END:
            if line:
                raise WireError(f"{line[:40]!r} instead of the end of a chunk")
            self.place = Place.SIZE
        elif not line:
            self.place = Place.DONE

    def _take_head(self, head: bytes) -> None:
        start, *lines = head.split(b"\r\n")
        version, _, status = start.partition(b" ")
        if not version.startswith(b"HTTP/1.") or not status[:3].isdigit():
            raise WireError(f"status line {start[:60]!r}")
        self.status = int(status[:3])
        if self.status < 200:
            return  # an interim answer; the real one follows
        fields = dict(_field(line) for line in lines)
        self.closes = fields.get(b"connection", b"").lower() == b"close"
        if fields.get(b"transfer-encoding", b"").lower() == b"chunked":
            self.place = Place.SIZE
        elif b"content-length" in fields:
            self._left = int(fields[b"content-length"])
            self.place = Place.LENGTH if self._left else Place.DONE
        else:
            raise WireError("an answer without a length")


def _field(line: bytes) -> tuple[bytes, bytes]:
    name, _, value = line.partition(b":")
    return name.lower(), value.strip(b" \t")
