"""A request as one backend is sent it: the head and the body."""

from typing import TYPE_CHECKING
from urllib.parse import quote

from multiproxy.dialects.continuation import Spoken
from multiproxy.dialects.jobs import Job
from multiproxy.errors import BackendError
from multiproxy.routing.table import Route
from multiproxy.worker.endpoints import Endpoint, Kind

if TYPE_CHECKING:
    from multiproxy.worker.main import Worker


def encode(
    worker: "Worker",
    endpoint: Endpoint,
    job: Job,
    route: Route,
    backend: int,
    spoken: Spoken | None = None,
    fields: bytes = b"",
) -> tuple[bytes, bytes]:
    """Return head and body; with ``spoken`` those that ask for what comes behind it.

    ``fields`` are further lines of the head.

    Raises:
        ClientError: no backend can be told this request.
        BackendError: this one cannot go on behind ``spoken``.
    """
    name = route.send_as.get(backend, job.model)
    request_id = job.request_id.encode()
    heads = worker.backends.by_index[backend].heads
    if endpoint.kind is Kind.QUERY:
        path = endpoint.path
        if name is not None:  # a GET would make a router load the model
            path += b"?model=%b&autoload=false" % quote(name, safe="").encode()
        return heads.head(b"GET", path, None, request_id, b"application/json", fields), b""
    policy = worker.backends.policy(backend)
    if spoken is None:
        body = job.encode(policy, name)
    else:
        rest = job.encode_rest(policy, name, spoken)
        if rest is None:
            raise BackendError("The backend cannot continue the answer.")
        body = rest
    accept = b"text/event-stream" if job.stream or job.folds else b"application/json"
    return heads.head(b"POST", job.path, len(body), request_id, accept, fields), body
