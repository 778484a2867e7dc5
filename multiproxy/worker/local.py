"""Answers that need no backend: the model list, health, a browser's preflight."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_to_bytes

import orjson

from multiproxy._http.head import RequestHead
from multiproxy.errors import UnknownModel
from multiproxy.scoreboard import BackendState
from multiproxy.worker import cors, endpoints
from multiproxy.worker.endpoints import Endpoint, Kind
from multiproxy.worker.models import model_list, model_page

if TYPE_CHECKING:
    from multiproxy.worker.main import Worker

JSON = b"Content-Type: application/json; charset=utf-8\r\n"
_SERVING = (BackendState.UP, BackendState.SLEEPING)


def answer(worker: "Worker", endpoint: Endpoint, head: RequestHead) -> tuple[int, bytes, bytes]:
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
    return 200, JSON, orjson.dumps(_models(worker, head))


def _health(worker: "Worker") -> tuple[int, bytes, bytes]:
    states = [worker.board.backends.state(index) for index in worker.backends.by_index]
    serving = sum(state in _SERVING for state in states)
    body = {
        "status": "ok" if serving and not worker.draining else "unavailable",
        "backends": {"serving": serving, "configured": len(states)},
    }
    return (200 if body["status"] == "ok" else 503), JSON, orjson.dumps(body)


def _models(worker: "Worker", head: RequestHead) -> Mapping[str, Any]:
    entries = model_list(worker.backends, worker.config)
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
