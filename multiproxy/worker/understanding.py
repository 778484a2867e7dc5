"""A request's bytes -> the job it is: decoded, read, and joined with what is stored."""

import asyncio
import re
from typing import TYPE_CHECKING

from multiproxy._http.head import RequestHead
from multiproxy.dialects.body import decompressed
from multiproxy.dialects.jobs import Job, Messages, Relayed, Responses, Translated, chat_job
from multiproxy.dialects.native_job import ByBackend, Native
from multiproxy.dialects.request import Request, understand
from multiproxy.dialects.responses_request import references
from multiproxy.errors import NoBackend, UnknownModel
from multiproxy.routing.table import Route
from multiproxy.worker import endpoints
from multiproxy.worker.endpoints import Endpoint, Kind, Speech

if TYPE_CHECKING:
    from multiproxy.worker.main import Worker

OFF_LOOP = 64 * 1024  # bytes of a compressed body from which on it is decoded by a thread
LARGE = 256 * 1024  # bytes of a body of which one step may take a millisecond
_DROPPED_NAME = re.compile(r"[A-Za-z0-9_.\[\]-]{1,64}")
MAX_DROPPED = 20  # names told


async def decode(body: bytes, encoding: bytes, limit: int) -> bytes:
    """Undo a Content-Encoding; the result has at most ``limit`` bytes.

    Raises:
        UnsupportedEncoding, BodyTooLarge, InvalidRequest: see ``dialects.body``.
    """
    coding = encoding.decode("latin-1")
    if len(body) < OFF_LOOP:
        return decompressed(body, coding, limit)
    loop = asyncio.get_running_loop()
    return await loop.run_in_executor(None, decompressed, body, coding, limit)


def read(endpoint: Endpoint, head: RequestHead, body: bytes, max_objects: int) -> Request:
    """Return what the request says about routing.

    Raises:
        ClientError: it is no JSON object, or its parameters are too many.
    """
    if endpoint.kind is Kind.QUERY:
        return Request(model=endpoints.query_of(head).get("model"))
    return understand(body, max_objects)


async def breathe(request: Request) -> None:
    """Let other exchanges run between two steps of a large request: each takes milliseconds."""
    if len(request.raw) > LARGE:
        await asyncio.sleep(0)


def route_of(worker: "Worker", model: str | None) -> Route:
    """Return where a request for ``model`` may go; None asks for the default.

    Raises:
        UnknownModel: nobody has it.
        NoBackend: nobody has told yet what there is.
    """
    worker.refresh()
    table = worker.backends.table
    route = table.resolve(model)
    if route is not None and route.candidates:
        return route
    if not table.models:
        raise NoBackend("No backend has told its models yet; try again soon.")
    if model is None:
        raise UnknownModel("This server has several models: name one.", param="model")
    raise UnknownModel(
        f"The model `{model[:64]}` does not exist or you do not have access to it.",
        param="model",
    )


async def make_job(
    worker: "Worker",
    endpoint: Endpoint,
    head: RequestHead,
    request: Request,
    route: Route,
    request_id: str,
    owner: str,
) -> Job | ByBackend:
    """Return the job of a request that asks for a model; ``owner`` is its key's name.

    A request that names what is stored here can only be translated.

    Raises:
        ProxyError: a stored response it continues is not there.
    """
    await breathe(request)
    context = worker.context
    match endpoint.speech:
        case Speech.CHAT:
            fold = worker.backends.folds(route.model) and endpoint.kind is Kind.GENERATE
            return chat_job(request, request_id, context, fold=fold)
        case Speech.MESSAGES:
            messages = Messages(
                request,
                request_id,
                context,
                version=_text(head.get(b"anthropic-version")),
                betas=_text(head.get(b"anthropic-beta")),
            )
            return _by_backend(worker, route, messages, b"/v1/messages")
        case Speech.RESPONSES:
            wanted = references(request.data)
            history, items = await worker.stored.resolve(owner, wanted)
            responses = Responses(
                request,
                request_id,
                context,
                history=history,
                stored_items=items,
                can_store=worker.stored.is_open,
            )
            if wanted.previous_response_id or wanted.item_ids:
                return responses
            return _by_backend(worker, route, responses, b"/v1/responses")
        case speech:
            native = speech is Speech.NATIVE
            return Relayed(request, request_id, context, endpoint.path, native=native)


def _by_backend(
    worker: "Worker", route: Route, job: Translated, path: bytes
) -> Translated | ByBackend:
    if worker.backends.native.isdisjoint(route.candidates):
        return job
    return ByBackend(Native(job.request, job.request_id, worker.context, path), job)


def dropped_field(names: tuple[str, ...]) -> bytes:
    """Return the header line that names dropped fields; a client's own words are left out."""
    told = [name for name in names if _DROPPED_NAME.fullmatch(name)][:MAX_DROPPED]
    return b"x-multiproxy-dropped: %b\r\n" % ",".join(told).encode() if told else b""


def _text(value: bytes | None) -> str:
    return (value or b"").decode("latin-1")
