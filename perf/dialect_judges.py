"""What right streams of each dialect look like, and how each is asked for.

The judges know the least that makes an answer right: its tokens in order, its end, and the
numbers that its events are counted with. They share no code with the proxy.
"""

from typing import Any, NamedTuple

import answers
from judge import ChatJudge, StreamJudge
from plan import Plan


class MessagesJudge(StreamJudge):
    """A stream of Anthropic's Messages."""

    def _read(self, name: str, event: dict[str, Any]) -> str | None:
        if name != event["type"]:
            raise ValueError("an event of another name")
        if name == "content_block_delta":
            text: str = event["delta"]["text"]
            return text
        if name == "message_delta" and event["delta"]["stop_reason"] == "end_turn":
            self._finished = True
        elif name == "message_stop":
            self._done = True
        elif name == "error":
            self._announced = True
        return None


class ResponsesJudge(StreamJudge):
    """A stream of OpenAI's Responses, each event numbered."""

    def __init__(self, plan: Plan) -> None:
        super().__init__(plan)
        self._number = 0

    def _read(self, name: str, event: dict[str, Any]) -> str | None:
        if name != event["type"] or event["sequence_number"] != self._number:
            raise ValueError("an event of another name or number")
        self._number += 1
        if name == "response.output_text.delta":
            text: str = event["delta"]
            return text
        if name == "response.completed" and event["response"]["status"] == "completed":
            self._finished = True
        elif name == "error":
            self._announced = True
        return None


class Dialect(NamedTuple):
    """Where its streams are asked for, and who judges them."""

    path: str
    judge: type[StreamJudge]

    def body(self, plan: Plan) -> dict[str, object]:
        """The request for one stream; its plan is the prompt."""
        message = {"role": "user", "content": plan.prompt()}
        body: dict[str, object] = {"model": answers.MODEL, "stream": True}
        if self.judge is ResponsesJudge:
            return body | {"input": [message], "store": False}
        if self.judge is MessagesJudge:
            body["max_tokens"] = plan.events + 1
        return body | {"messages": [message]}


DIALECTS = {
    "chat": Dialect("/v1/chat/completions", ChatJudge),
    "messages": Dialect("/v1/messages", MessagesJudge),
    "responses": Dialect("/v1/responses", ResponsesJudge),
}
