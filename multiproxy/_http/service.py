"""What the connections of one worker's clients share: their bounds, and who answers them."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from multiproxy._http.guard import Guard
from multiproxy._http.head import RequestHead
from multiproxy._http.head_memory import HeadMemory
from multiproxy._http.request_body import BodyRoom
from multiproxy.errors import BadFraming, HeadTooLarge, ProxyError, TargetTooLong

if TYPE_CHECKING:
    from multiproxy._http.server import ClientConnection

_AROUND_TARGET = 64  # bytes of a request line that may stand beside its target


class Exchange(Protocol):
    """What the worker does with one request; called back by its connection."""

    def client_gone(self) -> None:
        """The client closed or reset; nothing can be written any more."""

    def client_slow(self) -> None:
        """The client's write buffer passed the high-water mark: stop the source."""

    def client_ready(self) -> None:
        """The client's write buffer fell to the low-water mark: go on."""


@dataclass(slots=True)
class Limits:
    """Bounds of one client connection: bytes, counts and seconds (config defaults)."""

    head: int = 16 * 1024
    target: int = 8 * 1024
    pipelined: int = 8
    head_s: float = 10.0
    body_idle_s: float = 30.0
    body_total_s: float = 300.0
    keep_alive_s: float = 75.0
    write_stall_s: float = 60.0

    def check_unfinished_head(self, data: bytes) -> None:
        """Refuse what can no longer become a head within the bounds.

        Raises:
            BadFraming: the client speaks TLS.
            TargetTooLong, HeadTooLarge: it is longer than one may be.
        """
        if data[:1] == b"\x16":
            raise BadFraming("This port speaks plain HTTP, not TLS.")
        if len(data) > self.head:
            raise self.too_large(data)

    def too_large(self, data: bytes) -> ProxyError:
        """Tell which part of a head is over its bound; ``data`` is all that came of it."""
        line_end = data.find(b"\r\n")
        if line_end < 0 or line_end > self.target + _AROUND_TARGET:
            return TargetTooLong(f"The request target is longer than {self.target} bytes.")
        return HeadTooLarge(f"The request head is longer than {self.head} bytes.")


@dataclass(slots=True)
class Service:
    """What all connections of a worker share.

    ``render`` turns an error into (status, header lines, body) in the right dialect; the
    head is None when there is none to tell the dialect from. ``common_fields`` are header
    lines of every answer.
    """

    guard: Guard
    limits: Limits
    open_exchange: Callable[["ClientConnection", RequestHead], Exchange]
    render: Callable[[ProxyError, RequestHead | None], tuple[int, bytes, bytes]]
    connections: set["ClientConnection"]
    draining: bool = False
    crowded: bool = False  # no connection is kept for a next request
    common_fields: bytes = b"Server: multiproxy\r\n"
    heads: HeadMemory[RequestHead] = field(default_factory=HeadMemory)
    room: BodyRoom = field(default_factory=BodyRoom)
