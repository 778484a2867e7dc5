"""One client's connection: bytes -> head and body of one request at a time, and back.

The connection finds message boundaries, keeps every limit and timer of the client's side
and knows nothing of models. For each request it asks ``Service.open_exchange`` for an
``Exchange``; that one reads the body (``await connection.body(...)``) and answers.

An EOF from the client means that it is gone, half-closed or not: llama-server and HAProxy
(``abortonclose``) read it the same way, and nothing else tells us in time.
"""

import asyncio
import socket
from enum import Enum, auto

from multiproxy._http import serializer
from multiproxy._http.head import RequestHead
from multiproxy._http.parser import parse_request_head
from multiproxy._http.request_body import RequestBody
from multiproxy._http.service import Exchange, Service
from multiproxy.errors import BadFraming, ProxyError, RequestTimeout

MAX_LEADING_BLANK = 4  # bytes of CRLF before a request, RFC 9112 section 2.2
MAX_KEEP_ALIVE_REQUESTS = 1_000
DRAIN_GRACE_S = 1.0  # while draining: a request already on its way still gets its answer
LINGER_S = 1.0  # after an early answer: read and drop what the client still sends
LINGER_BYTES = 1 << 20
ERROR_LINGER_S = 2.0  # after an error event: an abort at once loses it for slow Node readers
HIGH_WATER = 64 * 1024  # bytes waiting for a client before its backend is paused
LOW_WATER = 16 * 1024
SEND_BUFFER = 64 * 1024  # the kernel's own default costs 4.3 MB per client that never reads


class State(Enum):
    """Where a connection is with its current request.

    IDLE -> HEAD -> BODY -> ANSWERING -> IDLE ...; LINGERING only from ANSWERING or after a
    refusal; CLOSED from anywhere.
    """

    IDLE = auto()  # between requests; nothing of the next one has come
    HEAD = auto()
    BODY = auto()
    ANSWERING = auto()  # the request is complete, its answer is not
    LINGERING = auto()  # our last byte is written; reading and dropping
    CLOSED = auto()


class ClientConnection(asyncio.Protocol):
    """One client's connection; see the module."""

    def __init__(self, service: Service) -> None:
        # connection
        self._service = service
        self._loop = asyncio.get_running_loop()
        self.transport: asyncio.Transport = None  # type: ignore[assignment]
        self.address = ""
        self._requests = 0
        self._state = State.IDLE
        self._buffer = b""  # bytes that no request has claimed yet
        self._deadline = 0.0  # loop time at which ``sweep`` acts, per state
        self._slow_since: float | None = None
        # request
        self._head: RequestHead | None = None
        self._exchange: Exchange | None = None
        self._body: RequestBody | None = None
        # answer
        self._chunked = False
        self._close_after = False
        self._dropped = 0  # bytes read while lingering

    # -- transport callbacks ----------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport) or hasattr(transport, "write")
        self.transport = transport  # type: ignore[assignment]
        self.transport.set_write_buffer_limits(high=HIGH_WATER, low=LOW_WATER)
        peer = transport.get_extra_info("peername")
        self.address = peer[0] if isinstance(peer, tuple) else "unix"
        sock = transport.get_extra_info("socket")
        if sock is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
        self._service.connections.add(self)
        self._deadline = self._loop.time() + self._service.limits.head_s

    def data_received(self, data: bytes) -> None:
        state = self._state
        if state is State.IDLE or state is State.HEAD:
            self._receive_head(data)
        elif state is State.BODY:
            self._receive_body(data)
        elif state is State.ANSWERING:
            self._hold(data)
        elif state is State.LINGERING:
            self._dropped += len(data)
            if self._dropped > LINGER_BYTES:
                self._close()

    def eof_received(self) -> bool:
        self._lost()
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self._lost()
        self._service.connections.discard(self)

    def pause_writing(self) -> None:
        self._slow_since = self._loop.time()
        if self._exchange is not None:
            self._exchange.client_slow()

    def resume_writing(self) -> None:
        self._slow_since = None
        if self._exchange is not None:
            self._exchange.client_ready()

    def _lost(self) -> None:
        if self._state is State.CLOSED:
            return
        self._state = State.CLOSED
        exchange, self._exchange = self._exchange, None
        if self._body is not None:
            self._body.client_gone()
            self._body.release()
        if exchange is not None:
            exchange.client_gone()
        self.transport.abort()

    # -- reading ----------------------------------------------------------------------------

    def _receive_head(self, data: bytes) -> None:
        if self._state is State.IDLE:
            self._state = State.HEAD
            if self._requests:  # a new connection's time runs from its accept
                self._deadline = self._loop.time() + self._service.limits.head_s
        data = self._buffer + data
        start = 0
        while data[start : start + 1] in (b"\r", b"\n") and start <= MAX_LEADING_BLANK:
            start += 1
        end = data.find(b"\r\n\r\n", start)
        try:
            if start > MAX_LEADING_BLANK:
                raise BadFraming("Too many empty lines before the request.")
            if end < 0:
                self._service.limits.check_unfinished_head(data[start:])
                self._buffer = data
                return
            if end + 4 > self._service.limits.head:
                raise self._service.limits.too_large(data[start : end + 2])
            self._begin(data[start : end + 4], data[end + 4 :])
        except ProxyError as error:
            self._reject(error)

    def _begin(self, raw: bytes, rest: bytes) -> None:
        self._buffer = b""
        head = self._service.heads.find(raw)
        if head is None:
            head = parse_request_head(raw)
            self._head = head  # so that a refusal is told in its dialect
            self._service.guard.check(head)
            self._service.heads.keep(raw, head)
        self._head = head
        self._requests += 1
        self._close_after = not head.keep_alive or head.version == b"1.0"
        self._body = RequestBody(
            head,
            self._loop.time(),
            idle_s=self._service.limits.body_idle_s,
            total_s=self._service.limits.body_total_s,
            room=self._service.room,
        )
        self._state = State.BODY
        if self._body.complete:
            self._state = State.ANSWERING
            self._hold(rest)
            rest = b""
        self._exchange = self._service.open_exchange(self, head)
        if rest:
            self._receive_body(rest)

    def _receive_body(self, data: bytes) -> None:
        assert self._body is not None
        rest = self._body.feed(data, self._loop.time())
        if self._body.complete:
            self._state = State.ANSWERING
            self._hold(rest)

    def _hold(self, data: bytes) -> None:
        """Keep pipelined bytes, bounded; past the bound the connection ends after this answer.

        Reading is never paused: then a leaving client could not be noticed.
        """
        if not data or self._close_after:
            return
        self._buffer += data
        limits = self._service.limits
        if len(self._buffer) > limits.head or self._buffer.count(b"\r\n\r\n") > limits.pipelined:
            self._buffer = b""
            self._close_after = True

    async def body(self, cap: int) -> bytes:
        """Return the request's whole body, at most ``cap`` bytes (after chunked decoding).

        Answers ``Expect: 100-continue`` first. Called at most once per request.

        Raises:
            LengthRequired: a POST without any framing.
            BodyTooLarge: over ``cap``; from Content-Length before anything is read.
            Overloaded: the bodies that are here leave no room for it.
            BadFraming, RequestTimeout, ClientGone: the body did not come.
        """
        assert self._body is not None
        self._body.check_announced(cap)
        if self._body.is_awaited_by_client:
            self.transport.write(serializer.CONTINUE)
        return await self._body.read(cap)

    def body_grew(self, size: int) -> None:
        """Count what decompression made of the body.

        Raises:
            Overloaded: there is no room for it.
        """
        if self._body is not None:
            self._body.hold(size)

    def _drop_body(self) -> None:
        if self._body is not None:
            self._body.release()
            self._body = None

    # -- answering --------------------------------------------------------------------------

    def answer(self, status: int, fields: bytes, body: bytes, *, close: bool = False) -> None:
        """Send a complete answer; ``fields`` are finished header lines. Ends the exchange."""
        assert self._head is not None
        early = self._state is State.BODY  # the client is still sending: RFC 9112 section 9.6
        self._close_after = self._must_close(close or early)
        self.transport.write(
            serializer.answer(
                status,
                self._service.common_fields + fields,
                body,
                close=self._close_after,
                with_body=self._head.method != b"HEAD",
            )
        )
        if early:
            self._linger(LINGER_S, half_close=True)
        else:
            self._finish()

    def start_stream(self, fields: bytes, payload: bytes) -> bool:
        """Send the head of a good answer of unknown length and its first bytes (may be empty).

        HTTP/1.1 gets chunked framing, HTTP/1.0 a body that ends with the connection. No
        ``Connection: close`` on a chunked stream, unless this process drains: Node's undici
        then takes a missing last chunk for a normal end. Returns whether it is chunked.
        """
        assert self._head is not None
        chunked = self._chunked = self._head.version == b"1.1"
        draining = self._service.draining
        if draining:
            # The one case in which a chunked stream must say it: a client that may send its
            # next request at the very end of this stream has to know that it may not.
            self._close_after = True
        fields = self._service.common_fields + fields
        self.transport.write(serializer.stream(fields, payload, chunked=chunked, close=draining))
        return chunked

    def write(self, payload: bytes) -> None:  # per piece
        """Send more of a stream; ``payload`` is not empty."""
        self.transport.write(serializer.chunk(payload) if self._chunked else payload)

    def end_stream(self) -> None:
        """End a stream that is complete. Ends the exchange."""
        self._close_after = self._close_after or not self._chunked
        if self._chunked and self._state is not State.CLOSED:  # SDKs leave behind the last event
            self.transport.write(serializer.LAST_CHUNK)
        self._finish()
        if self._service.draining:
            # Draining began after the head, which promised keep-alive: close only when
            # the client has had a moment to use it.
            self.drain()

    def cut_stream(self) -> None:
        """End a stream that failed: flush, linger, close without the last chunk.

        The client sees a transport error even if it ignores the error event before it.
        """
        self._linger(ERROR_LINGER_S, half_close=False)

    def serves(self, exchange: Exchange) -> bool:
        """Whether an exchange's client still waits for it: no byte may follow its answer."""
        return self._exchange is exchange and not self.is_torn

    @property
    def is_torn(self) -> bool:
        """Whether nothing can be written any more, though nobody may have been told so yet."""
        return self.transport.is_closing()

    @property
    def is_slow(self) -> bool:
        """Whether the write buffer is over its mark: ``client_ready`` is still to come."""
        return self._slow_since is not None

    @property
    def untaken(self) -> int:
        """Bytes of an answer that wait for the client to take them."""
        return self.transport.get_write_buffer_size()

    def give_up(self) -> None:
        """Cut a client off, whatever it still waits for."""
        self._lost()

    def _must_close(self, wanted: bool) -> bool:
        return (
            wanted
            or self._close_after
            or self._service.draining
            or self._service.crowded
            or self._requests >= MAX_KEEP_ALIVE_REQUESTS
        )

    def _reject(self, error: ProxyError) -> None:
        """Answer a request that never became an exchange; nothing more is parsed."""
        status, fields, body = self._service.render(error, self._head)
        self.transport.write(
            serializer.answer(
                status, self._service.common_fields + fields, body, close=True, with_body=True
            )
        )
        self._linger(LINGER_S, half_close=True)

    def _finish(self) -> None:
        self._exchange = None
        self._head = None
        self._drop_body()
        if self._state is State.CLOSED:
            return
        if self._close_after:
            self._close()
            return
        self._state = State.IDLE
        self._deadline = self._loop.time() + self._service.limits.keep_alive_s
        if self._buffer:
            # Not from here: a run of pipelined requests would nest as deep as it is long.
            self._loop.call_soon(self._next_pipelined)

    def _next_pipelined(self) -> None:
        if self._state is State.IDLE and self._buffer:
            data, self._buffer = self._buffer, b""
            self._receive_head(data)

    # -- closing ----------------------------------------------------------------------------

    def _linger(self, seconds: float, *, half_close: bool) -> None:
        self._exchange = None
        if self._state is State.CLOSED:
            return
        self._state = State.LINGERING
        self._dropped = 0
        self._buffer = b""
        self._drop_body()
        self._deadline = self._loop.time() + seconds
        if half_close and self.transport.can_write_eof():
            self.transport.write_eof()

    def _close(self) -> None:
        """Close after what is written has left; FIN, not RST. ``sweep`` ends the wait."""
        self._state = State.CLOSED
        self._deadline = self._loop.time() + self._service.limits.write_stall_s
        self.transport.close()

    def drain(self) -> None:
        """Shorten an idle connection's life; a request that comes still gets its answer."""
        if self._state is State.IDLE:
            self._deadline = min(self._deadline, self._loop.time() + DRAIN_GRACE_S)

    def sweep(self, now: float) -> None:
        """Act on the timers; called for every connection once or twice a second."""
        if self._slow_since is not None and now - self._slow_since > (
            self._service.limits.write_stall_s
        ):
            self._lost()
            return
        state = self._state
        if state is State.ANSWERING:
            return
        if state is State.BODY:
            assert self._body is not None
            self._body.sweep(now)
        elif now >= self._deadline:
            if state is State.CLOSED:
                self.transport.abort()
            elif state is State.HEAD or (
                state is State.IDLE and not self._requests and self._buffer
            ):
                self._reject(RequestTimeout("The request head did not arrive in time."))
            else:
                self._close()
