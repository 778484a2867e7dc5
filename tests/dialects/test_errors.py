"""One failure in the words of each dialect."""

from typing import Any

import orjson
import pytest

from multiproxy import errors as e
from multiproxy.dialects.errors import (
    INVALID_JSON,
    chat_tail,
    messages_tail,
    render_messages,
    render_openai,
    render_responses,
)


def overflow() -> e.ContextExceeded:
    error = e.ContextExceeded(6010, 2048)
    error.type = "exceed_context_size_error"
    return error


def test_an_overflow_keeps_llama_cpps_type_for_chat_and_openais_for_responses() -> None:
    chat = orjson.loads(render_openai(overflow(), "req_1").body)["error"]
    assert chat == {
        "message": "This model's maximum context length is 2048 tokens, but the request has 6010 "
        "tokens. request (6010 tokens) exceeds the available context size (2048 tokens)",
        "type": "exceed_context_size_error",
        "param": "messages",
        "code": "context_length_exceeded",
        "n_prompt_tokens": 6010,
        "n_ctx": 2048,
        "request_id": "req_1",
    }
    responses = orjson.loads(render_responses(overflow(), "req_1").body)["error"]
    assert responses == chat | {"type": "invalid_request_error", "param": "input"}


KEY = e.NotAuthenticated("Incorrect API key provided.", code="invalid_api_key")
MESSAGES: list[tuple[e.ProxyError, int, str, str]] = [
    (
        overflow(),
        400,
        "invalid_request_error",
        "prompt is too long: 6010 tokens > 2048 maximum",
    ),
    (
        e.ContextExceeded(None, None),
        400,
        "invalid_request_error",
        "prompt is too long: the request exceeds the available context size",
    ),
    (
        e.OutputTooLong(4036, 1024, 4096),
        400,
        "invalid_request_error",
        "input length and `max_tokens` exceed context limit: 4036 + 1024 > 4096, decrease input "
        "length or `max_tokens` and try again",
    ),
    (
        e.UnknownModel("The model `nope` does not exist or you do not have access to it."),
        404,
        "not_found_error",
        "model: nope",
    ),
    (e.NoBackend("Every backend is down."), 503, "api_error", "Every backend is down."),
    (e.Overloaded("No slot."), 529, "overloaded_error", "Overloaded"),
    (e.BackendBusy("No room."), 529, "overloaded_error", "Overloaded"),
    (e.BackendTimeout("Too slow."), 504, "timeout_error", "Too slow."),
    (e.BackendDied("Gone."), 502, "api_error", "Gone."),
    (e.BackendLoading("Loading."), 503, "api_error", "Loading."),
    (
        e.InvalidJSON(INVALID_JSON + "it ends"),
        400,
        "invalid_request_error",
        "The request body is not valid JSON: it ends",
    ),
    (
        e.InvalidRequest("Field required", param="messages[2].content[0].text"),
        400,
        "invalid_request_error",
        "messages.2.content.0.text: Field required",
    ),
    (
        e.Unsupported("not supported by this server", param="mcp_servers"),
        400,
        "invalid_request_error",
        "mcp_servers: not supported by this server",
    ),
    (e.NotAuthenticated("x"), 401, "authentication_error", "x-api-key header is required"),
    (KEY, 401, "authentication_error", "invalid x-api-key"),
    (e.NotAllowed("Not this model."), 403, "permission_error", "Not this model."),
    (
        e.BodyTooLarge("x"),
        413,
        "request_too_large",
        "Request exceeds the maximum allowed number of bytes",
    ),
    (e.RateLimited("Slow down."), 429, "rate_limit_error", "Slow down."),
    (e.MethodNotAllowed("Use POST."), 405, "invalid_request_error", "Use POST."),
    (e.NotFound("Unknown request URL."), 404, "not_found_error", "Unknown request URL."),
    (e.InternalError("secret"), 500, "api_error", "Internal server error"),
    (
        e.BackendRefused("roles must alternate", status=400, type="x"),
        400,
        "invalid_request_error",
        "roles must alternate",
    ),
]


@pytest.mark.parametrize(("error", "status", "kind", "message"), MESSAGES)
def test_a_failure_has_anthropics_words(
    error: e.ProxyError, status: int, kind: str, message: str
) -> None:
    rendered = render_messages(error, "req_1")
    members: dict[str, Any] = {"type": kind, "message": message}
    body = {"type": "error", "error": members, "request_id": "req_1"}
    assert rendered.status == status
    assert orjson.loads(rendered.body) == body
    assert messages_tail(error, "req_1") == (b"event: error\ndata: " + orjson.dumps(body) + b"\n\n")


@pytest.mark.parametrize("error", [error for error, *_ in MESSAGES])
def test_a_failure_has_openais_members(error: e.ProxyError) -> None:
    rendered = render_openai(error, "req_1")
    members = orjson.loads(rendered.body)["error"]
    assert rendered.status == error.status
    assert {"message", "type", "param", "code", "request_id"} <= set(members)
    assert members["code"] is None or isinstance(members["code"], str)
    assert chat_tail(error, "req_1") == b"data: " + rendered.body + b"\n\n"


def test_an_encoding_we_cannot_undo_has_its_own_details() -> None:
    error = e.UnsupportedEncoding("Only gzip.")
    assert render_openai(error, "req_1").status == 415
    rendered = render_messages(error, "req_1")
    assert rendered.status == 400
    details = orjson.loads(rendered.body)["error"]["details"]
    assert details == {"error_code": "request_body_encoding_unsupported"}


@pytest.mark.parametrize(("asked", "sent"), [(None, b"2"), (7, b"7"), (600, b"60"), (0, b"0")])
def test_a_busy_answer_says_when_to_come_back(asked: int | None, sent: bytes) -> None:
    error = e.Overloaded("No slot.", retry_after_s=asked)
    assert render_openai(error, "r").fields == ((b"retry-after", sent),)
    assert render_messages(error, "r").fields == ((b"retry-after", sent),)


def test_other_answers_do_not_ask_to_come_back() -> None:
    assert render_openai(e.BackendDied("x"), "r").fields == ()


def test_sdks_are_told_whether_to_retry() -> None:
    fields = render_openai(e.BackendDied("x"), "r", should_retry=False).fields
    assert fields == ((b"x-should-retry", b"false"),)
    fields = render_messages(e.BackendDied("x"), "r", should_retry=True).fields
    assert fields == ((b"x-should-retry", b"true"),)


def test_the_errors_own_header_fields_are_kept() -> None:
    error = e.MethodNotAllowed("Use POST.", headers=((b"allow", b"POST"),))
    assert render_openai(error, "r").fields == ((b"allow", b"POST"),)
