"""Every failure MultiProxy can tell a client about, and whose fault it is.

A class answers three questions: whose fault (``side``), what the client is told
(``status``, ``type``, ``code`` in OpenAI's words; ``dialects.errors`` has the other
dialects' words for the same class), and may another backend be tried (``retryable``).
Raise near the cause with ``from``; only ``worker/exchange.py`` and the loop's edge catch.
"""

from enum import Enum
from typing import ClassVar


class Side(Enum):
    """Who caused a failure; first letter of the access log's termination code."""

    CLIENT = "C"
    BACKEND = "B"
    PROXY = "P"


class ProxyError(Exception):
    """A failure with a sentence for the client; never raised itself.

    ``message`` says what happened and what to do. It never holds a key, a prompt or a
    backend's address. ``extra`` are further members of OpenAI's ``error`` object, such as
    ``n_prompt_tokens``. ``headers`` are further fields of the answer's head, such as
    ``(b"allow", b"GET, HEAD")``.
    """

    side: ClassVar[Side]
    status: int
    type: str = "invalid_request_error"
    code: str | None = None
    retryable: ClassVar[bool] = False
    closes: bool = False  # the client's connection cannot be used for another request

    def __init__(
        self,
        message: str,
        *,
        param: str | None = None,
        code: str | None = None,
        retry_after_s: int | None = None,
        extra: dict[str, object] | None = None,
        headers: tuple[tuple[bytes, bytes], ...] = (),
    ) -> None:
        super().__init__(message)
        self.message = message
        self.param = param
        if code is not None:
            self.code = code
        self.retry_after_s = retry_after_s
        self.extra = extra or {}
        self.headers = headers


# -- the client's fault: framing and head (robustness: order of checks) ---------------------


class ClientError(ProxyError):
    """The request cannot be served as it is; the same request would fail again."""

    side = Side.CLIENT
    status = 400


class BadFraming(ClientError):
    """The bytes are not one well-formed HTTP/1.1 request. Source: RFC 9112."""

    code = "bad_request"
    closes = True


class RequestTimeout(ClientError):
    """The client did not send its head or body in time. Source: RFC 9110 section 15.5.9."""

    status = 408
    code = "request_timeout"
    closes = True


class LengthRequired(ClientError):
    """A POST without Content-Length and without chunked framing."""

    status = 411
    code = "length_required"
    closes = True


class BodyTooLarge(ClientError):
    status = 413
    code = "request_too_large"
    closes = True


class TargetTooLong(ClientError):
    status = 414
    code = "uri_too_long"
    closes = True


class UnsupportedEncoding(ClientError):
    """A Content-Encoding we cannot undo, or a Content-Type a browser could forge."""

    status = 415
    code = "unsupported_encoding"


class ExpectationFailed(ClientError):
    status = 417
    code = "expectation_failed"
    closes = True


class Misdirected(ClientError):
    """The Host is not one of ours: the defence against DNS rebinding."""

    status = 421
    code = "misdirected_request"
    closes = True


class HeadTooLarge(ClientError):
    status = 431
    code = "request_header_fields_too_large"
    closes = True


class UnsupportedTransferCoding(ClientError):
    status = 501
    code = "unsupported_transfer_encoding"
    closes = True


class UnsupportedVersion(ClientError):
    status = 505
    code = "http_version_not_supported"
    closes = True


# -- the client's fault: what it asks for ----------------------------------------------------


class NotFound(ClientError):
    status = 404
    code = "unknown_url"


class MethodNotAllowed(ClientError):
    """Carries the ``allow`` field in ``headers``."""

    status = 405
    code = "method_not_allowed"


class InvalidJSON(ClientError):
    code = "invalid_json"


class InvalidRequest(ClientError):
    """A field has the wrong type or value; ``param`` is its path, ``messages[2].content``."""

    code = "invalid_value"


class Unsupported(ClientError):
    """Valid in the client's protocol, but not something this server can do."""

    code = "unsupported_parameter"


class UnknownModel(ClientError):
    status = 404
    code = "model_not_found"


class ContextExceeded(ClientError):
    """The prompt does not fit; agents start their compaction on these words.

    ``n_prompt_tokens`` and ``n_ctx`` (tokens per slot) are None when the backend gave no
    numbers.
    """

    code = "context_length_exceeded"

    def __init__(
        self, n_prompt_tokens: int | None, n_ctx: int | None, *, param: str = "messages"
    ) -> None:
        if n_prompt_tokens is not None and n_ctx is not None:
            super().__init__(
                f"This model's maximum context length is {n_ctx} tokens, but the request has "
                f"{n_prompt_tokens} tokens. request ({n_prompt_tokens} tokens) exceeds the "
                f"available context size ({n_ctx} tokens)",
                param=param,
                extra={"n_prompt_tokens": n_prompt_tokens, "n_ctx": n_ctx},
            )
        else:
            super().__init__("Your input exceeds the context window of this model.", param=param)
        self.n_prompt_tokens = n_prompt_tokens
        self.n_ctx = n_ctx


class OutputTooLong(ClientError):
    """The prompt fits the context, but not together with the ``max_tokens`` asked for.

    Engines other than llama.cpp refuse that. ``n_prompt_tokens``, ``max_tokens`` and ``n_ctx``
    are what the engine counted; ``fitting_max_tokens`` is a limit that it would accept, None
    when too little room is left to be of use.
    """

    code = "context_length_exceeded"
    least_useful_output = 256  # tokens
    margin = 16  # tokens; engines count the template's last tokens differently

    def __init__(
        self, n_prompt_tokens: int, max_tokens: int, n_ctx: int, *, param: str = "messages"
    ) -> None:
        super().__init__(
            f"This model's maximum context length is {n_ctx} tokens, but the request has "
            f"{n_prompt_tokens} tokens and asks for {max_tokens} more.",
            param=param,
            extra={"n_prompt_tokens": n_prompt_tokens, "n_ctx": n_ctx},
        )
        self.n_prompt_tokens = n_prompt_tokens
        self.max_tokens = max_tokens
        self.n_ctx = n_ctx

    @property
    def fitting_max_tokens(self) -> int | None:
        room = self.n_ctx - self.n_prompt_tokens - self.margin
        return room if room >= self.least_useful_output else None


class NotAuthenticated(ClientError):
    """No key, or a wrong one (then ``code`` is ``invalid_api_key``)."""

    status = 401


class NotAllowed(ClientError):
    """A known client may not do this: a foreign Origin, or a model its key does not cover."""

    status = 403
    type = "permission_error"
    code = "not_allowed"


class RateLimited(ClientError):
    status = 429
    type = "rate_limit_error"
    code = "rate_limit_exceeded"


class ClientGone(ClientError):
    """The client left; nothing can be told to it. 499 is nginx's word for it in logs."""

    status = 499
    code = "client_gone"


# -- the backends' fault ---------------------------------------------------------------------


class BackendError(ProxyError):
    """A backend failed before anything of its answer was handed to the client."""

    side = Side.BACKEND
    status = 502
    type = "server_error"
    code = "backend_error"
    retryable = True


class BackendUnreachable(BackendError):
    """Connecting failed or timed out; nothing was sent."""

    code = "backend_unreachable"


class BackendDied(BackendError):
    """The connection ended before the answer did."""

    code = "backend_disconnected"


class BackendTimeout(BackendError):
    status = 504
    code = "backend_timeout"


class BackendProtocolError(BackendError):
    """The backend's bytes are not the HTTP or SSE they claim to be."""

    code = "backend_protocol_error"


class BackendBusy(BackendError):
    """The backend answered 429: it has no room."""

    status = 503
    code = "overloaded"


class BackendLoading(BackendError):
    """The backend answered 503 while it loads its model."""

    status = 503
    code = "model_loading"


class BackendRefused(BackendError):
    """The backend answered with a 4xx that is the request's fault: the same everywhere.

    ``status`` is the backend's own, ``type`` too.
    """

    side = Side.CLIENT
    retryable = False

    def __init__(self, message: str, *, status: int, type: str, **more: object) -> None:
        super().__init__(message, **more)  # type: ignore[arg-type]
        self.status = status
        self.type = type


class GrammarRejected(BackendRefused):
    """The backend cannot compile a tool's schema; a simpler schema may do."""


class PrefillRejected(BackendRefused):
    """An older llama-server that does not continue an assistant text while thinking is on."""


class Poisoned(BackendError):
    """Backends died while they read this very request; no other one is given it."""

    code = "request_quarantined"
    retryable = False


# -- our own limits and mistakes -------------------------------------------------------------


class Overloaded(ProxyError):
    """Every slot is taken and the queue is full or the wait was too long."""

    side = Side.PROXY
    status = 503
    type = "server_error"
    code = "overloaded"


class NoBackend(ProxyError):
    """Every backend of the model is down."""

    side = Side.PROXY
    status = 503
    type = "server_error"
    code = "no_backend_available"


class NotStarted(NoBackend):
    """The command that serves the model could not be started, or it died at once."""

    code = "backend_not_started"


class Cancelled(ProxyError):
    """An operator ended the request from the dashboard; clients are told not to repeat it."""

    side = Side.PROXY
    status = 503
    type = "server_error"
    code = "cancelled_by_operator"

    def __init__(self) -> None:
        super().__init__(
            "An operator cancelled this request.", headers=((b"x-should-retry", b"false"),)
        )


class MadeWay(ProxyError):
    """A mirrored request was broken off: its backend is needed, or this process ends."""

    side = Side.PROXY
    status = 503
    type = "server_error"
    code = "mirror_made_way"

    def __init__(self) -> None:
        super().__init__("The copy of a request made way for a request.")


def unserved(error: ProxyError) -> bool:
    """Whether another model may serve what this one could not."""
    return error.retryable or isinstance(error, (Overloaded, NoBackend, ContextExceeded))


class ShuttingDown(ProxyError):
    """The drain limit is over; a stream that still runs ends with this error."""

    side = Side.PROXY
    status = 503
    type = "server_error"
    code = "shutting_down"
    closes = True


class InternalError(ProxyError):
    """A bug of ours: logged with its traceback, told without it."""

    side = Side.PROXY
    status = 500
    type = "server_error"
    code = "internal_error"
    closes = True


# -- told to the operator, never to a client ---------------------------------------------------


class BadCertificate(Exception):
    """A certificate, its key or a list of authorities cannot be used."""


class ScoreboardMismatch(Exception):
    """The shared memory is not one, or was made by another version of this program."""
