"""A question of ours to a backend, beside the exchanges: short, whole, and without a slot."""

import asyncio

from multiproxy._http.head import ResponseHead
from multiproxy.errors import BackendProtocolError, BackendTimeout, ProxyError
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

    def on_end(self) -> None:
        if not self.done.done():
            self.done.set_result(None)

    def on_failed(self, error: ProxyError) -> None:
        if not self.done.done():
            self.done.set_exception(error)


async def ask(
    backend: Backend, path: bytes, body: bytes, request_id: str, timeout_s: float
) -> tuple[int, bytes]:
    """POST ``body`` and return (status, whole answer).

    Raises:
        BackendError: no answer, or none within ``timeout_s``.
    """
    head = backend.heads.head(b"POST", path, len(body), request_id.encode(), b"application/json")
    sink = _Collected()
    try:
        async with asyncio.timeout(timeout_s):
            connection = await backend.pool.acquire()
            try:
                connection.send(head, body, sink)
                await sink.done
            except BaseException:
                connection.abort()
                raise
    except TimeoutError as error:
        raise BackendTimeout("The backend did not answer in time.") from error
    backend.pool.release(connection)
    return sink.status, b"".join(sink.parts)
