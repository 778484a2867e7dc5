"""ONE REQUEST, TOP TO BOTTOM. Read ``Exchange.run`` first, then ``Serving.run``.

Phases are awaited, in order; pieces of an answer are not: they pass from the backend's
connection through ``relay`` to the client's in one callback.
"""

import asyncio
import sys
import traceback
from typing import TYPE_CHECKING

from multiproxy._http.head import RequestHead
from multiproxy._http.server import ClientConnection
from multiproxy.dialects.request import Request
from multiproxy.errors import Cancelled, InternalError, ProxyError, ShuttingDown, unserved
from multiproxy.routing.table import Route
from multiproxy.worker import endpoints, local, understanding
from multiproxy.worker.account import Account
from multiproxy.worker.capture import Captured
from multiproxy.worker.endpoints import Endpoint, Kind
from multiproxy.worker.gate import UNCOUNTED
from multiproxy.worker.reply import Reply
from multiproxy.worker.serving import Serving

if TYPE_CHECKING:
    from multiproxy.worker.main import Worker


class Exchange:
    """One request and its answer; the ``Exchange`` of ``_http.service``."""

    def __init__(self, worker: "Worker", client: ClientConnection, head: RequestHead) -> None:
        # given
        self._worker = worker
        self._client = client
        self._head = head
        self.request_id = f"req_{worker.new_id()}"
        self.task: asyncio.Task[None] | None = None  # runs ``run``; set by who starts it
        self._account = Account(worker.live, self.request_id[4:], client.address)
        self._reply = Reply(worker, client, head, self.request_id, self._account)
        # what ``run`` has found so far
        self._visit = UNCOUNTED
        self._serving: Serving | None = None
        self._captured: Captured | None = None
        self._running = False  # a task that is cancelled before its first step runs nothing
        self._gone = False
        self._cancelled = False  # by an operator

    async def run(self) -> None:
        """Serve the request: every phase once, in order."""
        self._running = True
        try:
            if self._gone:  # with its request, before this task's first step
                return
            self._reply.endpoint = endpoint = endpoints.find(self._head)
            if self._worker.tracing is not None and not endpoint.is_local:
                self._account.traced(self._worker.tracing.begin(self._head))
            self._worker.guard.check_browser(self._head)
            self._visit = self._worker.gate.admit(endpoint, self._head)
            if self._visit.is_asked:
                await self._worker.gate.ask(self._visit.principal)
            self._account.admitted(self._visit.principal.name)
            body = await self._read_body(endpoint)
            if endpoint.is_local:
                await self._answer_locally(endpoint)
                return
            if self._worker.captures is not None:
                name = self._visit.principal.name
                self._captured = self._worker.captures.begin(name, body, self._client)
            request = understanding.read(
                endpoint, self._head, body, self._worker.config.limits.objects
            )
            self._account.understood(
                endpoint.name, endpoint.dialect, request.model, stream=request.stream
            )
            await self._serve(endpoint, request, self._route(request))
        except asyncio.CancelledError:
            if self._cancelled:
                self._tell(Cancelled())
            elif not self._gone:  # it was not the client: this process ends
                self._tell(ShuttingDown("The server is shutting down; try again."))
        except ProxyError as error:
            self._tell(error)
        except Exception as error:
            if isinstance(error, RuntimeError) and self._client.is_torn:
                self._gone = True  # uvloop refuses to write before it tells of the reset
                return
            traceback.print_exception(error, file=sys.stderr)
            self._tell(InternalError("The proxy failed; its log has the details."))
        finally:
            self._running = False
            self._close()

    # -- phases -----------------------------------------------------------------------------

    async def _read_body(self, endpoint: Endpoint) -> bytes:
        limit = self._worker.config.limits.body if endpoint.has_body else endpoints.MAX_GET_BODY
        body = await self._client.body(limit)
        self._account.record.bytes_in = len(body)
        encoding = self._head.get(b"content-encoding")
        if encoding is not None and endpoint.has_body:
            body = await understanding.decode(body, encoding, limit)
            self._client.body_grew(len(body))
        return body

    async def _answer_locally(self, endpoint: Endpoint) -> None:
        self._account.understood(endpoint.name, endpoint.dialect, None, stream=False)
        principal = self._visit.principal
        if endpoint.kind is Kind.STORED:
            body = await local.stored(self._worker, self._head, principal.name)
            self._reply.whole(200, local.JSON, body)
        else:
            self._reply.whole(*local.answer(self._worker, endpoint, self._head, principal))

    def _route(self, request: Request) -> Route:
        """Which model serves: the one that is asked for, or the arm of a split."""
        route = understanding.route_of(self._worker, request.model)
        self._account.routed(route.model)
        self._visit.principal.check_model(route.model, request.model)
        if route.arms:
            route = route.arm(self._worker.placer.wishes.key(self._head, request))
            self._account.routed(route.model, route.split)
        return route

    async def _serve(self, endpoint: Endpoint, request: Request, route: Route) -> None:
        """Let the model answer, or, if nobody serves it now, one of its stand-ins."""
        self._serving = serving = Serving(
            self._worker,
            self._client,
            self._head,
            endpoint,
            self._visit.principal,
            self._account,
            self._reply,
            self.request_id,
        )
        for stand_in in (*self._stand_ins(route), None):
            try:
                await serving.run(request, route)
                if route.mirror is not None:
                    self._worker.mirror.offer(endpoint, self._head, request, route, self._account)
                return
            except ProxyError as error:
                if stand_in is None or serving.committed or not unserved(error):
                    raise
                route = stand_in
                self._account.routed(route.model)

    def _stand_ins(self, route: Route) -> list[Route]:
        """The models that serve when this one cannot, as far as the client may use them."""
        found = [self._worker.backends.table.lookup(name) for name in route.fallback]
        may_use = self._visit.principal.may_use
        return [each for each in found if each and each.candidates and may_use(each.model)]

    def _tell(self, error: ProxyError) -> None:
        if not self._gone and self._client.serves(self):
            self._reply.tell(error, self._serving.translator if self._serving else None)

    def _close(self) -> None:
        downstream, endpoint = self._reply.downstream, self._reply.endpoint
        if self._gone:
            self._account.client_gone()
        elif downstream.is_open:
            self._account.record.status = 200
        translator = self._serving.translator if self._serving else None
        record = self._account.close(
            translator.usage if translator else None,
            translator.events if translator else 0,
            translator.finish_reason if translator else None,
            self._head.get(b"user-agent") or b"",
        )
        record.bytes_out = downstream.bytes_out
        # An answer that was cut counts with what was read and said of it.
        prompt_tokens = max(record.prompt_tokens, self._account.live.prompt_processed)
        self._visit.close(prompt_tokens + max(0, record.output_tokens))
        if self._captured is not None:
            self._captured.end(record)
        noise = endpoint is not None and endpoint.is_noise and not record.error
        self._worker.finished(self, None if noise else record)

    # -- called back by the client's connection and the worker's clock -------------------------

    def client_gone(self) -> None:
        """Stop the backend in this very callback, then unwind.

        A client that has its whole stream leaves as it should: SDKs close behind the last event,
        and the backend's end follows.
        """
        if self._serving is not None and self._serving.has_told_all:
            return
        self._gone = True
        self.stop()

    def stop(self) -> None:
        """End now: the client left, or this process ends. What was told to its end ends well."""
        if not self._gone and self._is_answered():
            return
        if self._serving is not None:
            self._serving.abort()
        if self.task is not None and self._running:
            self.task.cancel()

    def _is_answered(self) -> bool:
        """Whether the client has its whole answer, once its stream is ended."""
        if self._serving is not None and self._serving.has_told_all:
            self._serving.finish()
        return self._running and not self._client.serves(self)

    def cancel(self) -> None:
        """End now: an operator wants it."""
        self._cancelled = True
        self.stop()

    def client_slow(self) -> None:
        if self._serving is not None:
            self._serving.pause()

    def client_ready(self) -> None:
        if self._serving is not None:
            self._serving.resume()

    def tick(self, now: float, now_ns: int) -> None:
        """Show the exchange to those who look, and what it waits for."""
        self._account.show()
        if self._serving is not None:
            self._serving.tick(now, now_ns)
