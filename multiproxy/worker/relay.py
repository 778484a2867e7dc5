"""The per-piece path: a backend's answer -> translator -> the client, in one callback.

A ``Relay`` receives one attempt's answer. A stream is *committed* when its first content is
handed to the client; until then nothing the client could not get from another backend has
been sent, so the attempt may fail unseen. Other answers are collected whole: they can fail
unseen to their last byte.
"""

import asyncio
import re
from collections.abc import Callable
from functools import lru_cache

from multiproxy._http.client import BackendConnection
from multiproxy._http.head import ResponseHead
from multiproxy._http.server import ClientConnection
from multiproxy.dialects.classify import classify
from multiproxy.dialects.splice import Splice
from multiproxy.dialects.translator import Translator
from multiproxy.errors import BackendDied, BackendProtocolError, ProxyError

_EVENT_STREAM = (
    b"Content-Type: text/event-stream; charset=utf-8\r\n"
    b"Cache-Control: no-cache\r\n"
    b"X-Accel-Buffering: no\r\n"  # nginx in front would hold events back
)
_CONTENT_TYPE = re.compile(rb"[A-Za-z0-9.+-]+/[A-Za-z0-9.+-]+(?:; ?[A-Za-z0-9-]+=[A-Za-z0-9-]+)?")
MAX_ERROR_BODY = 64 * 1024  # bytes of a backend's error answer that are read


class Downstream:
    """The client's side of one exchange's stream: opened once, whatever the attempts do.

    ``fields`` are the header lines of every answer of the exchange.
    """

    __slots__ = ("_client", "bytes_out", "chunked", "fields", "is_open")

    def __init__(self, client: ClientConnection) -> None:
        self._client = client
        self.fields = b""
        self.is_open = False
        self.chunked = False
        self.bytes_out = 0

    def open(self, payload: bytes) -> None:
        """Send the head of a stream and what is there already."""
        self.is_open = True
        self.bytes_out += len(payload)
        fields = _EVENT_STREAM + self.fields
        self.chunked = self._client.start_stream(fields, payload)

    def write(self, payload: bytes) -> None:
        """Send more, opening the stream if need be; nothing for ``b""``."""
        if not self.is_open:
            self.open(payload)
        elif payload:
            self.bytes_out += len(payload)
            self._client.write(payload)


class Relay:
    """Receives the answer of one attempt; an ``AnswerSink``.

    ``done`` is set to None when the answer is complete (a stream is then wholly written; a
    collected or folded answer is in ``body``), or to what went wrong. ``reads_all`` lets the
    translator read a good answer of any content type; ``folds`` keeps what it makes for one
    body at the end. ``splice`` makes the answer the rest of another one, of which the client
    has the beginning. A bug of ours in a callback becomes its exception: the loop would end
    the connection, and whoever awaits ``done`` would blame the backend or wait for ever.
    """

    def __init__(
        self,
        client: ClientConnection,
        connection: BackendConnection,
        downstream: Downstream,
        translator: Translator,
        *,
        max_answer: int,
        reads_all: bool,
        folds: bool,
        on_begin: Callable[[], None],
        splice: Splice | None = None,
    ) -> None:
        self.done: asyncio.Future[ProxyError | None] = asyncio.get_running_loop().create_future()
        self.head: ResponseHead | None = None
        self.begun = False  # there is content, though a fold or hidden thinking keeps it back
        self.committed = False
        self._client = client
        self._connection = connection
        self._downstream = downstream
        self._translator = translator
        self._max_answer = max_answer
        self._reads_all = reads_all
        self._folds = folds
        self._splice = splice
        self._on_begin = on_begin
        self._streaming = False
        self._is_folding = False  # only at the end will there be something to tell
        self._content_type = b""
        self._held = b""  # produced before the commit point
        self._parts: list[bytes] = []
        self._size = 0

    @property
    def body(self) -> bytes:
        """The collected or folded answer."""
        return b"".join(self._parts)

    @property
    def content_type(self) -> bytes:
        """The header line that tells of what type the collected answer is."""
        return _content_type_line(self._content_type)

    def on_head(self, head: ResponseHead) -> None:
        self.head = head
        self._content_type = head.get(b"content-type") or b""
        self._streaming = head.status == 200 and (
            self._reads_all or _media_type(self._content_type) == b"text/event-stream"
        )

    def on_piece(self, payload: bytes, framed: bytes | None) -> None:  # per piece
        try:
            if not self._streaming:
                self._collect(payload)
                return
            translator = self._translator
            if self._splice is not None:
                payload, framed = self._splice.feed(payload), None
                if not payload:
                    return
            out = translator.feed(payload)
            if self.committed:
                downstream = self._downstream
                downstream.bytes_out += len(out)
                if out is payload and framed is not None and downstream.chunked:
                    self._client.transport.write(framed)  # the backend's own chunk, untouched
                elif out:
                    self._client.write(out)  # it is open
            elif out or not self._is_folding:
                self._before_commit(out)
            if translator.failure is not None:
                self._end(translator.failure)
        except Exception as error:
            self._break(error)

    def on_pieces(self, pieces: list[tuple[bytes, bytes]]) -> None:  # per read
        """What one read brought leaves in one write: busy backends send many events at once."""
        if self._splice is not None or not (self.committed or self._is_folding):
            for payload, framed in pieces:
                if self.done.done():
                    return  # it failed in the middle
                self.on_piece(payload, framed)
            return
        try:
            translator = self._translator
            parts, is_untouched = [], self._downstream.chunked
            for payload, _ in pieces:
                out = translator.feed(payload)
                is_untouched = is_untouched and out is payload
                parts.append(out)
            made = b"".join(parts)
            if self._is_folding:
                self._held += made
            elif is_untouched:  # the backend's own chunks
                self._downstream.bytes_out += len(made)
                self._client.transport.write(b"".join([framed for _, framed in pieces]))
            else:
                self._downstream.write(made)
            if translator.failure is not None:
                self._end(translator.failure)
        except Exception as error:
            self._break(error)

    def on_end(self) -> None:
        try:
            if self._streaming:
                self._end_stream()
            else:
                self._end_collected()
        except Exception as error:
            self._break(error)

    def on_failed(self, error: ProxyError) -> None:
        if self.is_finished:
            self.on_end()  # all that counts has come
        else:
            self._end(error)

    @property
    def life(self) -> tuple[int, object]:
        """Changes with every sign that the backend works: content, progress, body bytes."""
        source = self._splice or self._translator
        return self._translator.events + self._size, source.progress

    def fail(self, error: ProxyError) -> None:
        """Give this attempt up."""
        self._end(error)

    def finish(self) -> None:
        """End a stream whose backend finished but does not close: nothing more is awaited."""
        self._connection.abort()
        self._end_stream()

    @property
    def is_finished(self) -> bool:
        """Whether the stream's content is complete, though the backend may not have ended."""
        if not self._streaming or self._translator.failure is not None:
            return False
        if self._reads_all:  # its tail waits for the last counts
            return self._translator.finish_reason is not None
        return self._translator.finished

    def _before_commit(self, out: bytes) -> None:
        self._held += out
        if not self.begun and self._translator.events:
            self._begin()
        if self._translator.started and self._translator.failure is None:
            self._commit(b"")

    def _begin(self) -> None:
        self.begun = True
        self._is_folding = self._folds
        self._on_begin()

    def _commit(self, more: bytes) -> None:
        self.committed = True
        if not self.begun:
            self._begin()
        held, self._held = self._held, b""
        self._downstream.write(self._translator.open() + held + more)

    def _collect(self, payload: bytes) -> None:
        self._size += len(payload)
        assert self.head is not None
        if self.head.status >= 400:
            if self._size <= MAX_ERROR_BODY:
                self._parts.append(payload)
        elif self._size > self._max_answer:
            self._end(BackendProtocolError("The backend's answer is too large."))
        else:
            self._parts.append(payload)

    def _end_stream(self) -> None:
        out = self._translator.eof()
        if self._translator.failure is not None:
            if self.committed:  # a last event without its blank line
                self._downstream.write(out)
            self._end(self._translator.failure)
            return
        if self._folds:
            self._parts = [self._held, out]
            self._settle(None)
            return
        if self.committed:
            self._downstream.write(out)
        else:
            self._commit(out)
        self._client.end_stream()
        self._settle(None)

    def _end_collected(self) -> None:
        head = self.head
        assert head is not None
        if head.status >= 400:
            self._settle(classify(head.status, self.body))
        elif head.status >= 300:
            self._settle(BackendProtocolError("The backend answered with a redirect."))
        elif not self._parts and head.status == 200 and head.content_length != 0:
            self._settle(BackendDied("The backend's answer is empty."))
        elif self._parts and not self._is_json:  # a web page, or another server altogether
            self._settle(BackendProtocolError("The backend's answer is not JSON."))
        else:
            self._settle(None)

    @property
    def _is_json(self) -> bool:
        media_type = _media_type(self._content_type)
        return media_type in (b"", b"application/json") or media_type.endswith(b"+json")

    def _end(self, error: ProxyError) -> None:
        self._connection.abort()
        self._settle(error)

    def _break(self, error: Exception) -> None:
        self._connection.abort()
        if not self.done.done():
            self.done.set_exception(error)

    def _settle(self, error: ProxyError | None) -> None:
        if not self.done.done():
            self.done.set_result(error)


# Answers have few types, and one server always the same: each is read once.
@lru_cache(maxsize=64)
def _media_type(value: bytes) -> bytes:
    return value.split(b";")[0].strip(b" \t").lower()


@lru_cache(maxsize=64)
def _content_type_line(value: bytes) -> bytes:
    if not _CONTENT_TYPE.fullmatch(value):
        value = b"application/octet-stream"
    return b"Content-Type: %b\r\n" % value
