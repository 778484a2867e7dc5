"""Methods and paths -> endpoints; nothing but the exact bytes."""

import pytest

from multiproxy._http.head import RequestHead
from multiproxy.errors import InvalidRequest, MethodNotAllowed, NotFound
from multiproxy.worker import endpoints
from multiproxy.worker.endpoints import Kind, Speech

RESPONSE = "resp_" + "0123456789abcdef" * 2
ROUTES = [
    ("POST", "/v1/chat/completions", "chat", "/v1/chat/completions"),
    ("POST", "/chat/completions", "chat", "/v1/chat/completions"),
    ("POST", "/v1/v1/chat/completions", "chat", "/v1/chat/completions"),
    ("POST", "/v1/messages", "messages", "/v1/messages"),
    ("POST", "/v1/v1/messages", "messages", "/v1/messages"),
    ("POST", "/messages/count_tokens", "count-tokens", "/v1/messages/count_tokens"),
    ("POST", "/v1/responses", "responses", "/v1/responses"),
    ("POST", "/v1/responses/input_tokens", "input-tokens", "/v1/responses/input_tokens"),
    ("POST", "/v1/completions", "completions", "/v1/completions"),
    ("POST", "/v1/embeddings", "embeddings", "/v1/embeddings"),
    ("POST", "/embedding", "embeddings", "/embeddings"),
    ("POST", "/v1/rerank", "rerank", "/v1/rerank"),
    ("POST", "/reranking", "rerank", "/v1/rerank"),
    ("POST", "/completion", "completion", "/completion"),
    ("POST", "/infill", "infill", "/infill"),
    ("POST", "/tokenize", "tokenize", "/tokenize"),
    ("POST", "/detokenize", "detokenize", "/detokenize"),
    ("POST", "/apply-template", "apply-template", "/apply-template"),
    ("GET", "/props", "props", "/props"),
    ("HEAD", "/props", "props", "/props"),
    ("GET", "/v1/models", "models", ""),
    ("HEAD", "/models", "models", ""),
    ("GET", "/v1/models/org/name", "models", ""),
    ("GET", f"/v1/responses/{RESPONSE}", "stored-response", ""),
    ("DELETE", f"/v1/responses/{RESPONSE}", "stored-response", ""),
    ("GET", f"/v1/responses/{RESPONSE}/input_items", "stored-response", ""),
    ("POST", f"/v1/responses/{RESPONSE}/cancel", "stored-response", ""),
    ("GET", "/health", "health", ""),
    ("GET", "/readyz", "health", ""),
    ("GET", "/livez", "alive", ""),
    ("OPTIONS", "/v1/chat/completions", "preflight", ""),
    ("OPTIONS", "*", "preflight", ""),
]


def head(method: str, path: str, query: str = "") -> RequestHead:
    return RequestHead(
        method.encode(), path.encode(), b"1.1", [], True, path=path.encode(), query=query.encode()
    )


@pytest.mark.parametrize(("method", "path", "name", "upstream"), ROUTES)
def test_a_known_path_has_its_endpoint(method, path, name, upstream):
    endpoint = endpoints.find(head(method, path))
    assert (endpoint.name, endpoint.path) == (name, upstream.encode())
    assert endpoint.is_local is (upstream == "")


@pytest.mark.parametrize(
    ("path", "speech", "dialect"),
    [
        ("/v1/chat/completions", Speech.CHAT, "openai"),
        ("/v1/messages", Speech.MESSAGES, "messages"),
        ("/v1/messages/count_tokens", Speech.MESSAGES, "messages"),
        ("/v1/responses", Speech.RESPONSES, "responses"),
        ("/v1/completions", Speech.COMPLETIONS, "openai"),
        ("/v1/embeddings", Speech.COMPLETIONS, "openai"),
        ("/completion", Speech.NATIVE, "openai"),
        ("/infill", Speech.NATIVE, "openai"),
    ],
)
def test_a_path_says_what_is_spoken_there(path, speech, dialect):
    endpoint = endpoints.find(head("POST", path))
    assert (endpoint.speech, endpoint.dialect) == (speech, dialect)


def test_errors_without_an_endpoint_are_told_in_the_words_of_the_path_or_the_version():
    assert endpoints.dialect_of(head("POST", "/v1/messages/nope")) == "messages"
    assert endpoints.dialect_of(head("GET", "/v1/nope")) == "openai"
    versioned = head("GET", "/v1/nope")
    versioned.fields.append((b"anthropic-version", b"2023-06-01"))
    assert endpoints.dialect_of(versioned) == "messages"


@pytest.mark.parametrize(
    "path",
    ["/slots", "/v1/chat/completions/", "//v1/chat/completions", "/v1/./completions",
     "/%761/chat/completions", "/v1%2Fcompletions", "/V1/completions", "/v1/completions;x",
     "/v1/completions%00", "/models/load", "/tools", "/metrics", "/v1", ""],
)  # fmt: skip
def test_nothing_else_is_a_post(path):
    with pytest.raises((NotFound, MethodNotAllowed)) as error:
        endpoints.find(head("POST", path))
    assert error.value.status == (405 if path == "/models/load" else 404)


@pytest.mark.parametrize("path", ["/%68ealth", "/slots", "/v1/models%2F", "/health/", "/props/"])
def test_nothing_else_is_a_get(path):
    with pytest.raises(NotFound):
        endpoints.find(head("GET", path))


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("GET", "/v1/chat/completions", b"POST, OPTIONS"),
        ("DELETE", "/v1/chat/completions", b"POST, OPTIONS"),
        ("POST", "/props", b"GET, HEAD, OPTIONS"),
        ("PUT", "/v1/models/x", b"GET, HEAD, OPTIONS"),
        ("POST", "*", b"GET, HEAD, POST, DELETE, OPTIONS"),
        ("PUT", f"/v1/responses/{RESPONSE}", b"GET, HEAD, DELETE, OPTIONS"),
    ],
)
def test_a_wrong_method_is_told_the_right_ones(method, path, allow):
    with pytest.raises(MethodNotAllowed) as error:
        endpoints.find(head(method, path))
    assert (error.value.status, error.value.headers) == (405, ((b"allow", allow),))
    assert allow.decode() in error.value.message


def test_a_hostile_path_is_shown_short():
    with pytest.raises(NotFound) as error:
        endpoints.find(head("GET", "/" + "x" * 8000))
    assert len(error.value.message) < 200


def test_probes_and_preflights_are_noise_and_requests_are_not():
    noise = {
        name for method, path, name, _ in ROUTES if endpoints.find(head(method, path)).is_noise
    }
    assert noise == {"health", "alive", "preflight"}


def test_a_query_is_read_up_to_a_hundred_parameters():
    assert endpoints.query_of(head("GET", "/props", "model=a%2Fb&model=c+d&x")) == {"model": "c d"}
    assert len(endpoints.query_of(head("GET", "/", "&".join(f"a{n}=1" for n in range(100))))) == 100
    with pytest.raises(InvalidRequest):
        endpoints.query_of(head("GET", "/", "&".join(f"a{n}=1" for n in range(101))))


def test_a_model_is_asked_of_a_backend_only_where_one_is_named():
    kinds = {name: endpoints.find(head(method, path)).kind for method, path, name, _ in ROUTES}
    assert {name for name, kind in kinds.items() if kind is Kind.QUERY} == {"props"}
