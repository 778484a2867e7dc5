"""What every JSON request says, whatever its dialect: a model, and whether to stream."""

from dataclasses import dataclass, field
from typing import Any

import orjson

from multiproxy.dialects.errors import INVALID_JSON
from multiproxy.dialects.json_text import loads
from multiproxy.errors import InvalidJSON, InvalidRequest, Unsupported

# Other gateways let a request choose its upstream with these; keys were stolen that way.
_UPSTREAM_FIELDS = ("api_base", "base_url", "api_key", "extra_headers")


@dataclass(slots=True)
class Request:
    """A request's routing facts. ``data`` is the parsed body, ``raw`` its original bytes.

    ``raw`` is empty when the original must not be forwarded as it came.
    """

    model: str | None = None
    stream: bool = False
    data: dict[str, Any] = field(default_factory=dict)
    raw: bytes = b""

    def body_for(self, model: str | None) -> bytes:
        """Return the body for a backend: the original bytes unless the name differs.

        Raises:
            InvalidJSON: nested deeper than orjson writes (254 levels; it reads 1024).
        """
        if self.raw and model == self.model:
            return self.raw
        return encoded(self.data if model is None else {**self.data, "model": model})


def encoded(value: object) -> bytes:
    """Write what came from a client's JSON as JSON.

    Raises:
        InvalidJSON: nested deeper than orjson writes.
    """
    try:
        return orjson.dumps(value)
    except TypeError as error:  # what JSON held, JSON can hold: it is the depth
        raise InvalidJSON(f"{INVALID_JSON}nested too deeply.") from error


def understand(body: bytes) -> Request:
    """Read a JSON body's routing facts.

    Raises:
        InvalidJSON: not one JSON document, or nested too deeply.
        InvalidRequest: not an object, or ``model`` or ``stream`` has a wrong type.
        Unsupported: a field that would choose the upstream.
    """
    raw = body
    try:
        data: Any = orjson.loads(body)
    except ValueError:
        raw = b""  # a lone surrogate or the like: the backend gets what we could read
        try:
            data = loads(body)
        except ValueError as error:
            reason = str(error) if body.strip() else "the body is empty"
            raise InvalidJSON(f"{INVALID_JSON}{reason}.") from error
    if not isinstance(data, dict):
        raise InvalidRequest("The request body must be a JSON object.", code="invalid_type")
    for name in _UPSTREAM_FIELDS:
        if name in data:
            raise Unsupported(f"'{name}' is not supported by this server.", param=name)
    model = data.get("model")
    if model is not None and not isinstance(model, str):
        raise InvalidRequest("'model' must be a string.", param="model", code="invalid_type")
    stream = data.get("stream")
    if stream is not None and not isinstance(stream, bool):
        raise InvalidRequest("'stream' must be a boolean.", param="stream", code="invalid_type")
    return Request(model or None, stream is True, data, raw)
