"""Messages and Responses as a backend itself tells them: the same bytes, but supervised.

For backends that are asked in the client's dialect. Nothing is repaired: an event order that
SDKs dislike goes out as it came. What is watched for is what ``Passthrough`` watches for:
the first content, the proper end, errors inside the stream (told in the dialect's own form,
which llama-server's are not), and usage.
"""

from typing import Any

import orjson

from multiproxy.dialects.chat_chunk import count_of
from multiproxy.dialects.classify import classify_event
from multiproxy.dialects.errors import messages_tail
from multiproxy.dialects.events import Usage
from multiproxy.dialects.passthrough import KEEP_ALIVE, Passthrough
from multiproxy.dialects.responses_failure import failed_members
from multiproxy.errors import ProxyError

_PING = b'event: ping\ndata: {"type":"ping"}\n\n'
_MESSAGES_DELTA = b'{"type":"content_block_delta"'
_RESPONSES_EVENT = b'{"type":"response.'
_DELTA = b'.delta"'
_MAX_NAME = 80  # bytes, within which an event's name ends
_ENDS = ("response.completed", "response.incomplete")
_FAILURES = ("response.failed", "error")


class _NativeRelay(Passthrough):
    """What both dialects share: nothing is told before the commit, so nothing is opened."""

    def __init__(self, request_id: str, *, max_event_size: int) -> None:
        super().__init__(request_id, native=True, max_event_size=max_event_size)

    def open(self) -> bytes:
        """The backend's own events begin the stream."""
        self.opened = True
        return b""

    def read_answer(self, body: bytes) -> None:
        """Take usage and finish reason from an answer that was not streamed."""
        try:
            answer: Any = orjson.loads(body)
        except ValueError:
            return
        if isinstance(answer, dict):
            self._read_whole(answer)

    def _read_whole(self, answer: dict[str, Any]) -> None:
        raise NotImplementedError


class MessagesRelay(_NativeRelay):
    """A backend's own Messages stream."""

    def __init__(self, request_id: str, *, max_event_size: int = 4 << 20) -> None:
        super().__init__(request_id, max_event_size=max_event_size)
        self._is_delta = _is_messages_delta

    def keep_alive(self) -> bytes:
        return _PING if self.opened else KEEP_ALIVE

    def fail(self, error: ProxyError) -> bytes:
        return messages_tail(error, self._request_id)

    def _read(self, chunk: dict[str, Any]) -> None:
        match chunk.get("type"):
            case "message_start":
                message = chunk.get("message")
                self._count(message.get("usage") if isinstance(message, dict) else None)
            case "content_block_start":
                self.started = True
            case "content_block_delta":
                self.started = True
                self.events += 1
            case "message_delta":
                self._count(chunk.get("usage"))
                delta = chunk.get("delta")
                reason = delta.get("stop_reason") if isinstance(delta, dict) else None
                self.finish_reason = reason if isinstance(reason, str) else self.finish_reason
            case "message_stop":
                self.finished = True

    def _count(self, usage: object) -> None:
        """Take counts; those that an event leaves out were told before."""
        if isinstance(usage, dict):
            last = self.usage or Usage(0, 0, 0)
            fresh, cached = last.prompt - last.cached, last.cached
            written = usage.get("cache_creation_input_tokens")
            if "input_tokens" in usage:
                fresh = count_of(usage["input_tokens"]) + count_of(written)
            if "cache_read_input_tokens" in usage:
                cached = count_of(usage["cache_read_input_tokens"])
            output = count_of(usage.get("output_tokens", last.output))
            self.usage = Usage(fresh + cached, cached, output)

    def _read_whole(self, answer: dict[str, Any]) -> None:
        self._count(answer.get("usage"))
        reason = answer.get("stop_reason")
        self.finish_reason = reason if isinstance(reason, str) else None


class ResponsesRelay(_NativeRelay):
    """A backend's own Responses stream."""

    def __init__(self, request_id: str, *, max_event_size: int = 4 << 20) -> None:
        super().__init__(request_id, max_event_size=max_event_size)
        self._is_delta = _is_responses_delta
        self._response: dict[str, Any] = {}  # as the backend began it

    def fail(self, error: ProxyError) -> bytes:
        """As our own streams end; when the backend's never began, it begins here."""
        told, members = failed_members(error)
        head = b""
        response = self._response
        if not (self.opened and response):
            response = {"id": f"resp_{self._request_id.removeprefix('req_')}", "object": "response"}
            head = _event("response.created", {"response": {**response, "status": "in_progress"}})
        failed = {**response, "status": "failed", "error": told, "output": [], "usage": None}
        out = head + _event("response.failed", {"response": failed}) + _event("error", members)
        return out + b"data: [DONE]\n\n"

    def _read(self, chunk: dict[str, Any]) -> None:
        self._read_progress(chunk)
        name = chunk.get("type")
        response = chunk.get("response")
        if not isinstance(name, str):
            return
        if name == "response.created" and isinstance(response, dict):
            self._response = response
        elif name.endswith(".delta"):
            self.started = True
            self.events += 1
        elif name == "response.output_item.added":
            self.started = True
        elif name in _ENDS and isinstance(response, dict):
            self._read_whole(response, chunk.get("timings"))
            self.finished = True
        elif name in _FAILURES:
            error = response.get("error") if isinstance(response, dict) else None
            self.failure = None if self.finished else classify_event(error or chunk)

    def _read_whole(self, answer: dict[str, Any], timings: object = None) -> None:
        details = answer.get("incomplete_details")
        reason = details.get("reason") if isinstance(details, dict) else None
        self.finish_reason = str(reason or answer.get("status") or "completed")
        usage = answer.get("usage")
        if isinstance(usage, dict):
            cached = usage.get("input_tokens_details")
            thought = usage.get("output_tokens_details")
            self.usage = Usage(
                count_of(usage.get("input_tokens")),
                count_of(cached.get("cached_tokens") if isinstance(cached, dict) else 0),
                count_of(usage.get("output_tokens")),
                count_of(thought.get("reasoning_tokens") if isinstance(thought, dict) else 0),
                timings if isinstance(timings, dict) else None,
            )


def _is_messages_delta(event: bytes) -> bool:  # per piece
    return event.startswith(_MESSAGES_DELTA)


def _is_responses_delta(event: bytes) -> bool:  # per piece
    return event.startswith(_RESPONSES_EVENT) and event.find(_DELTA, 0, _MAX_NAME) >= 0


def _event(name: str, members: dict[str, Any]) -> bytes:
    data = orjson.dumps({"type": name, **members})
    return b"event: %b\ndata: %b\n\n" % (name.encode(), data)
