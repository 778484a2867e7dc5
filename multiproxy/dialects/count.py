"""How many tokens a prompt has: asked of the engine, else estimated from its bytes.

Agents budget with this number. The translated request is counted, not the client's: then
the answer equals the prompt tokens of the same request when it is generated.
"""

from collections.abc import Iterable, Mapping
from math import ceil
from typing import Any

import orjson

from multiproxy.dialects.json_text import loads
from multiproxy.dialects.request import encoded
from multiproxy.errors import BackendProtocolError

BYTES_PER_TOKEN = 3.6  # until a model's own ratio is known
_PER_MESSAGE = 8  # tokens of the template around a message
_PER_IMAGE = 800
_NEWEST_SHARE = 0.1  # of the newest request in a moving average
_GENERATION_ONLY = ("stream", "stream_options", "return_progress", "verbose", "response_fields")


class TokenRatio:
    """Bytes of a prompt per token, as a moving average of one model's requests."""

    def __init__(self) -> None:
        self.bytes_per_token = BYTES_PER_TOKEN

    def learn(self, body: Mapping[str, Any], prompt_tokens: int) -> None:
        """A request and the ``prompt_tokens`` that its engine counted."""
        size, overhead, _ = _measure(body)
        tokens = prompt_tokens - overhead
        if tokens > 0 and size > 0:
            ratio = min(max(size / tokens, 0.5), 16.0)
            self.bytes_per_token += _NEWEST_SHARE * (ratio - self.bytes_per_token)


def estimate_prompt(body: Mapping[str, Any], bytes_per_token: float = BYTES_PER_TOKEN) -> int:
    """About how many tokens the prompt of a Chat request has."""
    size, overhead, images = _measure(body)
    return ceil(size / bytes_per_token) + overhead + _PER_IMAGE * images


def estimate_text(characters: int) -> int:
    """About how many tokens a text of this length has."""
    return ceil(characters / BYTES_PER_TOKEN)


def counting_body(body: Mapping[str, Any]) -> dict[str, Any]:
    """The request for llama-server's ``/v1/chat/completions/input_tokens``."""
    return {key: value for key, value in body.items() if key not in _GENERATION_ONLY}


def read_prompt(answer: bytes) -> str:
    """The prompt in llama-server's answer to ``/apply-template``, given ``counting_body``.

    With ``tokenizing_body`` this is the way for builds without a counting route. It does not
    see images.

    Raises:
        BackendProtocolError: there is none.
    """
    prompt = _members(answer).get("prompt")
    if not isinstance(prompt, str):
        raise BackendProtocolError("The backend did not say what the prompt is.")
    return prompt


def tokenizing_body(prompt: str) -> dict[str, Any]:
    """The request for llama-server's ``/tokenize`` that counts as generation does."""
    return {"content": prompt, "add_special": True, "parse_special": True}


def vllm_tokenizing_body(body: Mapping[str, Any]) -> dict[str, Any]:
    """The request for vLLM's ``/tokenize``."""
    kept = {key: body[key] for key in ("model", "messages", "tools") if key in body}
    return {**kept, "add_generation_prompt": True}


def read_count(answer: bytes) -> int:
    """The number in an engine's answer: llama-server's, or vLLM's ``/tokenize``.

    Raises:
        BackendProtocolError: there is none.
    """
    members = _members(answer)
    for name in ("input_tokens", "count"):
        number = members.get(name)
        if isinstance(number, int) and number >= 0:
            return number
    tokens = members.get("tokens")
    if isinstance(tokens, list):
        return len(tokens)
    raise BackendProtocolError("The backend did not say how many tokens the prompt has.")


def messages_count(tokens: int) -> bytes:
    """The answer to ``/v1/messages/count_tokens``."""
    return orjson.dumps({"input_tokens": tokens})


def responses_count(tokens: int) -> bytes:
    """The answer to ``/v1/responses/input_tokens``."""
    return orjson.dumps({"object": "response.input_tokens", "input_tokens": tokens})


def _members(answer: bytes) -> dict[str, Any]:
    try:
        value = loads(answer)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def _measure(body: Mapping[str, Any]) -> tuple[int, int, int]:
    """Bytes of text, tokens of overhead, and images of a Chat request.

    A Chat client's messages come unchecked: what has another form counts nothing.
    """
    size = images = 0
    messages = _mappings(body.get("messages"))
    for message in messages:
        for text in _texts(message):
            if isinstance(text, str):
                size += len(text.encode("utf-8", "replace"))
        for part in _mappings(message.get("content")):
            images += part.get("type") == "image_url"
    for tool in _mappings(body.get("tools")):
        size += len(encoded(tool))
    return size, _PER_MESSAGE * len(messages), images


def _texts(message: Mapping[str, Any]) -> Iterable[object]:
    content = message.get("content")
    yield content
    for part in _mappings(content):
        if part.get("type") == "text":
            yield part.get("text")
    yield message.get("reasoning_content")
    for call in _mappings(message.get("tool_calls")):
        function = call.get("function")
        if isinstance(function, dict):
            yield function.get("name")
            yield function.get("arguments")


def _mappings(value: object) -> list[Mapping[str, Any]]:
    """The objects in a list; none in anything else."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []
