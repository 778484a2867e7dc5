"""What right streams of the translated dialects look like.

The judges know the least that makes an answer right: its tokens in order, its end, and the
numbers that its events are counted with. They share no code with the proxy.
"""

from typing import Any

from judge import StreamJudge
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
