"""One copy of a request: asked of one backend, once; its answer is read and dropped."""

import asyncio
import sys
import time
import traceback
from typing import TYPE_CHECKING

from multiproxy._http.head import RequestHead
from multiproxy._http.server import ClientConnection
from multiproxy.dialects.passthrough import Passthrough
from multiproxy.dialects.request import Request
from multiproxy.dialects.translator import Translator
from multiproxy.errors import InternalError, MadeWay, ProxyError
from multiproxy.routing.placement import Reason
from multiproxy.routing.recall import Wish
from multiproxy.routing.table import Route
from multiproxy.scoreboard import Choice, Finished, Phase
from multiproxy.worker import outgoing, understanding
from multiproxy.worker.account import Account
from multiproxy.worker.attempt import Attempt
from multiproxy.worker.endpoints import Endpoint
from multiproxy.worker.relay import Downstream
from multiproxy.worker.watch import Watch

if TYPE_CHECKING:
    from multiproxy.worker.main import Worker


class Nobody(ClientConnection):
    """The client of a copy: takes everything, keeps nothing, and is never slow."""

    def __init__(self) -> None:
        """There is no connection."""

    @property
    def is_slow(self) -> bool:
        return False

    def start_stream(self, fields: bytes, payload: bytes) -> bool:
        return False  # not chunked: then every piece comes to ``write``

    def write(self, payload: bytes) -> None:
        """Drop it."""

    def end_stream(self) -> None:
        """Nobody waits for an end."""


_NOBODY = Nobody()


class Copy:
    """See the module. It has a request id of its own, no key, and is never tried again."""

    def __init__(
        self,
        worker: "Worker",
        endpoint: Endpoint,
        head: RequestHead,
        request: Request,
        route: Route,
        backend: int,
        wish: Wish,
        original: Account,
    ) -> None:
        # given
        self._worker = worker
        self._endpoint = endpoint
        self._head = head
        self._request = request
        self._route = route
        self._wish = wish
        self._owner = original.record.key  # whose stored responses it may name
        self.backend = backend
        self.request_id = f"req_{worker.new_id()}"
        self.task: asyncio.Task[None] | None = None  # runs ``run``; set by who starts it
        # what ``run`` has found so far
        self._account = account = Account(worker.live, self.request_id[4:], original.live.client)
        self._translator: Translator | None = None
        self._attempt: Attempt | None = None
        self._watch = Watch(worker.config.timeouts, worker.now())
        self._running = False
        self._stopped = False
        account.copies(original)
        account.understood(endpoint.name, endpoint.dialect, route.model, stream=request.stream)
        account.routed(route.model)
        account.record.bytes_in = original.record.bytes_in

    async def run(self) -> Finished:
        """Ask, read the answer, and return the record of it all."""
        self._running = True
        try:
            if self._stopped:  # before this task's first step
                raise MadeWay()
            await self._ask()
            self._account.record.status = 200
        except asyncio.CancelledError:
            self._failed(MadeWay())
        except ProxyError as error:
            self._failed(error)
        except Exception as error:
            traceback.print_exception(error, file=sys.stderr)
            self._failed(InternalError("The copy of a request failed."))
        finally:
            self._running = False
        translator = self._translator
        return self._account.close(
            translator.usage if translator else None,
            translator.events if translator else 0,
            translator.finish_reason if translator else None,
            self._head.get(b"user-agent") or b"",
        )

    async def _ask(self) -> None:
        worker, backend, account = self._worker, self.backend, self._account
        account.enter(Phase.QUEUED)
        slots, candidates = worker.placer.slots.get(backend, 0), len(self._route.candidates)
        account.chosen(backend, Choice(Reason.MIRRORED, 0, slots, candidates, candidates))
        work = await understanding.make_job(
            worker, self._endpoint, self._head, self._request, self._route, self.request_id,
            self._owner,
        )  # fmt: skip
        job = work.at(worker.backends.policy(backend), None)
        request = outgoing.encode(worker, self._endpoint, job, self._route, backend)
        self._translator = translator = job.translator(None)
        self._attempt = Attempt(
            _NOBODY, Downstream(_NOBODY), translator, account,
            max_answer=worker.config.limits.answer, reads_all=job.translates, folds=job.folds,
        )  # fmt: skip
        recall = worker.placer.wishes.recall
        recall.placed(self._wish, backend, time.monotonic())
        # A fresh connection: a request on one that died idle would be sent again.
        pool = worker.backends.by_index[backend].pool
        relay = await self._attempt.run(pool, *request, fresh=True)
        if not relay.committed and isinstance(translator, Passthrough):
            translator.read_answer(relay.body)
        if (usage := translator.usage) is not None:
            recall.answered(self._wish, backend, usage.prompt, usage.cached, time.monotonic())

    def _failed(self, error: ProxyError) -> None:
        self._account.failed(error)
        self._account.record.status = error.status

    def stop(self) -> None:
        """Stop the backend, in this very callback, then unwind."""
        self._stopped = True
        if self._attempt is not None:
            self._attempt.abort()
        if self.task is not None and self._running:
            self.task.cancel()

    def tick(self, now: float, now_ns: int) -> None:
        """Show the copy, count its tokens, and end it when its backend has fallen silent."""
        self._account.show()
        attempt, translator = self._attempt, self._translator
        if attempt is None or translator is None:
            return
        self._account.count(translator.events, translator.progress, now_ns)
        if attempt.is_waiting and attempt.relay is not None:
            self._watch.backend(attempt.relay, now, is_down=self._worker.is_down(self.backend))
