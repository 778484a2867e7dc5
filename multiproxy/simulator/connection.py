"""One client connection: request heads by httptools, answers in order, keep-alive limits."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, cast

import httptools

from . import wire
from .wire import Request

if TYPE_CHECKING:
    from .answer import Answer
    from .scripted import ScriptedAnswer
    from .server import Server

_RESET = struct.pack("ii", 1, 0)  # SO_LINGER with 0 s: close sends RST

# What cpp-httplib takes: bytes of a target, fields, bytes of a field.
_TARGET_LIMIT, _FIELDS_LIMIT, _FIELD_LIMIT = 32700, 100, 8186

_ONE_SEND = 16384  # a body from here on does not go out with its head


class Connection(asyncio.Protocol):
    """Serves one request after the other; pipelined ones wait for their turn.

    ``send`` is the transport's write, or a fault's for the request in hand.
    """

    def __init__(self, server: Server) -> None:
        self.server = server
        self.settings = server.settings
        self.transport: asyncio.Transport
        self.send: Callable[[bytes], None]
        # exchange
        self.request: Request | None = None
        self.answer: Answer | ScriptedAnswer | None = None
        self.linger_s = 0.0
        self._closes = False
        # connection
        self._served = 0
        self._pending: deque[Request] = deque()
        self._incoming = Request()
        self._body: list[bytes] = []
        self._target = b""
        self._fields = 0
        self._idle: asyncio.TimerHandle | None = None
        self._deaf = False  # nothing more is read
        self._is_broken = False  # what was read last is no HTTP
        self._parser = httptools.HttpRequestParser(self)

    # -- asyncio -----------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.send = self.transport.write
        self.server.opened(self)
        self._deaf = self.server.silent
        if not self._deaf:
            self._wait_idle()

    def data_received(self, data: bytes) -> None:
        if self._deaf or self.server.silent:
            return
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            # llama-server knows no upgrade: the rest is an ordinary request.
            self._parser = httptools.HttpRequestParser(self)
            rest = data[upgrade.args[0] :]
            if rest:
                self.data_received(rest)
        except httptools.HttpParserError:
            self._deaf = True
            self._is_broken = True
        self._next()

    def eof_received(self) -> bool:
        """A half-closed client: a stream ends at once, a whole answer about 1 s later."""
        self._deaf = True
        if self.answer is None:
            return False
        self.answer.client_left()
        return not self.answer.streams

    def connection_lost(self, error: Exception | None) -> None:
        self._stop_idle()
        self._deaf = True
        if self.answer is not None:
            answer, self.answer = self.answer, None
            if not answer.left:
                answer.client_left()
        self.server.closed(self)

    # -- httptools ---------------------------------------------------------------------

    def on_message_begin(self) -> None:
        self._stop_idle()
        self._incoming = Request()
        self._body = []
        self._target = b""
        self._fields = 0

    def on_url(self, url: bytes) -> None:
        self._target += url
        if len(self._target) > _TARGET_LIMIT:
            raise ValueError("target too long")

    def on_header(self, name: bytes, value: bytes) -> None:
        self._fields += 1
        if self._fields > _FIELDS_LIMIT or len(name) + len(value) > _FIELD_LIMIT:
            raise ValueError("too many or too long fields")
        self._incoming.headers[name.lower()] = value

    def on_headers_complete(self) -> None:
        request = self._incoming
        request.method = self._parser.get_method().decode()
        path, _, query = self._target.partition(b"?")
        request.path, request.query = path.decode("latin-1"), query.decode("latin-1")
        request.keep_alive = self._parser.should_keep_alive()
        if request.headers.get(b"expect", b"").lower() != b"100-continue":
            return
        if self.server.routes.is_known(request) and not self.server.routes.refuses(request):
            self.transport.write(b"HTTP/1.1 100 Continue\r\n")
            self.transport.write(b"\r\n")

    def on_body(self, body: bytes) -> None:
        self._body.append(body)

    def on_message_complete(self) -> None:
        request = self._incoming
        request.body = b"".join(self._body)
        self._pending.append(request)

    # -- answers -----------------------------------------------------------------------

    def _next(self) -> None:
        """Begin the next request, if the connection is free and there is one."""
        if self.request is not None:
            return
        if self._pending:
            self._begin(self._pending.popleft())
        elif self._is_broken:
            if len(self._target) <= _TARGET_LIMIT:  # else it closes without a word
                self.transport.write(wire.LOW_LEVEL_400)
            self.transport.close()

    def _begin(self, request: Request) -> None:
        self.request = request
        self._served += 1
        self.linger_s = 0.0
        self._closes = not request.keep_alive or self._served >= self.settings.keep_alive_max
        self.send = self.transport.write
        self.server.routes.serve(self, request)

    def persistence(self) -> bytes:
        """Return the field that says whether the connection stays open."""
        if self._closes:
            return b"Connection: close\r\n"
        settings = self.settings
        return b"Keep-Alive: timeout=%d, max=%d\r\n" % (
            settings.keep_alive_timeout,
            settings.keep_alive_max,
        )

    def reply(
        self, status: int, body: bytes, content_type: bytes = wire.JSON, extra: bytes = b""
    ) -> None:
        """Write a whole answer and end the exchange."""
        request = self.request
        if request is None or self.transport.is_closing():
            return
        if status >= 400:
            self._closes = True
        head = wire.whole_head(
            status, request.origin, len(body), self.persistence(), content_type, extra
        )
        if request.method == "HEAD":
            head, body = head[:-2] + b"Accept-Ranges: bytes\r\n\r\n", b""
        if len(body) < _ONE_SEND:
            self.send(head + body)
        else:
            self.send(head)
            self.send(body)
        self.done()

    def begin_stream(self) -> None:
        """Write the head of an event stream."""
        assert self.request is not None
        self.send(wire.stream_head(self.request.origin, self.persistence()))

    def end_stream(self) -> None:
        """Write the last chunk and end the exchange."""
        for piece in wire.END:
            self.send(piece)
        self.done()

    def done(self) -> None:
        """The answer is complete: the next request, an idle wait, or the end."""
        self.answer = None
        self.request = None
        self.send = self.transport.write
        if self._closes or (self._deaf and not self._is_broken):
            self.transport.close()
        elif self._pending or self._is_broken:
            self._next()
        else:
            self._wait_idle()

    def close(self, *, reset: bool = False) -> None:
        """End the connection now, with FIN or RST."""
        if reset:
            sock: socket.socket | None = self.transport.get_extra_info("socket")
            if sock is not None:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            self.transport.abort()
        else:
            self.transport.close()

    def _wait_idle(self) -> None:
        self._stop_idle()
        loop = self.server.loop
        self._idle = loop.call_later(self.settings.keep_alive_timeout, self.transport.close)

    def _stop_idle(self) -> None:
        if self._idle is not None:
            self._idle.cancel()
            self._idle = None
