"""Method and exact path -> endpoint. Paths are matched as bytes, never normalised.

A backend only ever gets a path that stands here: it has dangerous neighbours (``/slots``,
``/models/load``, ``/tools``) and reads ``%73lots`` as one of them.
"""

from dataclasses import dataclass
from enum import Enum, auto
from urllib.parse import parse_qsl

from multiproxy._http.head import RequestHead
from multiproxy.errors import InvalidRequest, MethodNotAllowed, NotFound

MAX_GET_BODY = 64 * 1024  # RFC 9110 section 9.3.1: read and dropped
MAX_PARAMETERS = 100


class Kind(Enum):
    """What happens with a request after its body was read."""

    GENERATE = auto()  # the model is named in a JSON body; the answer may be a stream
    QUERY = auto()  # the model is named in the query string, there is no body
    MODELS = auto()  # answered here: every model there is
    HEALTH = auto()  # answered here: can requests be served
    ALIVE = auto()  # answered here: this process runs
    PREFLIGHT = auto()  # OPTIONS of a browser


class Stream(Enum):
    """How a relayed stream begins and ends; see ``dialects.passthrough``."""

    CHAT = auto()
    COMPLETIONS = auto()
    NATIVE = auto()


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One thing a client can ask for. ``path`` is what a backend is asked, if it is asked."""

    name: str
    kind: Kind
    path: bytes = b""
    stream: Stream = Stream.NATIVE
    dialect: str = "openai"

    @property
    def is_local(self) -> bool:
        """Whether it is answered without a backend."""
        return self.kind not in (Kind.GENERATE, Kind.QUERY)

    @property
    def is_noise(self) -> bool:
        """Whether a good answer is not worth a line: probes and preflights."""
        return self.kind in (Kind.HEALTH, Kind.ALIVE, Kind.PREFLIGHT)


_PREFLIGHT = Endpoint("preflight", Kind.PREFLIGHT)


def _relayed(
    name: str, path: str, *aliases: str, stream: Stream = Stream.NATIVE
) -> "dict[bytes, Endpoint]":
    endpoint = Endpoint(name, Kind.GENERATE, path.encode(), stream)
    return {key.encode(): endpoint for key in (path, *aliases)}


_POST: dict[bytes, Endpoint] = {
    **_relayed(
        "chat",
        "/v1/chat/completions",
        "/chat/completions",
        "/v1/v1/chat/completions",
        stream=Stream.CHAT,
    ),
    **_relayed("completions", "/v1/completions", "/v1/v1/completions", stream=Stream.COMPLETIONS),
    **_relayed("embeddings", "/v1/embeddings", "/v1/v1/embeddings"),
    **_relayed("embeddings", "/embeddings", "/embedding"),
    **_relayed("rerank", "/v1/rerank", "/v1/reranking", "/rerank", "/reranking"),
    **_relayed("completion", "/completion", "/completions"),
    **_relayed("infill", "/infill"),
    **_relayed("tokenize", "/tokenize"),
    **_relayed("detokenize", "/detokenize"),
    **_relayed("apply-template", "/apply-template"),
    **_relayed("input-tokens", "/v1/chat/completions/input_tokens"),
}
_MODELS = Endpoint("models", Kind.MODELS)
_HEALTH = Endpoint("health", Kind.HEALTH)
_ALIVE = Endpoint("alive", Kind.ALIVE)
_GET: dict[bytes, Endpoint] = {
    b"/v1/models": _MODELS,
    b"/models": _MODELS,
    b"/v1/v1/models": _MODELS,
    b"/props": Endpoint("props", Kind.QUERY, b"/props"),
    b"/health": _HEALTH,
    b"/v1/health": _HEALTH,
    b"/readyz": _HEALTH,
    b"/livez": _ALIVE,
    b"/": _ALIVE,
    b"/api/hello": _ALIVE,
}
MODEL_PREFIXES = (b"/v1/models/", b"/models/")  # GET of one model; its name may hold slashes


def find(head: RequestHead) -> Endpoint:
    """Return the endpoint of a request.

    Raises:
        NotFound: no such path.
        MethodNotAllowed: the path exists; ``headers`` tell the methods it has.
    """
    path, method = head.path, head.method
    if method == b"POST":
        endpoint = _POST.get(path)
    elif method in (b"GET", b"HEAD"):
        endpoint = _GET.get(path) or (_MODELS if path.startswith(MODEL_PREFIXES) else None)
    elif method == b"OPTIONS":
        return _PREFLIGHT
    else:
        endpoint = None
    if endpoint is not None:
        return endpoint
    allowed = methods(path)
    shown = path[:100].decode("ascii", "replace")
    if allowed:
        raise MethodNotAllowed(
            f"{method.decode('ascii', 'replace')} is not served at {shown}; use "
            f"{allowed.decode()}.",
            headers=((b"allow", allowed),),
        )
    raise NotFound(f"Unknown request URL: {method.decode('ascii', 'replace')} {shown}.")


def methods(path: bytes) -> bytes:
    """Return the value of ``Allow`` for a path, empty for an unknown one."""
    if path in _POST:
        return b"POST, OPTIONS"
    if path in _GET or path.startswith(MODEL_PREFIXES):
        return b"GET, HEAD, OPTIONS"
    return b"GET, HEAD, POST, OPTIONS" if path == b"*" else b""


def query_of(head: RequestHead) -> dict[str, str]:
    """Return the parameters of a request's query string; of repeated ones the last.

    Raises:
        InvalidRequest: more than ``MAX_PARAMETERS``.
    """
    try:
        pairs = parse_qsl(head.query.decode("ascii"), max_num_fields=MAX_PARAMETERS)
    except ValueError as error:
        raise InvalidRequest("The query string has too many parameters.") from error
    return dict(pairs)
