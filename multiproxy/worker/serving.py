"""Backends are tried until one answers: a dying one is a delay, not an error, where it can be.

Read ``Serving.run``. Before the commit point another backend starts anew; behind it, another
one may go on where the first one died.
"""

import asyncio
from collections.abc import Collection
from typing import TYPE_CHECKING

from multiproxy._http.head import RequestHead
from multiproxy._http.server import ClientConnection
from multiproxy.auth import Principal
from multiproxy.dialects.continuation import Spoken
from multiproxy.dialects.jobs import Job, Responses
from multiproxy.dialects.native_job import ByBackend
from multiproxy.dialects.passthrough import Passthrough
from multiproxy.dialects.request import Request
from multiproxy.dialects.splice import Splice
from multiproxy.dialects.translator import EventTranslator, Translator
from multiproxy.errors import BackendError, ContextExceeded, NoBackend, ProxyError
from multiproxy.routing.recall import Wish
from multiproxy.routing.table import Route
from multiproxy.scoreboard import Phase
from multiproxy.worker import counting, fitting, local, outgoing, rescue, understanding
from multiproxy.worker.account import Account
from multiproxy.worker.attempt import Attempt
from multiproxy.worker.endpoints import Endpoint, Kind
from multiproxy.worker.lease import Lease
from multiproxy.worker.relay import Relay
from multiproxy.worker.reply import Reply
from multiproxy.worker.retries import Tries
from multiproxy.worker.watch import Watch

if TYPE_CHECKING:
    from multiproxy.worker.main import Worker


class Serving:
    """One request at the backends of a model; at those of a stand-in, if it comes to that."""

    def __init__(
        self,
        worker: "Worker",
        client: ClientConnection,
        head: RequestHead,
        endpoint: Endpoint,
        principal: Principal,
        account: Account,
        reply: Reply,
        request_id: str,
    ) -> None:
        # given
        self._worker = worker
        self._client = client
        self._head = head
        self._endpoint = endpoint
        self._principal = principal
        self._account = account
        self._reply = reply
        self._request_id = request_id
        self._began = worker.now()
        # what ``run`` has found so far
        self.translator: Translator | None = None
        self._job: Job | None = None  # as the backend that is asked, or will be first, needs it
        self._attempt: Attempt | None = None
        self._watch: Watch | None = None  # from the first tick on

    async def run(self, request: Request, route: Route) -> None:
        """Answer with what a backend of the route makes of the request.

        Raises:
            ProxyError: why there is no answer; ``committed`` tells whether some of it went out.
        """
        work = await understanding.make_job(
            self._worker,
            self._endpoint,
            self._head,
            request,
            route,
            self._request_id,
            self._principal.name,
        )
        self._job = job = work.at(self._worker.backends.policy(route.candidates[0]), None)
        if self._endpoint.kind is Kind.COUNT:
            body, fields = await counting.count(
                self._worker, self._endpoint, work, route, self._request_id
            )
            self._reply.whole(200, local.JSON + fields, body)
            return
        if job.translates:  # what no backend could be told costs no slot
            outgoing.encode(self._worker, self._endpoint, job, route, route.candidates[0])
        if job.stream:  # it may have to be told something before there is an attempt
            self.translator = job.translator(self.translator)
        self._reply.prepare(job.dropped)
        self._worker.retries.admit(request)
        await understanding.breathe(request)
        wish = self._worker.placer.wishes.of(self._endpoint, self._head, request, route)
        route, wish = await fitting.fit(
            self._worker, self._endpoint, self._head, work, request, route, wish, self._request_id
        )
        await self._serve(work, request, route, wish)
        usage = self.translator.usage if self.translator else None
        wishes = self._worker.placer.wishes
        self._account.broke(wishes.broke(self._endpoint, self._head, request, usage))

    async def _serve(
        self, work: Job | ByBackend, request: Request, route: Route, wish: Wish
    ) -> None:
        """Try at most ``retry.attempts`` backends, each at most once."""
        tries = Tries(self._worker.retries, request, self._worker.config.retry.attempts)
        failed_in = Phase.QUEUED
        while tries.are_left:
            self._account.enter(Phase.QUEUED)
            if tries.pause_s:
                await asyncio.sleep(tries.pause_s)
            try:
                lease = await self._place(route, tries.tried, wish)
            except NoBackend:
                if tries.failure is None:
                    raise
                self._account.live.phase = failed_in  # nobody waited: nobody is left to try
                raise tries.failure from None
            try:
                await self._answer_from(work, route, lease)
                return
            except ProxyError as error:
                if isinstance(error, ContextExceeded):
                    route = fitting.after_refusal(self._worker, route, lease.backend, error)
                if not self._may_go_on(error, tries, lease) or not route.candidates:
                    raise
                failed_in = self._account.live.phase
                self._account.retried(error)
            finally:
                lease.release()
        assert tries.failure is not None
        raise tries.failure

    async def _answer_from(self, work: Job | ByBackend, route: Route, lease: Lease) -> None:
        try:
            await self._try(work, route, lease)
        except BackendError as error:
            await self._continue(route, lease, error)
        lease.answered(self.translator.usage if self.translator else None)

    def _may_go_on(self, error: ProxyError, tries: Tries, lease: Lease) -> bool:
        """Whether the request can be sent again: amended, or to another backend."""
        job = self._job
        assert job is not None
        if self.committed:
            return False
        if job.stream and self._attempt:  # what it said was never sent
            self.translator = job.translator(self.translator)
        if job.amend(error):
            return True
        if isinstance(error, ContextExceeded):
            self._worker.placer.wishes.failed(lease)
            return tries.refused(error, lease.backend)
        if not isinstance(error, BackendError) or not error.retryable:
            return False
        self._worker.placer.trusted.failed(lease.backend, error)
        self._worker.placer.wishes.failed(lease)
        was_sent = self._attempt is not None and self._attempt.relay is not None
        return tries.failed(error, lease.backend, was_sent=was_sent)

    async def _try(
        self, work: Job | ByBackend, route: Route, lease: Lease, spoken: Spoken | None = None
    ) -> None:
        """Hand one backend's answer to the client; with ``spoken`` what comes behind it."""
        worker, backend = self._worker, lease.backend
        self._account.chosen(backend, lease.choice)
        self._attempt = None
        self._job = job = work.at(worker.backends.policy(backend), self.translator)
        fields = self._account.trace_fields
        request = outgoing.encode(worker, self._endpoint, job, route, backend, spoken, fields)
        if job is not work:  # now it is known what this one is not told
            self._reply.prepare(job.dropped)
        if spoken is None or self.translator is None:
            self.translator = job.translator(self.translator)
            if isinstance(self.translator, EventTranslator):
                self.translator.scale = worker.backends.scale(route.model, backend)
            self.translator.journal = rescue.journal(worker, job, route, backend)
        self._attempt = Attempt(
            self._client,
            self._reply.downstream,
            self.translator,
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
            await worker.keep_response(job, self.translator, self._principal.name)

    async def _continue(self, route: Route, lease: Lease, error: BackendError) -> None:
        """Let another backend go on where one died in mid-stream: once, else tell ``error``."""
        died, job, translator = self._attempt, self._job, self.translator
        if not (self.committed and job and translator):
            raise error
        spoken = rescue.take_over(self._worker, error, job, translator, self._account)
        if spoken is None:
            self._worker.placer.trusted.broke(lease.backend, error)
            raise error
        lease.release()
        try:
            self._account.enter(Phase.QUEUED)
            lease = await self._place(route, self._account.asked, lease.wish)
            await self._try(job, route, lease, spoken)
        except ProxyError as second:
            if self._attempt is not died and self.committed:
                raise
            self._attempt = died  # nothing of another one was sent
            self._account.live.phase = Phase.DECODING
            raise error from second
        finally:
            lease.release()

    async def _place(self, route: Route, tried: Collection[int], wish: Wish) -> Lease:
        return await self._worker.placer.place(
            route,
            tried,
            wish,
            owner=self._principal.name,
            priority=self._principal.priority,
            told=self._account.waits,
        )

    def _answer_whole(self, job: Job, relay: Relay) -> None:
        assert relay.head is not None
        if job.folds:
            self._reply.whole(200, local.JSON, relay.body)
            return
        if self._reply.downstream.is_open:
            raise BackendError("The backend did not answer with a stream.")
        body = relay.body
        if isinstance(self.translator, Passthrough):
            self.translator.read_answer(body)
        self._reply.whole(relay.head.status, relay.content_type, body)

    # -- from the exchange --------------------------------------------------------------------

    @property
    def committed(self) -> bool:
        """Whether content went to the client: then nothing may start anew."""
        return self._attempt is not None and self._attempt.committed

    @property
    def has_told_all(self) -> bool:
        """Whether a stream's last event went to the client; its backend may still have to end."""
        told = self.translator is not None and self.translator.finished
        return told and self._reply.downstream.is_open

    def finish(self) -> None:
        """End a stream whose last event was told, without its backend's end."""
        if self._attempt is not None:
            self._attempt.finish()

    def abort(self) -> None:
        """Stop the backend, in this very callback."""
        if self._attempt is not None:
            self._attempt.abort()

    def pause(self) -> None:
        """The client does not keep up."""
        if self._attempt is not None:
            self._attempt.pause()

    def resume(self) -> None:
        """The client keeps up again."""
        if self._attempt is not None:
            self._attempt.resume()

    def tick(self, now: float, now_ns: int) -> None:
        """Count tokens, notice a silent backend, give a quiet client a sign of life."""
        translator, attempt = self.translator, self._attempt
        if translator is None or self._job is None:
            return
        if self._watch is None:
            self._watch = Watch(self._worker.config.timeouts, self._began)
        elif self._watch.is_quiet(translator, now):
            return
        self._watch.quiet(translator, now)
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
            self._watch.client(self._reply.downstream, translator, now)
