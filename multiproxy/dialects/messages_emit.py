"""The events of a streamed Messages answer, byte by byte."""

from collections.abc import Mapping
from hashlib import blake2b
from typing import Unpack

import orjson

from multiproxy.dialects.errors import messages_tail
from multiproxy.dialects.messages_answer import AnswerOptions, Block, MessagesAnswer
from multiproxy.dialects.messages_turn import MessagesTurn
from multiproxy.dialects.sealed_text import seal
from multiproxy.errors import BackendProtocolError, ProxyError

_PING = b'event: ping\ndata: {"type":"ping"}\n\n'
_COMMENT = b": keep-alive\n\n"
_STOP = b'event: message_stop\ndata: {"type":"message_stop"}\n\n'

# What comes before and behind the JSON string of a delta; the index is filled in per block.
_DELTA = b'event: content_block_delta\ndata: {"type":"content_block_delta","index":%d,"delta":%s'
_DELTA_END = b"}}\n\n"
_DELTAS = {
    Block.TEXT: b'{"type":"text_delta","text":',
    Block.THINKING: b'{"type":"thinking_delta","thinking":',
    Block.TOOL: b'{"type":"input_json_delta","partial_json":',
}
_SIGNATURE = b'{"type":"signature_delta","signature":'


class MessagesEmitter(MessagesAnswer):
    """A Messages stream: whole events, each with every field that the SDKs' types require."""

    def __init__(self, turn: MessagesTurn, **more: Unpack[AnswerOptions]) -> None:
        super().__init__(turn, **more)
        last = more.get("resume_from")
        self.opened = last is not None and last.opened
        self._opening = b""  # once there is content
        self._withheld: list[str] = []  # thinking that travels in the signature

    def open(self) -> bytes:
        """``message_start``, with the prompt's size if it was known before the content."""
        if self.opened:
            return b""
        self.opened = True
        return self._opening or self._message_start()

    def fail(self, error: ProxyError) -> bytes:
        return messages_tail(error, self._request_id)

    def keep_alive(self) -> bytes:
        if self.opened or self.events or self.progress is not None:
            return self.open() + _PING
        return _COMMENT

    def _message_start(self) -> bytes:
        message: dict[str, object] = {
            "id": self.message_id,
            "type": "message",
            "role": "assistant",
            "model": self._turn.model,
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": self._start_usage(),
        }
        return _event(b"message_start", {"type": "message_start", "message": message})

    def _start(self, block: Block, call_id: str, name: str) -> None:
        if not self.started:
            self.started = True
            self._opening = self._message_start()
        content: dict[str, object]
        if block is Block.TEXT:
            content = {"type": "text", "text": ""}
        elif block is Block.THINKING:
            content = {"type": "thinking", "thinking": "", "signature": ""}
            self._signature = blake2b(digest_size=8)
        else:
            content = {"type": "tool_use", "id": call_id, "name": name, "input": {}}
        self._prefix = _DELTA % (self._index, _DELTAS[block])
        start: dict[str, object] = {
            "type": "content_block_start",
            "index": self._index,
            "content_block": content,
        }
        self._out.append(_event(b"content_block_start", start))

    def _delta(self, text: str) -> bytes:  # per piece
        if self._block is Block.THINKING:
            if self._turn.withholds_thinking:
                return self._withhold(text)
            self._signature.update(text.encode())
        return self._prefix + orjson.dumps(text) + _DELTA_END

    def _withhold(self, text: str) -> bytes:
        self._withheld.append(text)
        if self._output_size > self._max_answer_size:
            self._withheld.clear()
            self.failure = BackendProtocolError("The backend's answer has too many bytes.")
        return b""

    def _stop(self) -> None:
        if self._block is Block.THINKING:
            signature = f"mp1.n.{self._signature.hexdigest()}"
            if self._turn.withholds_thinking:
                signature, self._withheld = seal("".join(self._withheld)), []
            encoded = orjson.dumps(signature)
            self._out.append(_DELTA % (self._index, _SIGNATURE) + encoded + _DELTA_END)
        self._out.append(
            _event(b"content_block_stop", {"type": "content_block_stop", "index": self._index})
        )

    def _finish(self) -> None:
        self._opening = self._opening or self._message_start()
        reason, sequence = self._stop_reason()
        delta: dict[str, object] = {
            "type": "message_delta",
            "delta": {"stop_reason": reason, "stop_sequence": sequence},
            "usage": self._final_usage(),
        }
        self._out.append(_event(b"message_delta", delta))
        self._out.append(_STOP)


def _event(name: bytes, data: Mapping[str, object]) -> bytes:
    return b"event: " + name + b"\ndata: " + orjson.dumps(data) + b"\n\n"
