"""How a failure is told to a client: one body and one stream tail per dialect.

The class of a ``ProxyError`` holds OpenAI's words; this room knows Anthropic's for the same
class. Agents match on some of these sentences: a context overflow told in other words keeps
them from compacting their history (docs/protocols.md).
"""

import re
from collections.abc import Mapping
from typing import NamedTuple

import orjson

from multiproxy import errors as e

_MAX_RETRY_AFTER_S = 60  # Anthropic's SDKs sleep as long as they are told
_RETRY_AFTER_S = 2  # when the failure does not say: a slot is often free by then
_RETRY_STATUS = (429, 503, 529)
_INDEX = re.compile(r"\[(\d+)\]")
_QUOTED = re.compile("`([^`]*)`")

INVALID_JSON = "We could not parse the JSON body of your request: "


class Rendered(NamedTuple):
    """An error answer: ``fields`` are further header fields, names in lower case."""

    status: int
    body: bytes
    fields: tuple[tuple[bytes, bytes], ...]


def render_openai(
    error: e.ProxyError, request_id: str, *, should_retry: bool | None = None
) -> Rendered:
    """The answer for a Chat client; ``should_retry`` overrides what the SDKs would do."""
    return _rendered(error, error.status, {"error": _openai(error, request_id)}, should_retry)


def render_responses(
    error: e.ProxyError, request_id: str, *, should_retry: bool | None = None
) -> Rendered:
    """The answer for a Responses client: OpenAI's own type and parameter on an overflow."""
    members = _openai(error, request_id)
    if isinstance(error, e.ContextExceeded | e.OutputTooLong):
        members |= {"type": "invalid_request_error", "param": "input"}
    return _rendered(error, error.status, {"error": members}, should_retry)


def render_messages(
    error: e.ProxyError, request_id: str, *, should_retry: bool | None = None
) -> Rendered:
    """The answer for a Messages client."""
    status, members = _anthropic(error)
    body = {"type": "error", "error": members, "request_id": request_id}
    return _rendered(error, status, body, should_retry)


def chat_tail(error: e.ProxyError, request_id: str) -> bytes:
    """The last event of a failed Chat stream: no ``[DONE]``, which means success."""
    return b"data: " + orjson.dumps({"error": _openai(error, request_id)}) + b"\n\n"


def messages_tail(error: e.ProxyError, request_id: str) -> bytes:
    """The last event of a failed Messages stream; open blocks stay open."""
    _, members = _anthropic(error)
    body = {"type": "error", "error": members, "request_id": request_id}
    return b"event: error\ndata: " + orjson.dumps(body) + b"\n\n"


def _openai(error: e.ProxyError, request_id: str) -> dict[str, object]:
    return {
        "message": error.message,
        "type": error.type,
        "param": error.param,
        "code": error.code,
        **error.extra,
        "request_id": request_id,
    }


def _rendered(
    error: e.ProxyError, status: int, body: Mapping[str, object], should_retry: bool | None
) -> Rendered:
    fields = list(error.headers)
    if status in _RETRY_STATUS:
        wait_s = _RETRY_AFTER_S if error.retry_after_s is None else error.retry_after_s
        fields.append((b"retry-after", b"%d" % max(0, min(wait_s, _MAX_RETRY_AFTER_S))))
    if should_retry is not None:
        fields.append((b"x-should-retry", b"true" if should_retry else b"false"))
    return Rendered(status, orjson.dumps(body), tuple(fields))


def _anthropic(error: e.ProxyError) -> tuple[int, dict[str, object]]:
    """The status and the ``error`` object of an Anthropic error body."""
    match error:
        case e.ContextExceeded() | e.OutputTooLong() | e.UnknownModel() | e.InvalidJSON():
            message = _anthropic_words(error)
        case e.NotAuthenticated():
            wrong = error.code == "invalid_api_key"
            message = "invalid x-api-key" if wrong else "x-api-key header is required"
        case e.BodyTooLarge():
            message = "Request exceeds the maximum allowed number of bytes"
        case e.Overloaded() | e.BackendBusy():
            return 529, {"type": "overloaded_error", "message": "Overloaded"}
        case e.InternalError():
            message = "Internal server error"
        case e.UnsupportedEncoding():
            details = {"error_code": "request_body_encoding_unsupported"}
            members = {"type": "invalid_request_error", "message": error.message}
            return 400, {**members, "details": details}
        case _:
            path = _INDEX.sub(r".\1", error.param) if error.param else ""
            message = f"{path}: {error.message}" if path else error.message
    return error.status, {"type": _anthropic_type(error), "message": message}


def _anthropic_words(error: e.ProxyError) -> str:
    match error:
        case e.ContextExceeded(n_prompt_tokens=int(), n_ctx=int()):
            needed, available = error.n_prompt_tokens, error.n_ctx
            return f"prompt is too long: {needed} tokens > {available} maximum"
        case e.ContextExceeded():
            return "prompt is too long: the request exceeds the available context size"
        case e.OutputTooLong():
            return (
                "input length and `max_tokens` exceed context limit: "
                f"{error.n_prompt_tokens} + {error.max_tokens} > {error.n_ctx}, "
                "decrease input length or `max_tokens` and try again"
            )
        case e.UnknownModel():
            name = _QUOTED.search(error.message)
            return f"model: {name.group(1)}" if name else error.message
        case _:
            reason = error.message.removeprefix(INVALID_JSON)
            return f"The request body is not valid JSON: {reason}"


def _anthropic_type(error: e.ProxyError) -> str:
    match error.status:
        case 401:
            return "authentication_error"
        case 403:
            return "permission_error"
        case 404:
            return "not_found_error"
        case 413:
            return "request_too_large"
        case 429:
            return "rate_limit_error"
        case 504:
            return "timeout_error"
        case status if status >= 500 and error.side is not e.Side.CLIENT:
            return "api_error"
        case _:
            return "invalid_request_error"
