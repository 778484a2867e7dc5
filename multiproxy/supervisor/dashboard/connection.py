"""One browser connection: bytes <-> requests and answers through h11, with every limit.

Read ``serve`` first. The rate is a few requests per second and one small message per tick, so
this is the one HTTP server of ours that may be a coroutine per connection.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from email.utils import formatdate
from http import HTTPStatus
from typing import Any

import h11

from multiproxy.errors import (
    BadFraming,
    BodyTooLarge,
    HeadTooLarge,
    MethodNotAllowed,
    ProxyError,
    RequestTimeout,
    UnsupportedTransferCoding,
)
from multiproxy.supervisor.dashboard.admission import Admission
from multiproxy.supervisor.dashboard.messages import (
    ALWAYS,
    EventStream,
    Request,
    Response,
    split_target,
)

MAX_HEAD = 16 * 1024  # bytes
MAX_BODY = 64 * 1024
METHODS = ("GET", "HEAD", "POST")

HEAD_TIMEOUT_S = 10.0  # from the first byte of a head to its end
BODY_TIMEOUT_S = 10.0
IDLE_TIMEOUT_S = 75.0  # between two requests
STALL_TIMEOUT_S = 60.0  # a viewer that reads nothing
LINGER_S = 1.0  # for a refused client to read why, before the reset its late bytes cause

READ_SIZE = 16 * 1024
WRITE_BUFFER = 64 * 1024  # above this a stream waits, and its newest tick is dropped

Answer = Callable[[Request], Awaitable[Response | EventStream]]


class Connection:
    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        answer: Answer,
        admission: Admission,
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._answer = answer
        self._admission = admission
        self._local_address: str = writer.get_extra_info("sockname")[0]
        self._client: str = (writer.get_extra_info("peername") or ("",))[0]
        self._h11 = h11.Connection(h11.SERVER, max_incomplete_event_size=MAX_HEAD)
        self._head_only = False  # of the current exchange
        writer.transport.set_write_buffer_limits(high=WRITE_BUFFER)

    async def serve(self) -> None:
        """Answers requests until either side wants no more; never raises for the client."""
        try:
            patience_s = HEAD_TIMEOUT_S
            while await self._exchange(patience_s):
                patience_s = IDLE_TIMEOUT_S
            await self._finish()
        except OSError:
            pass  # it left, maybe before it was told the end (ENOTCONN), or it never reads
        finally:
            self._writer.transport.abort()  # without effect after an orderly end

    async def _exchange(self, patience_s: float) -> bool:
        """One request and its answer. False: the connection is over."""
        if not await self._first_byte(patience_s):
            return False
        try:
            request = await self._receive()
        except ProxyError as refusal:
            await self._refuse(refusal)
            return False
        if request is None:
            return False

        answer = await self._answer(request)
        if isinstance(answer, EventStream):
            await self._send_stream(answer)
        else:
            await self._send(answer)

        if self._h11.our_state is not h11.DONE or self._h11.their_state is not h11.DONE:
            return False
        self._h11.start_next_cycle()
        return True

    # -- reading -----------------------------------------------------------------------------

    async def _first_byte(self, patience_s: float) -> bool:
        if self._h11.trailing_data[0]:  # the next request came together with the last one
            return True
        try:
            async with asyncio.timeout(patience_s):
                data = await self._reader.read(READ_SIZE)
        except TimeoutError:
            return False
        self._h11.receive_data(data)
        return bool(data)

    async def _receive(self) -> Request | None:
        """The next request, checked; None when the client closed instead.

        Raises:
            ProxyError: what to tell the client before closing.
        """
        try:
            async with asyncio.timeout(HEAD_TIMEOUT_S):
                head = await self._event()
            if not isinstance(head, h11.Request):
                return None
            request = self._check(head)
            async with asyncio.timeout(BODY_TIMEOUT_S):
                return await self._with_body(request)
        except TimeoutError as error:
            raise RequestTimeout("The request did not arrive in time.") from error
        except h11.RemoteProtocolError as error:
            if error.error_status_hint == HeadTooLarge.status:
                raise HeadTooLarge("The request's head is too large.") from error
            if error.error_status_hint == UnsupportedTransferCoding.status:
                raise UnsupportedTransferCoding("Only chunked is understood.") from error
            raise BadFraming("This is not a well-formed HTTP/1.1 request.") from error

    async def _event(self) -> Any:
        while (event := self._h11.next_event()) is h11.NEED_DATA:
            if self._h11.they_are_waiting_for_100_continue:
                self._write(h11.InformationalResponse(status_code=100, headers=[]))
            self._h11.receive_data(await self._reader.read(READ_SIZE))
        return event

    def _check(self, head: h11.Request) -> Request:
        """Everything that can be refused before the body is read."""
        self._head_only = head.method == b"HEAD"
        # h11 bounds heads that arrive in parts; one that came in a single read is measured here.
        size = len(head.target) + sum(len(name) + len(value) + 4 for name, value in head.headers)
        if size > MAX_HEAD:
            raise HeadTooLarge("The request's head is too large.")
        headers = {name.decode(): value.decode("latin-1") for name, value in head.headers}
        target = head.target.decode("latin-1")
        authority = headers.get("host", "")
        if target.startswith("http://"):  # RFC 9112 section 3.2.2: absolute-form wins over Host
            authority, slash, rest = target[7:].partition("/")
            target = slash + rest or "/"
        self._admission.check_host(authority, self._local_address)
        method = head.method.decode("latin-1")
        if method not in METHODS:
            raise MethodNotAllowed(
                "Only GET, HEAD and POST are served.", headers=((b"allow", b"GET, HEAD, POST"),)
            )
        if not target.startswith("/"):
            raise BadFraming("The request target is not a path.")
        if method == "POST":
            self._admission.check_origin(
                authority, headers.get("origin"), headers.get("sec-fetch-site")
            )
        if int(headers.get("content-length", "0")) > MAX_BODY:
            raise BodyTooLarge(f"The body is larger than {MAX_BODY} bytes.")
        path, query = split_target(target)
        return Request(method, path, query, headers, client=self._client)

    async def _with_body(self, request: Request) -> Request:
        body = bytearray()
        while isinstance(event := await self._event(), h11.Data):
            body += event.data
            if len(body) > MAX_BODY:
                raise BodyTooLarge(f"The body is larger than {MAX_BODY} bytes.")
        return replace(request, body=bytes(body))

    # -- writing -----------------------------------------------------------------------------

    def _write(self, event: Any) -> None:
        data = self._h11.send(event)
        if data:
            self._writer.write(data)

    def _head(self, status: int, *headers: tuple[str, str]) -> h11.Response:
        date = ("Date", formatdate(usegmt=True))
        reason = HTTPStatus(status).phrase
        return h11.Response(status_code=status, reason=reason, headers=[date, *headers, *ALWAYS])

    async def _send(self, response: Response) -> None:
        self._write(
            self._head(
                response.status,
                ("Content-Type", response.content_type),
                ("Content-Length", str(len(response.body))),
                ("Cache-Control", response.cache_control),
                *response.headers,
            )
        )
        if not self._head_only:
            self._write(h11.Data(data=response.body))
        self._write(h11.EndOfMessage())
        await self._drain()

    async def _send_stream(self, stream: EventStream) -> None:
        try:
            self._write(
                self._head(
                    200,
                    ("Content-Type", stream.content_type),
                    ("Cache-Control", "no-store"),
                    ("X-Accel-Buffering", "no"),  # nginx would hold messages back otherwise
                    *stream.headers,
                )
            )
            if not self._head_only:
                await self._pump(stream)
            self._write(h11.EndOfMessage())
            await self._drain()
        finally:
            stream.seat.close()

    async def _pump(self, stream: EventStream) -> None:
        """Passes messages on until the feed ends or the viewer leaves."""

        async def send_all() -> None:
            while (message := await stream.seat.next()) is not None:
                self._write(h11.Data(data=message))
                await self._drain()

        sender = asyncio.ensure_future(send_all())
        # A browser sends nothing while it listens: the first byte, or the end, is its leaving.
        leaving = asyncio.ensure_future(self._reader.read(1))
        try:
            await asyncio.wait({sender, leaving}, return_when=asyncio.FIRST_COMPLETED)
            if not sender.done():
                raise ConnectionResetError("the viewer left")
            sender.result()
        finally:
            sender.cancel()
            leaving.cancel()
            await asyncio.gather(sender, leaving, return_exceptions=True)

    async def _drain(self) -> None:
        async with asyncio.timeout(STALL_TIMEOUT_S):
            await self._writer.drain()

    async def _refuse(self, refusal: ProxyError) -> None:
        """Tells the client what was wrong with its bytes; nothing may follow on the connection."""
        if self._h11.our_state not in (h11.IDLE, h11.SEND_RESPONSE):
            return
        fields = [(name.decode(), value.decode()) for name, value in refusal.headers]
        text = Response.text(refusal.status, refusal.message)
        await self._send(replace(text, headers=(("Connection", "close"), *fields)))

    async def _finish(self) -> None:
        """Ends our side and waits, bounded, for the client to read what it was sent."""
        self._writer.transport.set_write_buffer_limits(high=0)
        await self._drain()  # everything is with the kernel
        self._writer.write_eof()
        try:
            async with asyncio.timeout(LINGER_S):
                while await self._reader.read(READ_SIZE):
                    pass
        except TimeoutError:
            pass
