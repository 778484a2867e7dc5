"""ONE REQUEST, TOP TO BOTTOM. Read ``Exchange.run`` first.

Phases are awaited, in order; pieces of an answer are not: they pass from the backend's
connection through ``relay`` to the client's in one callback.
"""

import asyncio
import sys
import traceback
from collections.abc import Collection
from typing import TYPE_CHECKING

from multiproxy._http.head import RequestHead
from multiproxy._http.server import ClientConnection
from multiproxy.dialects.continuation import Spoken
from multiproxy.dialects.jobs import Job, Responses
from multiproxy.dialects.native_job import ByBackend
from multiproxy.dialects.passthrough import Passthrough
from multiproxy.dialects.request import Request
from multiproxy.dialects.splice import Splice
from multiproxy.dialects.translator import Translator
from multiproxy.errors import (
    BackendDied,
    BackendError,
    Cancelled,
    InternalError,
    NoBackend,
    ProxyError,
    ShuttingDown,
    unserved,
)
from multiproxy.routing.recall import Wish
from multiproxy.routing.table import Route
from multiproxy.scoreboard import Phase
from multiproxy.worker import counting, endpoints, fitting, local, outgoing, rescue, understanding
from multiproxy.worker.account import Account
from multiproxy.worker.attempt import Attempt
from multiproxy.worker.endpoints import Endpoint, Kind
from multiproxy.worker.gate import UNCOUNTED
from multiproxy.worker.placer import Lease
from multiproxy.worker.relay import Downstream, Relay
from multiproxy.worker.watch import Watch

if TYPE_CHECKING:
    from multiproxy.worker.main import Worker

# What was tried with several backends is not helped by an SDK's two further tries.
_NO_RETRY = ((b"x-should-retry", b"false"),)


class Exchange:
    """One request and its answer; the ``Exchange`` of ``_http.server``."""

    def __init__(self, worker: "Worker", client: ClientConnection, head: RequestHead) -> None:
        # given
        self._worker = worker
        self._client = client
        self._head = head
        self.request_id = f"req_{worker.new_id()}"
        self.task: asyncio.Task[None] | None = None  # runs ``run``; set by who starts it
        self._began = worker.now()
        # what ``run`` has found so far
        self._endpoint: Endpoint | None = None
        self._visit = UNCOUNTED
        self._job: Job | None = None  # as the backend that is asked, or will be first, needs it
        self._account = Account(worker.live, self.request_id[4:], client.address)
        self._downstream = Downstream(client)
        self._translator: Translator | None = None
        self._attempt: Attempt | None = None
        self._watch: Watch | None = None  # from the first tick on
        self._running = False  # a task that is cancelled before its first step runs nothing
        self._gone = False
        self._cancelled = False  # by an operator

    async def run(self) -> None:
        """Serve the request: every phase once, in order."""
        self._running = True
        try:
            if self._gone:  # with its request, before this task's first step
                return
            self._endpoint = endpoint = endpoints.find(self._head)
            self._worker.guard.check_browser(self._head)
            self._visit = self._worker.gate.admit(endpoint, self._head)
            self._account.admitted(self._visit.principal.name)
            body = await self._read_body(endpoint)
            if endpoint.is_local:
                await self._answer_locally(endpoint)
                return
            request = understanding.read(endpoint, self._head, body)
            self._account.understood(
                endpoint.name, endpoint.dialect, request.model, stream=request.stream
            )
            route = understanding.route_of(self._worker, request.model)
            self._account.routed(route.model)
            self._visit.principal.check_model(route.model, request.model)
            if route.arms:
                route = route.arm(self._worker.placer.wishes.key(self._head, request))
                self._account.routed(route.model)
            for stand_in in (*self._stand_ins(route), None):
                try:
                    await self._serve_model(endpoint, request, route)
                    break
                except ProxyError as error:
                    committed = self._attempt is not None and self._attempt.committed
                    if stand_in is None or committed or not unserved(error):
                        raise
                    route = stand_in
                    self._account.routed(route.model)
        except asyncio.CancelledError:
            if self._cancelled:
                self._tell(Cancelled())
            elif not self._gone:  # it was not the client: this process ends
                self._tell(ShuttingDown("The server is shutting down; try again."))
        except ProxyError as error:
            self._tell(error)
        except Exception as error:
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
        return body

    async def _answer_locally(self, endpoint: Endpoint) -> None:
        self._account.understood(endpoint.name, endpoint.dialect, None, stream=False)
        if endpoint.kind is Kind.STORED:
            body = await local.stored(self._worker, self._head, self._owner)
            self._answer(200, local.JSON, body)
        else:
            principal = self._visit.principal
            self._answer(*local.answer(self._worker, endpoint, self._head, principal))

    def _stand_ins(self, route: Route) -> list[Route]:
        """The models that serve when this one cannot, as far as the client may use them."""
        found = [self._worker.backends.table.lookup(name) for name in route.fallback]
        may_use = self._visit.principal.may_use
        return [each for each in found if each and each.candidates and may_use(each.model)]

    async def _serve_model(self, endpoint: Endpoint, request: Request, route: Route) -> None:
        work = await understanding.make_job(
            self._worker, endpoint, self._head, request, route, self.request_id, self._owner
        )
        self._job = job = work.at(self._worker.backends.policy(route.candidates[0]), None)
        if endpoint.kind is Kind.COUNT:
            await self._count(endpoint, work, route)
        else:
            await self._serve(endpoint, work, job, route)

    async def _count(self, endpoint: Endpoint, work: Job | ByBackend, route: Route) -> None:
        body, fields = await counting.count(self._worker, endpoint, work, route, self.request_id)
        self._answer(200, local.JSON + fields, body)

    async def _serve(
        self, endpoint: Endpoint, work: Job | ByBackend, job: Job, route: Route
    ) -> None:
        """Try backends until one answers: at most ``retry.attempts``, each at most once."""
        tried: set[int] = set()
        deaths, pause_s = 0, 0.0
        failure: BackendError | None = None
        failed_in = Phase.QUEUED
        if job.translates:  # what no backend could be told costs no slot
            outgoing.encode(self._worker, endpoint, job, route, route.candidates[0])
        if job.stream:  # it may have to be told something before there is an attempt
            self._translator = job.translator(self._translator)
        self._downstream.fields = self._fields()
        retries, placer = self._worker.retries, self._worker.placer
        retries.admit(job.request)
        wish = placer.wishes.of(endpoint, self._head, job.request, route)
        route, wish = await fitting.fit(
            self._worker, endpoint, self._head, work, job.request, route, wish, self.request_id
        )
        while len(tried) < self._worker.config.retry.attempts:
            self._account.enter(Phase.QUEUED)
            if pause_s:
                await asyncio.sleep(pause_s)
            try:
                lease = await self._place(route, tried, wish)
            except NoBackend:
                if failure is None:
                    raise
                self._account.live.phase = failed_in  # nobody waited: nobody is left to try
                raise failure from None
            try:
                try:
                    await self._try(endpoint, work, route, lease)
                except BackendError as error:
                    await self._continue(endpoint, route, lease, error)
                lease.answered(self._translator.usage if self._translator else None)
                return
            except ProxyError as error:
                job, committed = self._job or job, self._committed
                if job.stream and self._attempt and not committed:  # what it said was never sent
                    self._translator = job.translator(self._translator)
                if committed or not job.amend(error):
                    if committed or not isinstance(error, BackendError) or not error.retryable:
                        raise
                    placer.trusted.failed(lease.backend, error)
                    placer.wishes.failed(lease)
                    tried.add(lease.backend)
                    failure, failed_in = error, self._account.live.phase
                    sent = self._attempt is not None and self._attempt.relay is not None
                    if sent and isinstance(error, BackendDied):
                        deaths += 1
                        retries.suspect(error, job.request, lease.backend)
                    if not retries.again(error, job.request, sent=sent, deaths=deaths):
                        raise
                    pause_s = retries.pause_s(error, sent=sent)
                self._account.retried(error)
            finally:
                lease.release()
        assert failure is not None
        raise failure

    async def _try(
        self,
        endpoint: Endpoint,
        work: Job | ByBackend,
        route: Route,
        lease: Lease,
        spoken: Spoken | None = None,
    ) -> None:
        """Hand one backend's answer to the client; with ``spoken`` what comes behind it."""
        worker, backend = self._worker, lease.backend
        self._account.chosen(backend, lease.choice)
        self._attempt = None
        self._job = job = work.at(worker.backends.policy(backend), self._translator)
        request = outgoing.encode(worker, endpoint, job, route, backend, spoken)
        if job is not work:  # now it is known what this one is not told
            self._downstream.fields = self._fields()
        if spoken is None or self._translator is None:
            self._translator = job.translator(self._translator)
            self._translator.journal = rescue.journal(worker, job, route, backend)
        self._attempt = Attempt(
            self._client,
            self._downstream,
            self._translator,
            self._account,
            max_answer=worker.config.limits.answer,
            reads_all=job.translates,
            folds=job.folds,
            splice=Splice(spoken) if spoken else None,
        )
        if self._watch is not None:
            self._watch.attempt_began(worker.now())
        fresh = not worker.retries.may_resend(job.request)
        pool = worker.backends.by_index[backend].pool
        relay = await self._attempt.run(pool, *request, fresh=fresh)
        worker.placer.trusted.succeeded(backend)
        if not relay.committed:
            self._answer_whole(job, relay)
        if isinstance(job, Responses):
            await worker.keep_response(job, self._translator, self._owner)

    async def _continue(
        self, endpoint: Endpoint, route: Route, lease: Lease, error: BackendError
    ) -> None:
        """Let another backend go on where one died in mid-stream: once, else tell ``error``."""
        died, job, translator = self._attempt, self._job, self._translator
        if not (self._committed and job and translator):
            raise error
        spoken = rescue.take_over(self._worker, error, job, translator, self._account)
        if spoken is None:
            self._worker.placer.trusted.broke(lease.backend, error)
            raise error
        lease.release()
        try:
            self._account.enter(Phase.QUEUED)
            lease = await self._place(route, self._account.asked, lease.wish)
            await self._try(endpoint, job, route, lease, spoken)
        except ProxyError as second:
            if self._attempt is not died and self._committed:
                raise
            self._attempt = died  # nothing of another one was sent
            self._account.live.phase = Phase.DECODING
            raise error from second
        finally:
            lease.release()

    async def _place(self, route: Route, tried: Collection[int], wish: Wish) -> Lease:
        priority = self._visit.principal.priority
        placer = self._worker.placer
        return await placer.place(
            route, tried, wish, owner=self._owner, priority=priority, told=self._account.waits
        )

    # -- answering --------------------------------------------------------------------------

    def _answer_whole(self, job: Job, relay: Relay) -> None:
        assert relay.head is not None
        if job.folds:
            self._answer(200, local.JSON, relay.body)
            return
        if self._downstream.is_open:
            raise BackendError("The backend did not answer with a stream.")
        body = relay.body
        if isinstance(self._translator, Passthrough):
            self._translator.read_answer(body)
        self._answer(relay.head.status, relay.content_type, body)

    def _answer(self, status: int, fields: bytes, body: bytes, *, close: bool = False) -> None:
        self._account.record.status = status
        self._account.enter(Phase.FINISHING)
        self._downstream.bytes_out += len(body)
        fields += self._downstream.fields or self._fields()
        self._client.answer(status, fields, body, close=close)

    def _tell(self, error: ProxyError) -> None:
        """Tell the client what went wrong, in the form that is still possible."""
        if self._gone:
            return
        self._account.failed(error)
        if isinstance(error, BackendError) and self._account.record.attempts > 1:
            error.headers += _NO_RETRY
        if self._downstream.is_open:
            assert self._translator is not None
            self._downstream.write(self._translator.fail(error))
            self._client.cut_stream()
        else:
            status, fields, body = self._worker.render(error, self.request_id, self._dialect)
            self._answer(status, fields, body, close=error.closes)

    @property
    def _committed(self) -> bool:
        return self._attempt is not None and self._attempt.committed

    @property
    def _owner(self) -> str:
        """Whose stored responses these are."""
        return self._visit.principal.name

    @property
    def _dialect(self) -> str:
        if self._endpoint is None or self._endpoint.is_local:
            return endpoints.dialect_of(self._head)
        return self._endpoint.dialect

    def _fields(self) -> bytes:
        """The header lines of every answer of this exchange."""
        request_id = self.request_id.encode()
        fields = b"X-Request-Id: %b\r\n" % request_id + self._worker.cors_fields(self._head)
        if self._dialect == "messages":
            fields += b"request-id: %b\r\n" % request_id
        if self._job is not None and self._job.dropped:
            fields += understanding.dropped_field(self._job.dropped)
        return fields

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
        # An answer that was cut counts with what was read and said of it.
        prompt_tokens = max(record.prompt_tokens, self._account.live.prompt_processed)
        self._visit.close(prompt_tokens + max(0, record.output_tokens))
        noise = self._endpoint is not None and self._endpoint.is_noise and not record.error
        self._worker.finished(self, None if noise else record)

    # -- called back by the client's connection and the worker's clock -------------------------

    def client_gone(self) -> None:
        """Stop the backend in this very callback, then unwind."""
        self._gone = True
        self.stop()

    def stop(self) -> None:
        """End now: the client left, or this process ends."""
        if self._attempt is not None:
            self._attempt.abort()
        if self.task is not None and self._running:
            self.task.cancel()

    def cancel(self) -> None:
        """End now: an operator wants it."""
        self._cancelled = True
        self.stop()

    def client_slow(self) -> None:
        if self._attempt is not None:
            self._attempt.pause()

    def client_ready(self) -> None:
        if self._attempt is not None:
            self._attempt.resume()

    def tick(self, now: float, now_ns: int) -> None:
        """Count tokens, notice a silent backend, give a quiet client a sign of life."""
        self._account.show()
        translator, attempt = self._translator, self._attempt
        if translator is None or self._job is None:
            return
        if self._watch is None:
            self._watch = Watch(self._worker.config.timeouts, self._began)
        backend = self._account.live.backend
        if self._account.count(translator.events, translator.progress, now_ns):
            self._worker.board.load.succeeded(self._worker.index, backend, now_ns)
        if attempt is not None and attempt.is_waiting and attempt.relay is not None:
            if self._client.is_slow:  # then it is we who do not read
                self._watch.paused(now)
            else:
                self._watch.backend(attempt.relay, now, is_down=self._worker.is_down(backend))
            if attempt.relay.done.done():  # a word behind the last chunk would be another's
                return
        if self._job.stream:
            self._watch.client(self._downstream, translator, now)
