"""A backend connection on a transport that is a list, and a sink that keeps what it is told."""

from collections.abc import Iterable

from _http.wire_server import ListTransport

from multiproxy._http.client import BackendConnection
from multiproxy._http.head import ResponseHead
from multiproxy.errors import ProxyError


class Kept:
    """An ``AnswerSink``: ``calls`` are the names of its callbacks, in order."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.heads: list[ResponseHead] = []
        self.pieces: list[bytes] = []
        self.framed: list[bytes | None] = []
        self.error: ProxyError | None = None

    def on_head(self, head: ResponseHead) -> None:
        self.calls.append("head")
        self.heads.append(head)

    def on_piece(self, payload: bytes, framed: bytes | None) -> None:
        assert payload, "an empty piece"
        self.pieces.append(payload)
        self.framed.append(framed)

    def on_pieces(self, pieces: list[tuple[bytes, bytes]]) -> None:
        assert len(pieces) > 1, "no burst"
        for payload, framed in pieces:
            self.on_piece(payload, framed)

    def on_end(self) -> None:
        self.calls.append("end")

    def on_failed(self, error: ProxyError) -> None:
        self.calls.append("failed")
        self.error = error

    @property
    def payload(self) -> bytes:
        return b"".join(self.pieces)


def connected() -> BackendConnection:
    """A connection in state IDLE; its transport's ``written`` has what was sent."""
    connection = BackendConnection()
    connection.connection_made(ListTransport())
    return connection


def asked(connection: BackendConnection | None = None) -> tuple[BackendConnection, Kept]:
    """A connection that has sent a request, and the sink that waits for its answer."""
    connection = connection or connected()
    sink = Kept()
    connection.send(b"POST / HTTP/1.1\r\nContent-Length: 2\r\n\r\n", b"{}", sink)
    return connection, sink


def answered(pieces: Iterable[bytes], *, eof: bool = False) -> tuple[BackendConnection, Kept]:
    """What an answer in these pieces comes to; as a loop would, none after a close."""
    connection, sink = asked()
    for piece in pieces:
        if not connection.transport.is_closing():
            connection.data_received(piece)
    if eof and not connection.transport.is_closing():
        connection.eof_received()
    return connection, sink
