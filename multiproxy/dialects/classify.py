"""What a backend's error answer means: llama-server's and other engines' words.

A status alone says little: llama-server answers 500 to a request that its chat template
refuses (agents repeat a 500 up to ten times), and every engine has its own sentence for a
prompt that does not fit. The first match of ``classify`` wins.
"""

import re
from dataclasses import dataclass

from multiproxy import errors as e
from multiproxy.dialects.json_text import loads

_READ = 4096  # characters of a message that are looked at
_TOLD = 1000  # characters of a message that are handed on

_F = re.IGNORECASE | re.DOTALL
_LIMIT = re.compile(r"(?:context|model) length (?:is |of |\()?(?:only )?(\d+)", _F)

# Prompt and output counted together: A prompt tokens, B output tokens.
_SUMS = (
    re.compile(
        r"requested \d+ tokens \((?P<A>\d+) in (?:the messages|your prompt)[,;] "
        r"(?P<B>\d+) (?:in|for) +the completion\)",
        _F,
    ),
    re.compile(
        r"max_(?:completion_)?tokens.* is too large: (?P<B>\d+).*has (?P<A>\d+) input tokens", _F
    ),
    re.compile(
        r"(?P<A>\d+) tokens from the input messages and (?P<B>\d+) tokens for the completion", _F
    ),
)
_EXCEEDED = re.compile(
    r"exceed(?:s|ed)? (?:the |max )?(?:available )?context (?:size|length|window)"
    r"|maximum (?:context|model) length"
    r"|prompt (?:is )?too long"
    r"|longer than the (?:model's|maximum) (?:context|model)"
    r"|exceed.*max(?:imum)?_?(?:model|input|seq)_?len"
    r"|context size has been exceeded"
    r"|greater than (?:max_seq_len|the context length)"
    r"|context length of only",
    _F,
)
# The prompt's tokens N and the limit M.
_COUNTS = (
    re.compile(r"request \((?P<N>\d+) tokens\).*context size \((?P<M>\d+)", _F),
    re.compile(r"prompt is too long: (?P<N>\d+) tokens > (?P<M>\d+)", _F),
    re.compile(r"input \((?P<N>\d+) tokens\).*context length \((?P<M>\d+)", _F),
    re.compile(r"length (?P<N>\d+)\) is longer.*length of (?P<M>\d+)", _F),
    re.compile(r"length (?P<N>\d+) is greater than max_seq_len (?P<M>\d+)", _F),
    re.compile(r"length is (?P<M>\d+).*(?:has|requested|resulted in) (?P<N>\d+)", _F),
)
_GRAMMAR = re.compile(
    r"failed to parse grammar|JSON schema conversion failed|Unable to generate parser"
    r"|Pattern must start|failed to initialize samplers",
    _F,
)
_PREFILL = re.compile(r"prefill is incompatible with enable_thinking", _F)
_TEMPLATE = re.compile(
    r"Jinja|template|must be at the beginning|roles must alternate"
    r"|Failed to parse (?:messages|tools|tool call)|not supported - hint|requires --jinja"
    r"|is required|Expected 'content'|unsupported content|too large to process",
    _F,
)
_MODEL = re.compile(r"model", _F)
_LOADING = re.compile(r"load", _F)
_ADDRESS = re.compile(
    r"(?:https?://)?(?:\d{1,3}(?:\.\d{1,3}){3}|localhost|\[[\da-f:]+\])(?::\d+)?", _F
)


@dataclass(frozen=True, slots=True)
class _Told:
    """What an error body says, whatever its shape; ``message`` is empty for HTML."""

    message: str
    type: str = ""
    code: object = None
    n_prompt_tokens: int | None = None
    n_ctx: int | None = None


def classify(status: int, body: bytes) -> e.ProxyError:
    """The failure that a backend's answer with ``status`` >= 400 tells. Never raises."""
    return _classify(status, _read_body(body))


def classify_event(data: object) -> e.ProxyError:
    """The failure that an error inside a stream tells: the parsed event, or its text."""
    told = _read_value(data)
    code = told.code
    return _classify(code if isinstance(code, int) and 400 <= code < 600 else 500, told)


def _classify(status: int, told: _Told) -> e.ProxyError:
    message = told.message[:_READ]
    return (
        _context(told, message)
        or _refused(status, told, message)
        or _by_status(status, told, message)
    )


def _context(told: _Told, message: str) -> e.ProxyError | None:
    limit = _LIMIT.search(message)
    for pattern in _SUMS:
        if limit and (found := pattern.search(message)):
            prompt, output, available = int(found["A"]), int(found["B"]), int(limit.group(1))
            if prompt < available:
                return e.OutputTooLong(prompt, output, available)
            return _exceeded(told, prompt, available)
    if not (
        told.type == "exceed_context_size_error"
        or told.code == "context_length_exceeded"
        or _EXCEEDED.search(message)
    ):
        return None
    if told.n_prompt_tokens is not None and told.n_ctx is not None:
        return _exceeded(told, told.n_prompt_tokens, told.n_ctx)
    for pattern in _COUNTS:
        if found := pattern.search(message):
            return _exceeded(told, int(found["N"]), int(found["M"]))
    return _exceeded(told, None, None)


def _exceeded(told: _Told, prompt: int | None, available: int | None) -> e.ContextExceeded:
    known = prompt is not None and available is not None and prompt > available
    error = e.ContextExceeded(prompt, available) if known else e.ContextExceeded(None, None)
    if told.type == "exceed_context_size_error":
        error.type = told.type  # llama.cpp's clients look for it; Chat keeps it
    return error


def _refused(status: int, told: _Told, message: str) -> e.ProxyError | None:
    if status not in (400, 500):
        return None
    if _GRAMMAR.search(message):
        return e.GrammarRejected(_clean(message), status=400, type="invalid_request_error")
    if _PREFILL.search(message):
        return e.PrefillRejected(_clean(message), status=400, type="invalid_request_error")
    if _TEMPLATE.search(message):
        return e.BackendRefused(_clean(message), status=400, type="invalid_request_error")
    return None


def _by_status(status: int, told: _Told, message: str) -> e.ProxyError:
    match status:
        case 401 | 403:
            return e.BackendError("The backend did not accept this server's credentials.")
        case 404 if _MODEL.search(message):
            return e.UnknownModel(_clean(message), param="model")
        case 408 | 429:
            return e.BackendBusy("The backend has no room for another request.")
        case 501:
            return e.Unsupported(_clean(message), code="unsupported_value")
        case 503 if _LOADING.search(message):
            return e.BackendLoading("The backend is loading its model.")
        case 503:
            return e.BackendBusy("The backend is not available.")
        case 404:
            return e.BackendError("The backend does not know this route.")
        case _ if 400 <= status < 500:
            text = _clean(message) or f"The backend refused the request with status {status}."
            return e.BackendRefused(text, status=status, type=told.type or "invalid_request_error")
        case _:
            text = _clean(message)
            return e.BackendError(
                f"The backend failed: {text}" if text else "The backend failed without a reason."
            )


def _clean(message: str) -> str:
    """``message`` for a client: short, and without a backend's address."""
    return _ADDRESS.sub("(backend)", message[:_TOLD]).strip()


def _read_body(body: bytes) -> _Told:
    try:
        return _read_value(loads(body))
    except ValueError:
        text = body[: 4 * _READ].decode("utf-8", "replace").strip()
        return _Told("" if text.startswith("<") else text)


def _read_value(value: object) -> _Told:
    """Reads ``{"error": {...}}``, ``{"error": "..."}``, vLLM's, FastAPI's, a bare object."""
    if isinstance(value, dict):
        inner = value.get("error") or value
        if isinstance(inner, dict):
            message = inner.get("message") or inner.get("detail") or inner.get("msg") or ""
            kind = inner.get("type")
            return _Told(
                _as_text(message),
                kind if isinstance(kind, str) else "",
                inner.get("code"),
                _as_count(inner.get("n_prompt_tokens")),
                _as_count(inner.get("n_ctx")),
            )
        return _Told(_as_text(inner))
    return _Told(_as_text(value))


def _as_text(value: object) -> str:
    if isinstance(value, list):  # FastAPI: a list of problems
        problems = [item.get("msg") if isinstance(item, dict) else item for item in value[:8]]
        return "; ".join(problem for problem in problems if isinstance(problem, str))
    return value if isinstance(value, str) else ""


def _as_count(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None
