"""The events of a streamed Responses answer, byte by byte."""

from collections.abc import Callable
from random import Random

import orjson

from multiproxy.dialects.responses_answer import ResponsesAnswer
from multiproxy.dialects.responses_failure import failed_members
from multiproxy.dialects.responses_object import Object
from multiproxy.dialects.responses_output import (
    CallItem,
    MessageItem,
    Part,
    PartKind,
    ReasoningItem,
)
from multiproxy.dialects.responses_request import ResponsesTurn
from multiproxy.errors import ProxyError

_DONE = b"data: [DONE]\n\n"
_IN_PROGRESS = b"response.in_progress"
# Above this the tools are repeated at the end only: keep-alives carry the whole object.
_MAX_EARLY_TOOLS = 16 << 10  # bytes of JSON

# A delta is put together from these; what stands before the text is made once per part.
_HEAD = b'event: %b\ndata: {"type":"%b",'
_CONTENT_DELTA = _HEAD + b'"item_id":"%b","output_index":%d,"content_index":%d,%b"delta":'
_SUMMARY_DELTA = _HEAD + b'"item_id":"%b","output_index":%d,"summary_index":%d,%b"delta":'
_CALL_DELTA = _HEAD + b'"item_id":"%b","output_index":%d,"delta":'
_WHOLE_DELTA = b'%b%b,"sequence_number":%d}\n\n'
_NO_LOGPROBS = b'"logprobs":[],'

_EVENT = {
    PartKind.TEXT: b"response.output_text",
    PartKind.REFUSAL: b"response.refusal",
    PartKind.REASONING: b"response.reasoning_text",
    PartKind.SUMMARY: b"response.reasoning_summary_text",
}


class ResponsesEmitter(ResponsesAnswer):
    """A Responses stream: whole events, each with every field that the SDKs' types require."""

    def __init__(
        self,
        turn: ResponsesTurn,
        *,
        request_id: str,
        random: Random,
        clock: Callable[[], float],
        resume_from: "ResponsesEmitter | None" = None,
        max_event_size: int = 16 << 20,
        max_answer_size: int = 64 << 20,
    ) -> None:
        super().__init__(
            turn,
            request_id=request_id,
            random=random,
            clock=clock,
            resume_from=resume_from,
            max_event_size=max_event_size,
            max_answer_size=max_answer_size,
        )
        self.opened = resume_from is not None and resume_from.opened
        # The number of the first event of content; 0 and 1 are the opening's.
        self._first: int = resume_from._first if resume_from else 2
        self._sequence = self._first  # of the next event
        self._early: bytes = resume_from._early if resume_from else self._early_response()
        self._prefix = b""  # of the next delta of the open part
        self._call_prefixes: dict[int, bytes] = {}  # by output index

    def open(self) -> bytes:
        """``response.created`` and ``response.in_progress``."""
        if self.opened:
            return b""
        self.opened = True
        return self._lifecycle(b"response.created", 0) + self._lifecycle(_IN_PROGRESS, 1)

    def keep_alive(self) -> bytes:
        """A real event: Codex's idle timer does not see comments."""
        if not self.opened:
            return self.open()
        self._sequence += 1
        if not self.started:
            self._first = self._sequence
        return self._lifecycle(_IN_PROGRESS, self._sequence - 1)

    def fail(self, error: ProxyError) -> bytes:
        """``response.failed``, then ``error``."""
        told, members = failed_members(error)
        head = self.open()
        self._event(b"response.failed", {"response": self.response(told)})
        self._event(b"error", members)
        out, self._out = b"".join(self._out), []
        return head + out + _DONE

    def added(self, index: int, item: Object) -> None:
        self.started = True
        self._event(b"response.output_item.added", {"output_index": index, "item": item})

    def item_done(self, index: int, item: Object) -> None:
        self._call_prefixes.pop(index, None)
        self._event(b"response.output_item.done", {"output_index": index, "item": item})

    def part_added(self, item: MessageItem | ReasoningItem, part: Part) -> None:
        name = b"response.content_part.added"
        template = _CONTENT_DELTA
        if part.kind is PartKind.SUMMARY:
            name, template = b"response.reasoning_summary_part.added", _SUMMARY_DELTA
        self._event(name, {**_place(item, part), "part": part.to_object()})
        event = _EVENT[part.kind] + b".delta"
        extra = _NO_LOGPROBS if part.kind is PartKind.TEXT else b""
        self._prefix = template % (
            event, event, item.id.encode(), item.index, part.index, extra,
        )  # fmt: skip

    def delta(self, text: str, logprobs: list[object] | None) -> bytes:  # per piece
        prefix = self._prefix
        if logprobs:
            told = b'"logprobs":' + orjson.dumps(logprobs) + b","
            prefix = prefix.replace(_NO_LOGPROBS, told)
        number = self._sequence
        self._sequence = number + 1
        return _WHOLE_DELTA % (prefix, orjson.dumps(text), number)

    def part_done(self, item: MessageItem | ReasoningItem, part: Part) -> None:
        place, text = _place(item, part), part.text
        key = "refusal" if part.kind is PartKind.REFUSAL else "text"
        whole: Object = {**place, key: text}
        if part.kind is PartKind.TEXT:
            whole["logprobs"] = part.logprobs
        self._event(_EVENT[part.kind] + b".done", whole)
        name = b"response.content_part.done"
        if part.kind is PartKind.SUMMARY:
            name = b"response.reasoning_summary_part.done"
        self._event(name, {**place, "part": part.to_object()})

    def call_delta(self, item: CallItem, text: str) -> None:  # per piece
        prefix = self._call_prefixes.get(item.index)
        if prefix is None:
            event = _call_event(item) + b".delta"
            prefix = _CALL_DELTA % (event, event, item.id.encode(), item.index)
            self._call_prefixes[item.index] = prefix
        self._out.append(_WHOLE_DELTA % (prefix, orjson.dumps(text), self._sequence))
        self._sequence += 1

    def call_done(self, item: CallItem, text: str) -> None:
        whole: Object = {"item_id": item.id, "output_index": item.index}
        if item.is_custom:
            whole["input"] = text
        else:
            whole |= {"name": item.target.name, "arguments": text}
        self._event(_call_event(item) + b".done", whole)

    def _finish(self, response: Object) -> None:
        self._event(b"response." + response["status"].encode(), {"response": response})
        self._out.append(_DONE)

    def _event(self, name: bytes, members: Object) -> None:
        data = {"type": name.decode(), "sequence_number": self._sequence, **members}
        self._sequence += 1
        self._out.append(b"event: " + name + b"\ndata: " + orjson.dumps(data) + b"\n\n")

    def _lifecycle(self, name: bytes, number: int) -> bytes:
        return _HEAD % (name, name) + b'"sequence_number":%d,"response":' % number + self._early

    def _early_response(self) -> bytes:
        """The object of the events before the end, with the end of their data and event."""
        response = self.response()
        if len(orjson.dumps(response["tools"])) > _MAX_EARLY_TOOLS:
            response["tools"] = []
        return orjson.dumps(response) + b"}\n\n"


def _place(item: MessageItem | ReasoningItem, part: Part) -> Object:
    key = "summary_index" if part.kind is PartKind.SUMMARY else "content_index"
    return {"item_id": item.id, "output_index": item.index, key: part.index}


def _call_event(item: CallItem) -> bytes:
    if item.is_custom:
        return b"response.custom_tool_call_input"
    return b"response.function_call_arguments"
