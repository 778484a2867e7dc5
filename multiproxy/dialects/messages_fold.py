"""A whole Messages answer as one object, for a client that does not stream."""

from hashlib import blake2b
from io import StringIO
from typing import Unpack

import orjson

from multiproxy.dialects.arguments import parse_arguments
from multiproxy.dialects.errors import render_messages
from multiproxy.dialects.messages_answer import AnswerOptions, Block, MessagesAnswer
from multiproxy.dialects.messages_turn import MessagesTurn
from multiproxy.dialects.sealed_text import seal
from multiproxy.errors import BackendProtocolError, ProxyError


class MessagesFold(MessagesAnswer):
    """Gives the message's bytes when the answer is complete, and nothing before.

    So ``started`` stays False: another backend may take over at any time.
    """

    def __init__(self, turn: MessagesTurn, **more: Unpack[AnswerOptions]) -> None:
        super().__init__(turn, **more)
        self._content: list[dict[str, object]] = []

    def fail(self, error: ProxyError) -> bytes:
        return render_messages(error, self._request_id).body

    def keep_alive(self) -> bytes:
        return b""

    def _start(self, block: Block, call_id: str, name: str) -> None:
        self._text = StringIO()
        self._call_id, self._name = call_id, name

    def _delta(self, text: str) -> bytes:  # per piece
        self._text.write(text)
        if self._output_size > self._max_answer_size:
            self._text = StringIO()
            self.failure = BackendProtocolError("The backend's answer has too many bytes.")
        return b""

    def _stop(self) -> None:
        text = self._text.getvalue()
        match self._block:
            case Block.TEXT:
                self._content.append({"type": "text", "text": text})
            case Block.THINKING:
                signature = f"mp1.n.{blake2b(text.encode(), digest_size=8).hexdigest()}"
                if self._turn.withholds_thinking:
                    text, signature = "", seal(text)
                self._content.append({"type": "thinking", "thinking": text, "signature": signature})
            case _:
                call = self._open_call
                if self.finish_reason == "length" and call is not None and not call.is_complete:
                    return  # half a call is no call
                self._content.append(
                    {
                        "type": "tool_use",
                        "id": self._call_id,
                        "name": self._name,
                        "input": parse_arguments(text),
                    }
                )

    def _finish(self) -> None:
        if self.failure is not None:
            return
        reason, sequence = self._stop_reason()
        message = {
            "id": self.message_id,
            "type": "message",
            "role": "assistant",
            "model": self._turn.model,
            "content": self._content,
            "stop_reason": reason,
            "stop_sequence": sequence,
            "usage": self._final_usage(),
        }
        self._out.append(orjson.dumps(message))
