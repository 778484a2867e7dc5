"""ONE REQUEST, TOP TO BOTTOM. Read ``Exchange.run`` first.

Phases are awaited, in order; pieces of an answer are not: they pass from the backend's
connection through ``relay`` to the client's in one callback.
"""

import asyncio
import re
import sys
import traceback
from typing import TYPE_CHECKING
from urllib.parse import quote

from multiproxy._http.client import BackendConnection
from multiproxy._http.head import RequestHead, ResponseHead
from multiproxy._http.server import ClientConnection
from multiproxy.dialects.passthrough import Passthrough
from multiproxy.dialects.request import Request, understand
from multiproxy.errors import (
    BackendDied,
    BackendError,
    InternalError,
    NoBackend,
    ProxyError,
    ShuttingDown,
    UnknownModel,
)
from multiproxy.routing.table import Route
from multiproxy.scoreboard import Phase
from multiproxy.worker import endpoints, local
from multiproxy.worker.account import Account
from multiproxy.worker.endpoints import Endpoint, Kind, Stream
from multiproxy.worker.relay import Downstream, Relay, Translator
from multiproxy.worker.watch import Watch

if TYPE_CHECKING:
    from multiproxy.worker.main import Worker

_CONTENT_TYPE = re.compile(rb"[A-Za-z0-9.+-]+/[A-Za-z0-9.+-]+(?:; ?[A-Za-z0-9-]+=[A-Za-z0-9-]+)?")


class Exchange:
    """One request and its answer; the ``Exchange`` of ``_http.server``."""

    def __init__(self, worker: "Worker", client: ClientConnection, head: RequestHead) -> None:
        # given
        self._worker = worker
        self._client = client
        self._head = head
        self.request_id = f"req_{worker.new_id()}"
        self.task: asyncio.Task[None] | None = None  # runs ``run``; set by who starts it
        # what ``run`` has found so far
        self._endpoint: Endpoint | None = None
        self._request = Request()
        self._account = Account(worker.live, self.request_id[4:], client.address)
        self._fields = b"X-Request-Id: %b\r\n%b" % (
            self.request_id.encode(),
            worker.cors_fields(head),
        )
        self._downstream = Downstream(client, self._fields)
        self._translator: Translator | None = None
        self._began = worker.now()
        self._watch: Watch | None = None  # from the first tick on
        self._gone = False
        self._running = False  # a task that is cancelled before its first step runs nothing
        # the attempt that runs
        self._connection: BackendConnection | None = None
        self._relay: Relay | None = None

    async def run(self) -> None:
        """Serve the request: every phase once, in order."""
        self._running = True
        try:
            if self._gone:  # with its request, before this task's first step
                return
            self._endpoint = endpoint = endpoints.find(self._head)
            self._worker.guard.check_browser(self._head)
            body = await self._read_body(endpoint)
            if endpoint.is_local:
                self._answer_locally(endpoint)
                return
            self._request = self._understand(endpoint, body)
            route = self._route(self._request.model)
            await self._serve(endpoint, route)
        except asyncio.CancelledError:
            if not self._gone:  # it was not the client: this process ends
                self._tell(ShuttingDown("The server is shutting down; try again."))
        except ProxyError as error:
            self._tell(error)
        except Exception as error:
            traceback.print_exception(error, file=sys.stderr)
            self._tell(InternalError("The proxy failed; its log has the details."))
        finally:
            self._close()

    # -- phases -----------------------------------------------------------------------------

    async def _read_body(self, endpoint: Endpoint) -> bytes:
        has_body = endpoint.kind is Kind.GENERATE
        cap = self._worker.config.limits.body if has_body else endpoints.MAX_GET_BODY
        body = await self._client.body(cap)
        self._account.record.bytes_in = len(body)
        return body

    def _answer_locally(self, endpoint: Endpoint) -> None:
        self._account.understood(endpoint.name, endpoint.dialect, None, stream=False)
        status, fields, body = local.answer(self._worker, endpoint, self._head)
        self._answer(status, fields, body)

    def _understand(self, endpoint: Endpoint, body: bytes) -> Request:
        if endpoint.kind is Kind.QUERY:
            request = Request(model=endpoints.query_of(self._head).get("model"))
        else:
            request = understand(body)
        self._account.understood(
            endpoint.name, endpoint.dialect, request.model, stream=request.stream
        )
        return request

    def _route(self, model: str | None) -> Route:
        self._worker.refresh()
        route = self._worker.backends.table.resolve(model)
        if route is None or not route.candidates:
            if model is None:
                raise UnknownModel("This server has several models: name one.", param="model")
            raise UnknownModel(
                f"The model `{model[:64]}` does not exist or you do not have access to it.",
                param="model",
            )
        self._account.routed(route.model)
        return route

    async def _serve(self, endpoint: Endpoint, route: Route) -> None:
        """Try backends until one answers: at most ``retry.attempts``, each at most once."""
        tried: set[int] = set()
        failure: BackendError | None = None
        failed_in = Phase.QUEUED
        while len(tried) < self._worker.config.retry.attempts:
            self._translator = self._make_translator(endpoint)
            self._account.enter(Phase.QUEUED)
            try:
                lease = await self._worker.placer.place(route, tried)
            except NoBackend:
                if failure is None:
                    raise
                self._account.live.phase = failed_in  # nobody waited: nobody is left to try
                raise failure from None
            try:
                await self._attempt(endpoint, route, lease.backend)
                return
            except BackendError as error:
                if not error.retryable or self._is_committed:
                    raise
                self._worker.placer.failed(lease.backend)
                tried.add(lease.backend)
                failure, failed_in = error, self._account.live.phase
            finally:
                lease.release()
        assert failure is not None
        raise failure

    async def _attempt(self, endpoint: Endpoint, route: Route, backend: int) -> None:
        """Send the request to one backend and hand its answer to the client."""
        self._account.chosen(backend)
        head, body = self._encode(endpoint, route, backend)
        connection, relay = await self._exchange(backend, head, body)
        self._worker.backends.by_index[backend].pool.release(connection)
        if not relay.committed:
            self._answer_collected(relay)

    async def _exchange(
        self, backend: int, head: bytes, body: bytes
    ) -> tuple[BackendConnection, Relay]:
        """Send one request and wait for its answer; again if a reused connection was dead."""
        pool = self._worker.backends.by_index[backend].pool
        fresh = False
        while True:
            self._account.enter(Phase.CONNECTING)
            connection = await pool.acquire(fresh=fresh)
            reused = connection.uses > 0
            error = await self._send(connection, head, body)
            assert self._relay is not None
            if error is None:
                self._account.answered()
                return connection, self._relay
            if not (reused and isinstance(error, BackendDied) and not connection.bytes_received):
                raise error
            fresh = True  # RFC 9112 section 9.3.1: an idle connection may close at any moment

    async def _send(
        self, connection: BackendConnection, head: bytes, body: bytes
    ) -> ProxyError | None:
        assert self._translator is not None
        self._connection = connection
        self._relay = relay = Relay(
            self._client,
            connection,
            self._downstream,
            self._translator,
            max_answer=self._worker.config.limits.answer,
            on_commit=self._on_commit,
        )
        try:
            if self._client.is_slow:
                connection.pause()
            connection.send(head, body, relay)
            self._account.enter(Phase.PREFILL)
            if self._watch is not None:
                self._watch.attempt_began(self._worker.now())
            return await relay.done
        except BaseException:
            connection.abort()
            raise
        finally:
            self._connection = None

    def _on_commit(self) -> None:
        self._account.enter(Phase.DECODING)

    @property
    def _is_committed(self) -> bool:
        return self._relay is not None and self._relay.committed

    def _encode(self, endpoint: Endpoint, route: Route, backend: int) -> tuple[bytes, bytes]:
        heads = self._worker.backends.by_index[backend].heads
        request_id = self.request_id.encode()
        name = route.send_as.get(backend, self._request.model)
        if endpoint.kind is Kind.QUERY:
            path = endpoint.path
            if name is not None:  # a GET would make a router load the model
                path += b"?model=%b&autoload=false" % quote(name, safe="").encode()
            return heads.head(b"GET", path, None, request_id, b"application/json"), b""
        body = self._request.body_for(name)
        accept = b"text/event-stream" if self._request.stream else b"application/json"
        return heads.head(b"POST", endpoint.path, len(body), request_id, accept), body

    def _make_translator(self, endpoint: Endpoint) -> Translator:
        return Passthrough(
            self.request_id,
            needs_role=endpoint.stream is Stream.CHAT,
            native=endpoint.stream is Stream.NATIVE,
            max_event_size=self._worker.config.limits.event,
        )

    # -- answering --------------------------------------------------------------------------

    def _answer_collected(self, relay: Relay) -> None:
        assert relay.head is not None and self._translator is not None
        if self._downstream.is_open:
            raise BackendError("The backend did not answer with a stream.")
        body = relay.body
        if isinstance(self._translator, Passthrough):
            self._translator.read_answer(body)
        self._answer(relay.head.status, _content_type(relay.head), body)

    def _answer(self, status: int, fields: bytes, body: bytes, *, close: bool = False) -> None:
        self._account.record.status = status
        self._account.enter(Phase.FINISHING)
        self._downstream.bytes_out += len(body)
        self._client.answer(status, fields + self._fields, body, close=close)

    def _tell(self, error: ProxyError) -> None:
        """Tell the client what went wrong, in the form that is still possible."""
        if self._gone:
            return
        self._account.failed(error)
        if self._downstream.is_open:
            assert self._translator is not None
            self._downstream.write(self._translator.fail(error))
            self._client.cut_stream()
        else:
            status, fields, body = self._worker.render(error, self.request_id)
            self._answer(status, fields, body, close=error.closes)

    def _close(self) -> None:
        if self._gone:
            self._account.client_gone()
        elif self._downstream.is_open:
            self._account.record.status = 200
        translator = self._translator
        record = self._account.close(
            translator.usage if translator else None,
            translator.events if translator else 0,
            translator.finish_reason if translator else None,
            self._head.get(b"user-agent") or b"",
        )
        record.bytes_out = self._downstream.bytes_out
        noise = self._endpoint is not None and self._endpoint.is_noise and not record.error
        self._worker.finished(self, None if noise else record)

    # -- called back by the client's connection and the worker's clock -------------------------

    def client_gone(self) -> None:
        """Stop the backend in this very callback, then unwind."""
        self._gone = True
        self.stop()

    def stop(self) -> None:
        """End now: the client left, or this process ends."""
        if self._connection is not None:
            self._connection.abort()
        if self.task is not None and self._running:
            self.task.cancel()

    def client_slow(self) -> None:
        if self._connection is not None:
            self._connection.pause()

    def client_ready(self) -> None:
        if self._connection is not None:
            self._connection.resume()

    def tick(self, now: float, now_ns: int) -> None:
        """Count tokens, notice a silent backend, give a quiet client a sign of life."""
        self._account.show()
        translator = self._translator
        if translator is None:
            return
        if self._watch is None:
            self._watch = Watch(self._worker.config.timeouts, self._began)
        backend = self._account.live.backend
        if self._account.count(translator.events, now_ns):
            self._worker.board.load.succeeded(self._worker.index, backend, now_ns)
        if self._relay is not None and self._connection is not None:
            if self._client.is_slow:  # then it is we who do not read
                self._watch.paused(now)
            else:
                self._watch.backend(self._relay, now, is_down=self._worker.is_down(backend))
            if self._relay.done.done():  # a word behind the last chunk would be another answer's
                return
        if self._request.stream:
            self._watch.client(self._downstream, translator, now)


def _content_type(head: ResponseHead) -> bytes:
    value = head.get(b"content-type") or b""
    if not _CONTENT_TYPE.fullmatch(value):
        value = b"application/octet-stream"
    return b"Content-Type: %b\r\n" % value
