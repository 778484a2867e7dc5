"""May an answer that broke off in mid-stream be continued elsewhere, and behind which words."""

import time
from typing import TYPE_CHECKING

from multiproxy.dialects.continuation import Journal, Spoken
from multiproxy.dialects.jobs import Job
from multiproxy.dialects.translator import Translator
from multiproxy.errors import BackendDied, BackendError, BackendProtocolError
from multiproxy.routing.table import Route
from multiproxy.worker.account import Account

if TYPE_CHECKING:
    from multiproxy.worker.main import Worker


def journal(worker: "Worker", job: Job, route: Route, backend: int) -> Journal | None:
    """Return a journal for the answer of ``backend`` if somebody could go on with it."""
    if (
        worker.config.retry.after_commit == "continue"
        and len(route.candidates) > 1
        and worker.retries.may_resend(job.request)
        and job.continues(worker.backends.policy(backend))
    ):
        return Journal()
    return None


def take_over(
    worker: "Worker", error: BackendError, job: Job, translator: Translator, account: Account
) -> Spoken | None:
    """Return what the client has of an answer that ``error`` ended, if one may go on with it.

    Then the backend's failure is noted, and the translator ready for another's words. Not
    after a second death: a request that kills is not given to one backend after the other.
    Nor after bytes that nobody can trust, nor when the answer has taken too long as it is.
    """
    record, limit_s = account.record, worker.config.timeouts.stream
    has_killed = any(each.error == BackendDied.code for each in record.tries)
    is_late = time.monotonic_ns() - account.live.started_ns > limit_s * 1e9
    is_told = isinstance(error, BackendProtocolError) or not error.retryable
    if translator.journal is None or has_killed or is_late or is_told:
        return None
    spoken = translator.journal.spoken(translator.events, translator.progress)
    if spoken is not None:
        worker.retries.suspect(error, job.request, record.backend)
        worker.placer.trusted.failed(record.backend, error)
        account.retried(error, was_told=True)
        translator.go_on()
    return spoken
