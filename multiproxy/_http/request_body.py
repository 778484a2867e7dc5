"""One request's body on its way in: framing, caps and timers; asked for once, whole."""

import asyncio

from multiproxy._http.chunked import ChunkedDecoder, ChunkedError
from multiproxy._http.head import RequestHead
from multiproxy.errors import (
    BadFraming,
    BodyTooLarge,
    ClientGone,
    LengthRequired,
    Overloaded,
    ProxyError,
    RequestTimeout,
)

MIN_RATE = 1024  # bytes per second, asked for after MIN_RATE_AFTER_S
MIN_RATE_AFTER_S = 10.0


class BodyRoom:
    """Room for the bodies that one worker holds at a time: ``most`` bytes.

    While it is ``shut`` no body comes in beside one that is held already.
    """

    __slots__ = ("held", "most", "shut")

    def __init__(self, most: int = 512 << 20) -> None:
        self.most = most
        self.held = 0
        self.shut = False

    def enter(self) -> None:
        """Let a body begin.

        Raises:
            Overloaded: none may.
        """
        if self.shut and self.held:
            raise Overloaded("The server is short of memory; try again soon.", retry_after_s=2)

    def take(self, size: int) -> None:
        """Count ``size`` more bytes.

        Raises:
            Overloaded: there is no room for them.
        """
        if self.held + size > self.most:
            raise Overloaded(
                "The server holds as many request bodies as it may; try again soon.",
                retry_after_s=1,
            )
        self.held += size


class RequestBody:
    """The body of one request. ``complete`` tells that its last byte has come.

    ``idle_s`` and ``total_s`` bound the wait; ``now`` is the loop's time. What it needs of the
    ``room`` is taken from its announcement on, or as it comes, until ``release``.
    """

    def __init__(
        self, head: RequestHead, now: float, *, idle_s: float, total_s: float, room: BodyRoom
    ) -> None:
        self._head = head
        self._room = room
        self._held = 0  # bytes of the room
        self._decoder = ChunkedDecoder(strict_density=True) if head.chunked else None
        self._parts: list[bytes] = []
        self._size = 0
        self._cap: int | None = None  # known once somebody wants the body
        self._error: ProxyError | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._began = self._fed_at = now
        self._idle_s = idle_s
        self._total_s = total_s
        self.complete = not head.chunked and not head.content_length

    def feed(self, data: bytes, now: float) -> bytes:
        """Take what belongs to the body; returns the bytes behind its end."""
        try:
            if self._decoder is not None:
                piece = self._decoder.feed(data)
                complete, rest = self._decoder.done, self._decoder.rest
            else:
                left = (self._head.content_length or 0) - self._size
                piece, rest = data[:left], data[left:]
                complete = len(piece) == left
        except ChunkedError as error:
            self.fail(BadFraming(f"The request body is malformed: {error}."))
            return b""
        self._parts.append(piece)
        self._size += len(piece)
        self._fed_at = now
        if self._cap is not None and self._size > self._cap:
            self.fail(_too_large(self._cap))
        elif self._cap is not None and self._decoder is not None and not self._fits(len(piece)):
            pass  # it has failed
        elif complete:
            self.complete = True
            if self._waiter is not None and not self._waiter.done():
                self._waiter.set_result(None)
        return rest

    def check_announced(self, cap: int) -> None:
        """Refuse by the head alone, before anything is read.

        Raises:
            LengthRequired: a POST without any framing.
            BodyTooLarge: the Content-Length is over ``cap`` bytes.
            Overloaded: there is no room for it, or too little memory.
        """
        head = self._head
        if head.content_length is None and not head.chunked and head.method == b"POST":
            raise LengthRequired("A POST needs a Content-Length.")
        if (head.content_length or 0) > cap or self._size > cap:
            raise _too_large(cap)
        if head.chunked or head.content_length:
            self._room.enter()
        self.hold(self._size if head.chunked else head.content_length or 0)

    def hold(self, size: int) -> None:
        """Take room for so many more bytes, until ``release``.

        Raises:
            Overloaded: there is none.
        """
        self._room.take(size)
        self._held += size

    def release(self) -> None:
        """Give all room back. Idempotent."""
        self._room.held -= self._held
        self._held = 0

    def _fits(self, size: int) -> bool:
        try:
            self.hold(size)
        except Overloaded as error:
            self.fail(error)
            return False
        return True

    @property
    def is_awaited_by_client(self) -> bool:
        """Whether the client waits for ``100 Continue`` and has sent nothing yet."""
        return self._head.expects_continue and not self._size and not self.complete

    async def read(self, cap: int) -> bytes:
        """Return the whole body, at most ``cap`` bytes after decoding.

        Raises:
            BodyTooLarge, BadFraming, RequestTimeout, ClientGone, Overloaded: it did not come.
        """
        self._cap = cap
        if self._error is not None:
            raise self._error
        if not self.complete:
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        parts, self._parts = self._parts, []
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def fail(self, error: ProxyError) -> None:
        """Give up; whoever reads the body gets ``error``."""
        self._error = error
        self._parts = []
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_exception(error)

    def client_gone(self) -> None:
        """Nothing more will come."""
        if not self.complete:
            self.fail(ClientGone("The client left."))

    def sweep(self, now: float) -> None:
        """Fail when the body is overdue, or slower than ``MIN_RATE``."""
        elapsed = now - self._began
        if self._waiter is not None and (
            now - self._fed_at >= self._idle_s
            or elapsed > self._total_s
            or (elapsed > MIN_RATE_AFTER_S and self._size < elapsed * MIN_RATE)
        ):
            self.fail(RequestTimeout("The request body did not arrive in time."))


def _too_large(cap: int) -> BodyTooLarge:
    return BodyTooLarge(f"The request body is larger than {cap} bytes.")
