"""What the events and bodies of each dialect tell: text, an end, counts, an error.

A teller raises any of ``UNREADABLE`` at what is no event of its dialect. Part of the judge:
nothing here is the proxy's.
"""

from abc import ABC, abstractmethod
from typing import Any

UNREADABLE = (ValueError, LookupError, TypeError, AttributeError)


class Teller(ABC):
    """One answer's story so far. ``fails_with_done``: ``[DONE]`` ends a failed stream too."""

    fails_with_done = False

    def __init__(self) -> None:
        self.text = ""
        self.finished = False  # it said why it ended, and that is a good end
        self.terminal = False  # the dialect's last event was there
        self.errors = 0
        self.output_tokens: int | None = None

    @abstractmethod
    def event(self, name: str, event: dict[str, Any]) -> None:
        """Take one event."""

    @abstractmethod
    def whole(self, body: dict[str, Any]) -> None:
        """Take the body of an answer that is not streamed."""

    @staticmethod
    def error_of(body: dict[str, Any]) -> str:
        """The message in an error's body."""
        message = body["error"]["message"]
        if not isinstance(message, str) or not message:
            raise ValueError("an error without a message")
        return message


class ChatTeller(Teller):
    """OpenAI's chat completions."""

    def __init__(self) -> None:
        super().__init__()
        self._id = ""

    def event(self, name: str, event: dict[str, Any]) -> None:
        if name:
            raise ValueError("a Chat chunk has no name")
        if "error" in event:
            self.errors += bool(self.error_of(event))
            return
        self._id = self._id or event["id"]
        if event["id"] != self._id:
            raise ValueError("the id changes within the answer")
        if usage := event.get("usage"):
            self.output_tokens = usage["completion_tokens"]
        for choice in event["choices"]:
            self.text += choice["delta"].get("content") or ""
            self.finished |= choice["finish_reason"] == "stop"

    def whole(self, body: dict[str, Any]) -> None:
        [choice] = body["choices"]
        self.text = choice["message"]["content"]
        self.finished = choice["finish_reason"] == "stop"
        self.output_tokens = body["usage"]["completion_tokens"]


class MessagesTeller(Teller):
    """Anthropic's Messages."""

    def event(self, name: str, event: dict[str, Any]) -> None:
        if name != event["type"]:
            raise ValueError("the event has another name")
        if name == "content_block_delta":
            self.text += event["delta"]["text"]
        elif name == "message_delta":
            self.finished |= event["delta"]["stop_reason"] == "end_turn"
            self.output_tokens = event["usage"]["output_tokens"]
        elif name == "message_stop":
            self.terminal = True
        elif name == "error":
            self.errors += bool(self.error_of(event))

    def whole(self, body: dict[str, Any]) -> None:
        self.text = "".join(block["text"] for block in body["content"])
        self.finished = body["stop_reason"] == "end_turn"
        self.output_tokens = body["usage"]["output_tokens"]


class ResponsesTeller(Teller):
    """OpenAI's Responses, whose events are numbered."""

    fails_with_done = True  # Open Responses demands it; its last event says how it ended

    def __init__(self) -> None:
        super().__init__()
        self._number = 0

    def event(self, name: str, event: dict[str, Any]) -> None:
        if name != event["type"] or event["sequence_number"] != self._number:
            raise ValueError("the event has another name or number")
        self._number += 1
        if name == "response.output_text.delta":
            self.text += event["delta"]
        elif name == "response.completed":
            streamed = self.text
            self.whole(event["response"])
            if self.text != streamed:
                raise ValueError("the last event holds another text")
        elif name == "response.failed":  # its error event follows
            self.error_of(event["response"])
        elif name == "error":
            self.errors += bool(event["message"])

    def whole(self, body: dict[str, Any]) -> None:
        parts = [part for item in body["output"] for part in item["content"]]
        self.text = "".join(part["text"] for part in parts)
        self.finished = body["status"] == "completed"
        self.output_tokens = body["usage"]["output_tokens"]


TELLERS: dict[str, type[Teller]] = {
    "chat": ChatTeller,
    "messages": MessagesTeller,
    "responses": ResponsesTeller,
}
