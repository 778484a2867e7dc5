"""One prompt in any of the three dialects, and the text and numbers in its stream.

For trying a model out: the smallest request, and a reader that keeps nothing of the answer.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import orjson

from multiproxy.dialects.sse import EventSplitter
from multiproxy.errors import BackendProtocolError

PATHS = {
    "chat": "/v1/chat/completions",
    "messages": "/v1/messages",
    "responses": "/v1/responses",
}


class Trial(NamedTuple):
    """What is asked; ``dialect`` is one of ``PATHS``."""

    dialect: str
    model: str
    prompt: str
    max_tokens: int


def encode(trial: Trial) -> bytes:
    """The body of a streamed request."""
    user = {"role": "user", "content": trial.prompt}
    body: dict[str, Any] = {"model": trial.model, "stream": True}
    if trial.dialect == "responses":
        body |= {"input": [user], "max_output_tokens": trial.max_tokens, "store": False}
    else:
        body |= {"messages": [user], "max_tokens": trial.max_tokens}
    if trial.dialect == "chat":
        body["stream_options"] = {"include_usage": True}
    return orjson.dumps(body)


class Piece(NamedTuple):
    """A part of the answer; ``kind`` is "text" or "thinking"."""

    kind: str
    text: str


@dataclass(slots=True)
class Reading:
    """The stream's pieces as they come, and its numbers once it said them; None is unsaid."""

    dialect: str
    prompt_tokens: int | None = None
    cached_tokens: int | None = None
    output_tokens: int | None = None
    finish_reason: str = ""
    error: str = ""
    _splitter: EventSplitter = field(default_factory=EventSplitter)

    def feed(self, data: bytes) -> list[Piece]:
        """The pieces that ``data`` completed."""
        found: list[Piece] = []
        try:
            events = self._splitter.feed(data)
        except BackendProtocolError as error:
            self.error = error.message
            return []
        for event in events:
            try:
                body = orjson.loads(event)
            except orjson.JSONDecodeError:  # [DONE]
                continue
            if isinstance(body, dict):
                found += self._read(body)
        return [piece for piece in found if piece.text]

    def _read(self, body: Mapping[str, Any]) -> Iterator[Piece]:
        if isinstance(error := body.get("error"), dict):
            self.error = str(error.get("message") or "The server told of an error.")
        elif self.dialect == "messages":
            yield from self._read_messages(body)
        elif self.dialect == "responses":
            yield from self._read_responses(body)
        else:
            yield from self._read_chat(body)

    def _read_chat(self, body: Mapping[str, Any]) -> Iterator[Piece]:
        for choice in body.get("choices") or ():
            delta = choice.get("delta") or {}
            yield Piece("thinking", delta.get("reasoning_content") or "")
            yield Piece("text", delta.get("content") or "")
            self.finish_reason = choice.get("finish_reason") or self.finish_reason
        if usage := body.get("usage"):
            cached = (usage.get("prompt_tokens_details") or {}).get("cached_tokens")
            self._count(usage.get("prompt_tokens"), cached, usage.get("completion_tokens"))

    def _read_messages(self, body: Mapping[str, Any]) -> Iterator[Piece]:
        delta = body.get("delta") or {}
        if body.get("type") == "content_block_delta":
            yield Piece("thinking", delta.get("thinking") or "")
            yield Piece("text", delta.get("text") or "")
        self.finish_reason = delta.get("stop_reason") or self.finish_reason
        usage = body.get("usage") or (body.get("message") or {}).get("usage")
        if usage and usage.get("input_tokens") is not None:
            cached = usage.get("cache_read_input_tokens") or 0
            made = usage.get("cache_creation_input_tokens") or 0
            self._count(usage["input_tokens"] + cached + made, cached, usage.get("output_tokens"))
        elif usage:
            self.output_tokens = usage.get("output_tokens")

    def _read_responses(self, body: Mapping[str, Any]) -> Iterator[Piece]:
        match body.get("type"):
            case "response.output_text.delta":
                yield Piece("text", body.get("delta") or "")
            case "response.reasoning_text.delta" | "response.reasoning_summary_text.delta":
                yield Piece("thinking", body.get("delta") or "")
            case "response.completed" | "response.incomplete" | "response.failed":
                response = body.get("response") or {}
                self.finish_reason = response.get("status") or ""
                if isinstance(error := response.get("error"), dict):
                    self.error = str(error.get("message") or "The response failed.")
                if usage := response.get("usage"):
                    cached = (usage.get("input_tokens_details") or {}).get("cached_tokens")
                    self._count(usage.get("input_tokens"), cached, usage.get("output_tokens"))
            case "error":
                self.error = str(body.get("message") or "The server told of an error.")

    def _count(self, prompt: int | None, cached: int | None, output: int | None) -> None:
        self.prompt_tokens, self.cached_tokens, self.output_tokens = prompt, cached, output


def error_of(body: bytes) -> str:
    """The sentence in an error answer of any dialect; a plain one when there is none."""
    try:
        found = orjson.loads(body)["error"]["message"]
    except (ValueError, KeyError, TypeError):
        return "The server answered with an error that says nothing."
    return str(found)
