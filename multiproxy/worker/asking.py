"""A question of ours to a backend, beside the exchanges: short, whole, and without a slot."""

import asyncio

from multiproxy._http.head import ResponseHead
from multiproxy.errors import BackendDied, BackendProtocolError, BackendTimeout, ProxyError
from multiproxy.worker.backends import Backend

MAX_ANSWER = 4 << 20  # bytes; a tokenised prompt is long


class _Collected:
    """An ``AnswerSink`` that keeps everything."""

    def __init__(self) -> None:
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.status = 0
        self.parts: list[bytes] = []
        self._size = 0

    def on_head(self, head: ResponseHead) -> None:
        self.status = head.status

    def on_piece(self, payload: bytes, framed: bytes | None) -> None:
        self._size += len(payload)
        if self._size > MAX_ANSWER:
            self.on_failed(BackendProtocolError("The backend's answer is too large."))
        else:
            self.parts.append(payload)

    def on_pieces(self, pieces: list[tuple[bytes, bytes]]) -> None:
        for payload, framed in pieces:
            self.on_piece(payload, framed)

    def on_end(self) -> None:
        if not self.done.done():
            self.done.set_result(None)

    def on_failed(self, error: ProxyError) -> None:
        if not self.done.done():
            self.done.set_exception(error)


async def ask(
    backend: Backend, path: bytes, body: bytes, request_id: str, timeout_s: float
) -> tuple[int, bytes]:
    """POST ``body`` and return (status, whole answer); again if a reused connection was dead.

    Raises:
        BackendError: no answer, or none within ``timeout_s``.
    """
    head = backend.heads.head(b"POST", path, len(body), request_id.encode(), b"application/json")
    try:
        async with asyncio.timeout(timeout_s):
            sink = await _asked(backend, head, body, fresh=False)
            sink = sink or await _asked(backend, head, body, fresh=True)
    except TimeoutError as error:
        raise BackendTimeout("The backend did not answer in time.") from error
    assert sink is not None  # a fresh connection is never a dead idle one
    return sink.status, b"".join(sink.parts)


async def _asked(backend: Backend, head: bytes, body: bytes, *, fresh: bool) -> _Collected | None:
    """Ask once; None when the connection had died while it was idle.

    Raises:
        BackendError: no answer.
    """
    sink = _Collected()
    connection = await backend.pool.acquire(fresh=fresh)
    reused = connection.uses > 0
    try:
        connection.send(head, body, sink)
        await sink.done
    except BackendDied:
        connection.abort()
        if reused and not connection.bytes_received:
            return None
        raise
    except BaseException:
        connection.abort()
        raise
    backend.pool.release(connection)
    return sink
