"""A request's JSON body, checked as llama-server checks it, as an order to generate."""

from dataclasses import dataclass, field
from typing import Any

import orjson

from . import prompt, text
from .plan import Ending, Plan, Tokens, until_stop
from .settings import Settings
from .wire import Refusal

_NUMBERS = ("max_tokens", "n_predict", "temperature", "top_p", "top_k", "seed", "n", "min_p")
_BOOLEANS = ("stream", "return_progress", "timings_per_token", "cache_prompt", "ignore_eos")
_PARSE_ERROR = "[json.exception.parse_error.101] parse error at line {}, column {}: {}"


@dataclass(slots=True)
class Order:
    """One prompt to run on one slot. ``limit`` is tokens, at most what the context holds."""

    prompt: str
    prompt_tokens: int
    plan: Plan
    limit: int
    truncates: bool  # the limit is the end of the context
    body: dict[str, Any]
    index: int = 0
    chat_format: str = "Content-only"
    stream: bool = field(init=False)

    def __post_init__(self) -> None:
        self.stream = bool(self.body.get("stream", False))


def parse(raw: bytes) -> dict[str, Any]:
    """Return the body; anything but an object counts as an empty one.

    Raises:
        Refusal: not JSON, or a known field has the wrong type.
    """
    if not raw:
        message = "attempting to parse an empty input; check that your input string or stream"
        raise Refusal(
            400, _PARSE_ERROR.format(1, 1, message + " contains the expected JSON")
        ) from None
    try:
        body = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise Refusal(400, _parse_message(error, raw)) from error
    if not isinstance(body, dict):
        return {}
    for names, types, wanted in ((_NUMBERS, (int, float), "number"), (_BOOLEANS, bool, "boolean")):
        for name in names:
            value = body.get(name)
            if value is not None and not isinstance(value, types):
                raise Refusal(
                    400,
                    f"Field '{name}': [json.exception.type_error.302] type must be {wanted},"
                    f" but is {_json_type(value)}",
                )
    return body


def _json_type(value: object) -> str:
    names = {str: "string", bool: "boolean", list: "array", dict: "object"}
    return names.get(type(value), "number")


def _parse_message(error: orjson.JSONDecodeError, raw: bytes) -> str:
    if error.pos >= len(raw.rstrip()):
        what = "unexpected end of input; expected '[', '{', or a literal"
    else:
        what = f"invalid literal; last read: '{error.doc[error.pos : error.pos + 1]}'"
    where = (error.lineno, error.colno)
    return _PARSE_ERROR.format(*where, f"syntax error while parsing value - {what}")


def check_context(tokens: int, settings: Settings) -> None:
    """Raise the context error when a prompt leaves no room for one token."""
    if tokens >= settings.context_size:
        raise Refusal(
            400,
            f"request ({tokens} tokens) exceeds the available context size"
            f" ({settings.context_size} tokens), try increasing it",
            type="exceed_context_size_error",
            n_prompt_tokens=tokens,
            n_ctx=settings.context_size,
        )


def limit_of(body: dict[str, Any], used: int, settings: Settings) -> tuple[int, bool]:
    """Return the token limit, and whether it is the context's."""
    asked = settings.n_predict
    for name in ("max_completion_tokens", "max_tokens", "n_predict"):
        if body.get(name) is not None:
            asked = int(body[name])
            break
    room = settings.context_size - used
    if asked < 0 or asked > room:
        return room, True
    return asked, False  # 0 still makes one token: the limit is looked at after it


def stops_of(body: dict[str, Any]) -> list[str]:
    stop = body.get("stop")
    words = stop if isinstance(stop, list) else [stop]
    return [word for word in words if isinstance(word, str) and word]


def completion(body: dict[str, Any], prompt_text: str, index: int, settings: Settings) -> Order:
    """Return the order of a text completion.

    Raises:
        Refusal: the prompt does not fit the context.
    """
    tokens = prompt.count_tokens(prompt_text)
    check_context(tokens, settings)
    chance = text.random_of(int(body.get("seed", settings.seed)), prompt_text, index)
    spoken: Tokens = text.speak(chance, endless=bool(body.get("ignore_eos")))
    ending = Ending()
    if stops := stops_of(body):
        spoken = until_stop(spoken, stops, ending)
    limit, truncates = limit_of(body, tokens, settings)
    return Order(prompt_text, tokens, Plan(spoken, ending), limit, truncates, body, index)
