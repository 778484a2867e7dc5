"""Answers that need no backend: the model list, health, a browser's preflight."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_to_bytes

import orjson

from multiproxy._http.head import RequestHead
from multiproxy.auth import Principal
from multiproxy.errors import UnknownModel, Unsupported
from multiproxy.scoreboard import BackendState
from multiproxy.worker import cors, endpoints
from multiproxy.worker.endpoints import Endpoint, Kind
from multiproxy.worker.models import model_list, model_page

if TYPE_CHECKING:
    from multiproxy.worker.main import Worker

JSON = b"Content-Type: application/json; charset=utf-8\r\n"
_SERVING = (BackendState.UP, BackendState.SLEEPING, BackendState.STOPPED)  # or will, if asked


def answer(
    worker: "Worker", endpoint: Endpoint, head: RequestHead, principal: Principal
) -> tuple[int, bytes, bytes]:
    """Return status, header lines and body.

    Raises:
        UnknownModel: ``GET /v1/models/{id}`` of a model there is not.
        InvalidRequest: too many query parameters.
    """
    if endpoint.kind is Kind.PREFLIGHT:
        allow = endpoints.methods(head.path)
        fields = b"Allow: %b\r\n" % allow if allow else b""
        return 204, fields + cors.preflight_fields(worker.guard, head), b""
    if endpoint.kind is Kind.ALIVE:
        return 200, JSON, b'{"status":"ok"}'
    worker.backends.refresh()
    if endpoint.kind is Kind.HEALTH:
        return _health(worker)
    return 200, JSON, orjson.dumps(_models(worker, head, principal))


def _health(worker: "Worker") -> tuple[int, bytes, bytes]:
    states = [worker.board.backends.state(index) for index in worker.backends.by_index]
    serving = sum(state in _SERVING for state in states)
    body = {
        "status": "ok" if serving and not worker.draining else "unavailable",
        "backends": {"serving": serving, "configured": len(states)},
    }
    return (200 if body["status"] == "ok" else 503), JSON, orjson.dumps(body)


def _models(worker: "Worker", head: RequestHead, principal: Principal) -> Mapping[str, Any]:
    entries = model_list(worker.backends, worker.config, principal)
    for prefix in endpoints.MODEL_PREFIXES:
        if head.path.startswith(prefix):
            name = unquote_to_bytes(head.path[len(prefix) :]).decode("utf-8", "replace")
            for entry in entries:
                if entry["id"] == name:
                    return entry
            raise UnknownModel(
                f"The model `{name[:64]}` does not exist or you do not have access to it.",
                param="model",
            )
    return model_page(entries, endpoints.query_of(head))


async def stored(worker: "Worker", head: RequestHead, owner: str) -> bytes:
    """Return the body of an answer about a stored response of ``owner``, a key's name.

    Raises:
        NotFound: it is unknown, expired, or somebody else's.
        Unsupported: cancelling, which is for background responses only.
    """
    match = endpoints.STORED_PATH.fullmatch(head.path)
    assert match is not None
    response_id = match[1].decode()
    if match[2] == b"/cancel":
        raise Unsupported("Only background responses can be cancelled; close the connection.")
    if match[2] == b"/input_items":
        query = endpoints.query_of(head)
        return orjson.dumps(await worker.stored.input_items(owner, response_id, query))
    if head.method == b"DELETE":
        return orjson.dumps(await worker.stored.delete(owner, response_id))
    return orjson.dumps(await worker.stored.get(owner, response_id))
