"""One connection to one backend: a request out, an answer back, one at a time.

Pieces of the answer are handed to an ``AnswerSink`` inside ``data_received``: no await and
no queue between a backend's bytes and a client's. A connection may be used again only when
its answer is complete to the byte (``is_reusable``): that is what keeps one client's answer
away from another client.
"""

import asyncio
import socket
import struct
from enum import Enum, auto
from typing import Protocol

from multiproxy._http.chunked import ChunkedDecoder, ChunkedError
from multiproxy._http.head import ResponseHead
from multiproxy._http.parser import parse_response_head
from multiproxy.errors import BackendDied, BackendProtocolError, ProxyError

MAX_ANSWER_HEAD = 64 * 1024  # bytes, all 1xx answers included
MAX_INTERIM = 16  # 1xx answers before the final one
# One read may bring what the kernel holds. Bounding that bounds what a client that never
# reads costs: high-water mark plus one read.
RECEIVE_BUFFER = 16 * 1024
_RST_ON_CLOSE = struct.pack("ii", 1, 0)  # SO_LINGER on, 0 s
# Size lines of chunks up to 4 KiB, as llama-server writes them (lower case, no zeros).
_CHUNK_SIZES = {b"%x" % size: size for size in range(1, 4097)}


class AnswerSink(Protocol):
    """Receives one answer. After ``on_failed`` or ``on_end`` nothing more comes."""

    def on_head(self, head: ResponseHead) -> None:
        """The final head has come; 1xx heads were swallowed."""

    def on_piece(self, payload: bytes, framed: bytes | None) -> None:  # per piece
        """Body bytes. ``framed`` is the same as exactly one chunk, when it came as one."""

    def on_pieces(self, pieces: list[tuple[bytes, bytes]]) -> None:  # per read
        """Several pieces that one read brought, each with its chunk; in place of ``on_piece``."""

    def on_end(self) -> None:
        """The body is complete by its framing."""

    def on_failed(self, error: ProxyError) -> None:
        """The connection broke or lied; whatever came before is all there is."""


class State(Enum):
    """IDLE -> HEAD -> BODY -> IDLE ...; CLOSED from anywhere, for good."""

    IDLE = auto()
    HEAD = auto()  # request sent, final head not yet here
    BODY = auto()
    CLOSED = auto()


class BackendConnection(asyncio.Protocol):
    """One connection to one backend; see the module."""

    def __init__(self) -> None:
        # connection
        self.transport: asyncio.Transport = None  # type: ignore[assignment]
        self.state = State.IDLE
        self.uses = 0
        self.idle_since = 0.0  # loop time; the pool's
        self.keep_alive_timeout: float | None = None  # seconds, announced by the backend
        self.keep_alive_max: int | None = None
        # exchange
        self.bytes_received = 0
        self.is_reusable = False
        self._sink: AnswerSink = None  # type: ignore[assignment]
        self._buffer = b""
        self._interim = 0
        self._decoder: ChunkedDecoder | None = None
        self._between_chunks = False
        self._left: int | None = None  # body bytes to come; None: until EOF

    def send(self, head: bytes, body: bytes, sink: AnswerSink) -> None:
        """Write one request; its answer goes to ``sink``. Only while IDLE."""
        assert self.state is State.IDLE
        self.state = State.HEAD
        self.uses += 1
        self.bytes_received = 0
        self.is_reusable = False
        self._sink = sink
        self._buffer = b""
        self._interim = 0
        if len(body) < 16 * 1024:
            self.transport.write(head + body)  # one segment, one system call
        else:
            self.transport.writelines((head, body))

    def pause(self) -> None:
        """Stop reading: the client does not keep up. Idempotent, harmless once closed."""
        if self.state is not State.CLOSED:
            self.transport.pause_reading()

    def resume(self) -> None:
        """Read again. Idempotent, harmless once closed."""
        if self.state is not State.CLOSED:
            self.transport.resume_reading()

    def abort(self) -> None:
        """Close with RST, at once: the backend's only sign that nobody wants the rest."""
        if self.state is State.CLOSED:
            return
        self.state = State.CLOSED
        sock = self.transport.get_extra_info("socket")
        if sock is not None and not self.transport.is_closing():
            try:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RST_ON_CLOSE)
            except OSError:
                pass  # the peer was faster; there is nothing left to reset
        self.transport.abort()

    # -- transport callbacks ----------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]
        sock = transport.get_extra_info("socket")
        if sock is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)

    def data_received(self, data: bytes) -> None:  # per piece
        self.bytes_received += len(data)
        if self.state is State.BODY:
            if self._between_chunks:
                end = data.find(b"\r\n", 0, 6)
                length = _CHUNK_SIZES.get(data[:end])
                if end > 0 and length == len(data) - end - 4 and data.endswith(b"\r\n"):
                    # llama-server writes one event as one chunk: then nothing has to be
                    # undone, and the same bytes can go out to a client that is sent chunks.
                    self._sink.on_piece(data[end + 2 : -2], data)
                    return
                if self._receive_whole_chunks(data):
                    return
            self._receive_body(data)
        elif self.state is State.HEAD:
            self._receive_head(data)
        else:
            # Bytes nobody asked for: the connection is out of step, its next answer could be
            # somebody else's.
            self.abort()

    def _receive_whole_chunks(self, data: bytes) -> bool:  # per piece
        """Hand out ``data`` if it is whole chunks and nothing else; tells whether it was."""
        start, size = 0, len(data)
        pieces = []
        while start < size:
            line_end = data.find(b"\r\n", start, start + 6)
            length = _CHUNK_SIZES.get(data[start:line_end])
            if line_end < 0 or length is None:
                return False
            end = line_end + length + 4
            if end > size or data[end - 2 : end] != b"\r\n":
                return False
            pieces.append((data[line_end + 2 : end - 2], data[start:end]))
            start = end
        self._sink.on_pieces(pieces)
        return True

    def eof_received(self) -> bool:
        self._ended(cleanly=True)
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self._ended(cleanly=exc is None)

    def _ended(self, *, cleanly: bool) -> None:
        if self.state is State.CLOSED:
            return
        before = self.state
        # Only an EOF completes a body that has no length; a reset cuts it short.
        until_eof = (
            cleanly and before is State.BODY and self._decoder is None and self._left is None
        )
        self.state = State.CLOSED
        self.transport.abort()
        if until_eof:
            self._sink.on_end()
        elif before is not State.IDLE:
            self._sink.on_failed(BackendDied("The backend closed the connection too early."))

    # -- reading ----------------------------------------------------------------------------

    def _receive_head(self, data: bytes) -> None:
        data = self._buffer + data
        try:
            while True:
                end = data.find(b"\r\n\r\n")
                if end < 0 or end > MAX_ANSWER_HEAD:
                    if len(data) > MAX_ANSWER_HEAD:
                        raise BackendProtocolError("The backend's answer head is too long.")
                    self._buffer = data
                    return
                head = parse_response_head(data[: end + 4])
                data = data[end + 4 :]
                if head.status >= 200:
                    break
                self._interim += 1
                if head.status == 101 or self._interim > MAX_INTERIM:
                    raise BackendProtocolError("The backend sent an unexpected 1xx answer.")
        except BackendProtocolError as error:
            self._fail(error)
            return
        self._buffer = b""
        self._start_body(head)
        if self.state is State.BODY and (data or self._left == 0):
            self._receive_body(data)

    def _start_body(self, head: ResponseHead) -> None:
        self.state = State.BODY
        self.is_reusable = head.keep_alive
        self.keep_alive_timeout = head.keep_alive_timeout
        self.keep_alive_max = head.keep_alive_max
        self._decoder = ChunkedDecoder() if head.chunked else None
        self._between_chunks = head.chunked
        self._left = head.content_length
        self._sink.on_head(head)

    def _receive_body(self, data: bytes) -> None:
        if self._decoder is not None:
            self._receive_chunked(data, self._decoder)
        else:
            self._receive_counted(data)

    def _receive_chunked(self, data: bytes, decoder: ChunkedDecoder) -> None:
        try:
            payload = decoder.feed(data)
        except ChunkedError as error:
            self._fail(BackendProtocolError(f"The backend's chunked framing is wrong: {error}."))
            return
        self._between_chunks = decoder.at_boundary
        if payload:
            self._sink.on_piece(payload, None)
        if decoder.done:
            self._complete(decoder.rest)

    def _receive_counted(self, data: bytes) -> None:
        rest = b""
        if self._left is not None:
            data, rest = data[: self._left], data[self._left :]
            self._left -= len(data)
        if data:
            self._sink.on_piece(data, None)
        if self._left == 0:
            self._complete(rest)

    def _complete(self, rest: bytes) -> None:
        if self.state is not State.BODY:
            return  # the sink aborted while it was handed the last piece
        if rest:  # a second answer to one request: never pool it
            self.is_reusable = False
        self.state = State.IDLE
        if not self.is_reusable:
            self.abort()
        sink, self._sink = self._sink, None  # type: ignore[assignment]  # frees the exchange
        sink.on_end()

    def _fail(self, error: ProxyError) -> None:
        self.abort()
        self._sink.on_failed(error)
