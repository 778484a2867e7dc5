"""How a failed Responses stream says so: what agents decide by, and what makes SDKs raise."""

from multiproxy import errors as e
from multiproxy.dialects.responses_object import Object


def failed_members(error: e.ProxyError) -> tuple[Object, Object]:
    """The ``error`` of the failed response object, and the members of the ``error`` event.

    Typed clients read the one in ``response.failed``. The SDKs' loops only raise at the other,
    and Python's only because of its nested ``error``.
    """
    code = _code(error)
    told: Object = {"code": code, "message": error.message}
    kind = "server_error" if code == "server_error" else error.type
    details = {**told, "param": error.param}
    return told, {**details, "error": {"type": kind, **details}}


def _code(error: e.ProxyError) -> str:
    """What agents decide by: most codes make Codex repeat the turn, these three do not."""
    match error:
        case e.ContextExceeded() | e.OutputTooLong():
            return "context_length_exceeded"
        case e.RateLimited():
            return "rate_limit_exceeded"
        case e.BackendRefused() | e.InvalidRequest() | e.Unsupported():
            return "invalid_prompt"
        case _:
            return "server_error"
