"""What engines say when they fail, and what it means."""

from typing import Any

import orjson
import pytest

from multiproxy import errors as e
from multiproxy.dialects.classify import classify, classify_event

LLAMA_OVERFLOW = {
    "error": {
        "code": 400,
        "message": "request (6010 tokens) exceeds the available context size (2048 tokens), "
        "try increasing it",
        "type": "exceed_context_size_error",
        "n_prompt_tokens": 6010,
        "n_ctx": 2048,
    }
}


def openai(message: str, **more: Any) -> dict[str, Any]:
    return {"error": {"message": message, **more}}


def vllm(message: str) -> dict[str, Any]:
    return {"object": "error", "message": message, "type": "BadRequestError", "code": 400}


CONTEXT: dict[str, tuple[Any, int | None, int | None]] = {
    "llama.cpp": (LLAMA_OVERFLOW, 6010, 2048),
    "llama.cpp, text only": (openai(LLAMA_OVERFLOW["error"]["message"]), 6010, 2048),
    "llama.cpp of 2025": (
        openai("the request exceeds the available context size. try increasing the context size"),
        None,
        None,
    ),
    "llama.cpp, one pool for all slots": (openai("Context size has been exceeded."), None, None),
    "vLLM, prompt alone": (
        vllm(
            "This model's maximum context length is 4096 tokens. However, your request has 5000 "
            "input tokens. Please reduce the length of the input messages."
        ),
        5000,
        4096,
    ),
    "vLLM, sum with a prompt that is too long": (
        vllm(
            "This model's maximum context length is 4096 tokens. However, you requested 6024 "
            "tokens (5000 in the messages, 1024 in the completion)."
        ),
        5000,
        4096,
    ),
    "vLLM, decoder": (
        vllm(
            "The decoder prompt (length 5000) is longer than the maximum model length of 4096. "
            "Make sure that `max_model_len` is no smaller than the number of text tokens."
        ),
        5000,
        4096,
    ),
    "SGLang": (
        openai("The input (5000 tokens) is longer than the model's context length (4096 tokens)."),
        5000,
        4096,
    ),
    "Ollama": (
        {"error": "prompt too long; exceeded max context length by 904 tokens"},
        None,
        None,
    ),
    "TabbyAPI": (
        {"detail": "Prompt length 5000 is greater than max_seq_len 4096"},
        5000,
        4096,
    ),
    "LM Studio": (
        {
            "error": "Trying to keep the first 5000 tokens when context overflows. However, the "
            "model is loaded with context length of only 4096 tokens, which is not enough."
        },
        None,
        None,
    ),
    "OpenAI": (
        openai(
            "This model's maximum context length is 4096 tokens. However, your messages resulted "
            "in 5000 tokens. Please reduce the length of the messages.",
            type="invalid_request_error",
            code="context_length_exceeded",
        ),
        5000,
        4096,
    ),
    "OpenAI, without numbers": (
        openai("Your input exceeds the context window of this model.", code=None),
        None,
        None,
    ),
    "a code alone": (openai("too much", code="context_length_exceeded"), None, None),
    "Anthropic-like": (openai("prompt is too long: 5000 tokens > 4096 maximum"), 5000, 4096),
    "numbers that make no sense": (
        openai("request (10 tokens) exceeds the available context size (2048 tokens)"),
        None,
        None,
    ),
}
SUMS: dict[str, tuple[Any, int, int, int]] = {
    "vLLM, little room": (
        vllm(
            "This model's maximum context length is 4096 tokens. However, you requested 5060 "
            "tokens (4036 in the messages, 1024 in the completion). Please reduce the length."
        ),
        4036,
        1024,
        4096,
    ),
    "vLLM, much room": (
        vllm(
            "'max_tokens' or 'max_completion_tokens' is too large: 32000. This model's maximum "
            "context length is 4096 tokens and your request has 1000 input tokens (32000 > 4096 "
            "- 1000)."
        ),
        1000,
        32000,
        4096,
    ),
    "SGLang": (
        openai(
            "Requested token count exceeds the model's maximum context length of 4096 tokens. "
            "You requested a total of 4500 tokens: 4000 tokens from the input messages and 500 "
            "tokens for the completion."
        ),
        4000,
        500,
        4096,
    ),
    "OpenAI, completions": (
        openai(
            "This model's maximum context length is 4097 tokens, however you requested 4200 tokens "
            "(200 in your prompt; 4000 for the completion)."
        ),
        200,
        4000,
        4097,
    ),
}


@pytest.mark.parametrize("engine", CONTEXT)
def test_a_prompt_that_does_not_fit_is_told_with_its_numbers(engine: str) -> None:
    body, needed, available = CONTEXT[engine]
    for status in (400, 500):
        error = classify(status, orjson.dumps(body))
        assert isinstance(error, e.ContextExceeded)
        assert (error.n_prompt_tokens, error.n_ctx) == (needed, available)
    assert isinstance(classify_event(body), e.ContextExceeded)


@pytest.mark.parametrize("engine", SUMS)
def test_an_output_that_does_not_fit_is_told_apart(engine: str) -> None:
    body, prompt, output, available = SUMS[engine]
    error = classify(400, orjson.dumps(body))
    assert isinstance(error, e.OutputTooLong)
    assert (error.n_prompt_tokens, error.max_tokens, error.n_ctx) == (prompt, output, available)


def test_an_output_limit_that_fits_is_offered_if_it_is_of_use() -> None:
    assert e.OutputTooLong(1000, 32000, 4096).fitting_max_tokens == 3080
    assert e.OutputTooLong(4036, 1024, 4096).fitting_max_tokens is None


def test_llama_cpps_own_type_is_kept_for_chat() -> None:
    assert classify(400, orjson.dumps(LLAMA_OVERFLOW)).type == "exceed_context_size_error"


REFUSED = [
    "Jinja Exception: Conversation roles must alternate user/assistant",
    "System message must be at the beginning",
    "Failed to parse tool call arguments as JSON: unexpected end",
    "image input is not supported - hint: if this is unexpected, you may need to provide the "
    "mmproj",
    "Expected 'content' to be a string or an array",
    "unsupported content[].type",
    "tools param requires --jinja flag",
    "'messages' is required",
    "input (600 tokens) is too large to process. increase the physical batch size",
]


@pytest.mark.parametrize("status", [400, 500])
@pytest.mark.parametrize("message", REFUSED)
def test_what_a_template_refuses_is_the_requests_fault(message: str, status: int) -> None:
    error = classify(status, orjson.dumps(openai(message, type="server_error")))
    assert type(error) is e.BackendRefused
    assert (error.status, error.type, error.message) == (400, "invalid_request_error", message)
    assert not error.retryable


@pytest.mark.parametrize(
    "message",
    [
        "Failed to initialize samplers: failed to parse grammar",
        "JSON schema conversion failed: Pattern must start with '^' and end with '$'",
        "Unable to generate parser for this template. Automatic parser generation failed",
    ],
)
def test_a_schema_that_no_grammar_holds_is_told_apart(message: str) -> None:
    assert isinstance(classify(400, orjson.dumps(openai(message))), e.GrammarRejected)


def test_a_prefill_that_thinking_forbids_is_told_apart() -> None:
    message = "Assistant response prefill is incompatible with enable_thinking."
    assert isinstance(classify(400, orjson.dumps(openai(message))), e.PrefillRejected)


STATUS: list[tuple[int, str, type[e.ProxyError], int]] = [
    (401, "Invalid API Key", e.BackendError, 502),
    (403, "no", e.BackendError, 502),
    (404, "File Not Found", e.BackendError, 502),
    (404, "The model `x` does not exist.", e.UnknownModel, 404),
    (408, "", e.BackendBusy, 503),
    (429, "slow down", e.BackendBusy, 503),
    (501, "This server does not support embeddings.", e.Unsupported, 400),
    (503, "Loading model", e.BackendLoading, 503),
    (503, "no slot available", e.BackendBusy, 503),
    (422, "Field required", e.BackendRefused, 422),
    (418, "", e.BackendRefused, 418),
    (500, "out of memory", e.BackendError, 502),
    (502, "", e.BackendError, 502),
]


@pytest.mark.parametrize(("status", "message", "kind", "told"), STATUS)
def test_a_status_decides_when_the_words_do_not(
    status: int, message: str, kind: type[e.ProxyError], told: int
) -> None:
    error = classify(status, orjson.dumps(openai(message)))
    assert type(error) is kind and error.status == told


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "The backend failed without a reason."),
        (b"<html>Bad Gateway</html>", "The backend failed without a reason."),
        (b"boom", "The backend failed: boom"),
        (b'{"error":"boom"}', "The backend failed: boom"),
        (b'{"detail":"boom"}', "The backend failed: boom"),
        (b'{"detail":[{"msg":"a"},{"msg":"b"},5]}', "The backend failed: a; b"),
        (b'{"error":{"message":5}}', "The backend failed without a reason."),
        (b"[[[[", "The backend failed: [[[["),
        (b"\xff\xfe", "The backend failed: \ufffd\ufffd"),
    ],
)
def test_bodies_of_every_shape_are_read(body: bytes, message: str) -> None:
    assert classify(500, body).message == message


def test_a_backends_address_is_not_told() -> None:
    body = orjson.dumps(openai("connect to http://10.0.0.7:8080/x and localhost:99 failed"))
    assert classify(500, body).message == (
        "The backend failed: connect to (backend)/x and (backend) failed"
    )


def test_the_code_of_an_error_event_is_its_status() -> None:
    assert isinstance(classify_event({"error": {"code": 429, "message": ""}}), e.BackendBusy)
    assert isinstance(classify_event({"error": {"code": "x", "message": "m"}}), e.BackendError)
    assert classify_event("boom").message == "The backend failed: boom"
    assert classify_event(None).status == 502
