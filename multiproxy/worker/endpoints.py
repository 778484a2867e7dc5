"""Method and exact path -> endpoint. Paths are matched as bytes, never normalised.

A backend only ever gets a path that stands here: it has dangerous neighbours (``/slots``,
``/models/load``, ``/tools``) and reads ``%73lots`` as one of them.
"""

import re
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
    COUNT = auto()  # like GENERATE, but only the prompt's tokens are wanted
    QUERY = auto()  # the model is named in the query string, there is no body
    STORED = auto()  # answered here: a stored response
    MODELS = auto()  # answered here: every model there is
    HEALTH = auto()  # answered here: can requests be served
    ALIVE = auto()  # answered here: this process runs
    PREFLIGHT = auto()  # OPTIONS of a browser


class Speech(Enum):
    """What a request is written in, which is how its answer has to be written."""

    CHAT = auto()
    MESSAGES = auto()
    RESPONSES = auto()
    COMPLETIONS = auto()  # OpenAI's older streams, and everything that never streams
    NATIVE = auto()  # llama-server's own


_DIALECTS = {Speech.MESSAGES: "messages", Speech.RESPONSES: "responses"}


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One thing a client can ask for. ``path`` is what a backend is asked, if it is asked."""

    name: str
    kind: Kind
    path: bytes = b""
    speech: Speech = Speech.COMPLETIONS

    @property
    def dialect(self) -> str:
        """``openai``, ``messages`` or ``responses``: the words that errors are told in."""
        return _DIALECTS.get(self.speech, "openai")

    @property
    def has_body(self) -> bool:
        """Whether a request says in a JSON body what it wants."""
        return self.kind in (Kind.GENERATE, Kind.COUNT)

    @property
    def is_local(self) -> bool:
        """Whether it is answered without a backend."""
        return self.kind not in (Kind.GENERATE, Kind.COUNT, Kind.QUERY)

    @property
    def is_noise(self) -> bool:
        """Whether a good answer is not worth a line: probes and preflights."""
        return self.kind in (Kind.HEALTH, Kind.ALIVE, Kind.PREFLIGHT)


_PREFLIGHT = Endpoint("preflight", Kind.PREFLIGHT)


def _posted(
    name: str, *paths: str, speech: Speech = Speech.COMPLETIONS, kind: Kind = Kind.GENERATE
) -> dict[bytes, Endpoint]:
    """The first path is the one that a backend is asked."""
    endpoint = Endpoint(name, kind, paths[0].encode(), speech)
    return {path.encode(): endpoint for path in paths}


def _versions(path: str) -> tuple[str, str, str]:
    """A base URL may be given with /v1, without, or twice: clients differ."""
    return f"/v1{path}", path, f"/v1/v1{path}"


_POST: dict[bytes, Endpoint] = {
    **_posted("chat", *_versions("/chat/completions"), speech=Speech.CHAT),
    **_posted("messages", *_versions("/messages"), speech=Speech.MESSAGES),
    **_posted("responses", *_versions("/responses"), speech=Speech.RESPONSES),
    **_posted(
        "count-tokens",
        *_versions("/messages/count_tokens"),
        speech=Speech.MESSAGES,
        kind=Kind.COUNT,
    ),
    **_posted(
        "input-tokens",
        *_versions("/responses/input_tokens"),
        speech=Speech.RESPONSES,
        kind=Kind.COUNT,
    ),
    **_posted(
        "input-tokens",
        *_versions("/chat/completions/input_tokens"),
        speech=Speech.CHAT,
        kind=Kind.COUNT,
    ),
    **_posted("completions", "/v1/completions", "/v1/v1/completions"),
    **_posted("embeddings", "/v1/embeddings", "/v1/v1/embeddings"),
    **_posted("embeddings", "/embeddings", "/embedding"),
    **_posted("rerank", "/v1/rerank", "/v1/reranking", "/rerank", "/reranking"),
    **_posted("completion", "/completion", "/completions", speech=Speech.NATIVE),
    **_posted("infill", "/infill", speech=Speech.NATIVE),
    **_posted("tokenize", "/tokenize"),
    **_posted("detokenize", "/detokenize"),
    **_posted("apply-template", "/apply-template"),
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
_STORED = Endpoint("stored-response", Kind.STORED, speech=Speech.RESPONSES)
STORED_PATH = re.compile(rb"(?:/v1)?/responses/(resp_[0-9a-f]{32})(/input_items|/cancel)?")
_MESSAGES_PATHS = (b"/v1/messages", b"/messages", b"/v1/v1/messages")


def find(head: RequestHead) -> Endpoint:
    """Return the endpoint of a request.

    Raises:
        NotFound: no such path.
        MethodNotAllowed: the path exists; ``headers`` tell the methods it has.
    """
    path, method = head.path, head.method
    endpoint: Endpoint | None = None
    if method == b"POST":
        endpoint = _POST.get(path)
    elif method in (b"GET", b"HEAD"):
        endpoint = _GET.get(path) or (_MODELS if path.startswith(MODEL_PREFIXES) else None)
    elif method == b"OPTIONS":
        return _PREFLIGHT
    if endpoint is None and method in _stored_methods(path).split(b", "):
        return _STORED
    if endpoint is not None:
        return endpoint
    shown = f"{method.decode('ascii', 'replace')} {path[:100].decode('ascii', 'replace')}"
    allowed = methods(path)
    if allowed:
        raise MethodNotAllowed(
            f"{shown} is not served; use {allowed.decode()}.", headers=((b"allow", allowed),)
        )
    raise NotFound(f"Unknown request URL: {shown}.")


def methods(path: bytes) -> bytes:
    """Return the value of ``Allow`` for a path, empty for an unknown one."""
    if path in _POST:
        return b"POST, OPTIONS"
    if path in _GET or path.startswith(MODEL_PREFIXES):
        return b"GET, HEAD, OPTIONS"
    if path == b"*":
        return b"GET, HEAD, POST, DELETE, OPTIONS"
    stored = _stored_methods(path)
    return stored + b", OPTIONS" if stored else b""


def _stored_methods(path: bytes) -> bytes:
    match = STORED_PATH.fullmatch(path)
    if match is None:
        return b""
    return {None: b"GET, HEAD, DELETE", b"/input_items": b"GET, HEAD"}.get(match[2], b"POST")


def dialect_of(head: RequestHead) -> str:
    """Return the dialect for an error about a request that has no endpoint."""
    if head.path.startswith(_MESSAGES_PATHS) or head.get(b"anthropic-version") is not None:
        return "messages"
    return "openai"


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
