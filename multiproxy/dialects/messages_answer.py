"""The order of blocks in a Messages answer, streamed or folded.

The protocol wants blocks one after the other; backends interleave. So every event waits in a
queue, in order of first appearance, until the open block may be closed: a tool call's only
when its arguments are complete. What is written for a block is the subclasses' matter.
"""

from abc import abstractmethod
from collections import deque
from enum import Enum, auto
from random import Random
from typing import NotRequired, TypedDict, Unpack

from multiproxy.dialects.chat_stream import ChatReader
from multiproxy.dialects.count import estimate_prompt, estimate_text
from multiproxy.dialects.events import (
    Done,
    Event,
    Finish,
    Progress,
    Reasoning,
    Refusal,
    Text,
    ToolFragment,
    Usage,
)
from multiproxy.dialects.ids import CallIds, base62
from multiproxy.dialects.messages_turn import MessagesTurn
from multiproxy.dialects.tools import Call, CallTable
from multiproxy.dialects.translator import EventTranslator
from multiproxy.errors import BackendProtocolError


class Block(Enum):
    """The kind of the open block."""

    NONE = auto()
    THINKING = auto()
    TEXT = auto()
    TOOL = auto()


_MAX_CALLS = 4096  # in one answer; more is a backend gone wild

# What needs no more than a delta while a block is open and nothing waits.
_PLAIN: dict[Block, type[Text] | type[Reasoning]] = {
    Block.TEXT: Text,
    Block.THINKING: Reasoning,
}


class _Waiting:
    """Something that waits for its block: text or thinking in parts, or a call."""

    __slots__ = ("kind", "parts", "call", "is_held")

    def __init__(self, kind: Block, text: str = "", call: Call | None = None) -> None:
        self.is_held = False  # only white space so far, and last in the queue
        self.kind = kind
        self.parts = [text]
        self.call = call


class AnswerOptions(TypedDict):
    """What ``MessagesAnswer`` needs beside the turn; sizes in bytes and characters."""

    request_id: str
    random: Random
    resume_from: NotRequired["MessagesAnswer | None"]
    max_event_size: NotRequired[int]
    max_answer_size: NotRequired[int]


class MessagesAnswer(EventTranslator):
    """Blocks in order; a subclass writes them.

    What waits is bounded by ``max_answer_size`` characters.
    """

    def __init__(self, turn: MessagesTurn, **options: Unpack[AnswerOptions]) -> None:
        max_answer_size = options.get("max_answer_size", 64 << 20)
        max_event_size = options.get("max_event_size", 16 << 20)
        super().__init__(ChatReader(max_event_size=max_event_size, max_answer_size=max_answer_size))
        random, last = options["random"], options.get("resume_from")
        self.message_id: str = last.message_id if last else f"msg_01{base62(22, random)}"
        self._turn = turn
        self._request_id = options["request_id"]
        self._max_answer_size = max_answer_size
        self._ids = CallIds(random, turn.taken_ids)
        self._calls = CallTable()
        self._block = Block.NONE
        self._plain: type[Event] | None = None  # what needs no more than a delta, if none waits
        self._index = 0  # of the open block, or of the next one
        self._open_call: Call | None = None
        self._queue: deque[_Waiting] = deque()
        self._waiting_size = 0
        self._seen_calls = 0  # calls that were queued
        self._used_tool = False
        self._lost_call = False  # a call without a name was dropped
        self._output_size = 0  # characters of the answer, for an estimate

    # -- what subclasses write ------------------------------------------------------------

    @abstractmethod
    def _start(self, block: Block, call_id: str, name: str) -> None:
        """A block starts; ``call_id`` and ``name`` only for a call."""

    @abstractmethod
    def _delta(self, text: str) -> bytes:
        """More of the open block: what is sent for it."""

    @abstractmethod
    def _stop(self) -> None:
        """The open block ends."""

    @abstractmethod
    def _finish(self) -> None:
        """The answer is complete."""

    # -- events ----------------------------------------------------------------------------

    def _on(self, event: Event) -> None:  # per piece
        match event:
            case Done():
                self._finish()
                self.finished = self.failure is None
            case Progress():
                pass
            case _ if self._turn.discards_output:
                pass
            case Text() | Refusal():
                self._output_size += len(event.text)
                self._append(Block.TEXT, event.text)
            case Reasoning():
                self._output_size += len(event.text)
                if self._turn.shows_thinking:
                    self._append(Block.THINKING, event.text)
            case ToolFragment():
                self._output_size += len(event.name) + len(event.arguments)
                self._on_fragment(event)
            case Finish():
                self._end(event.reason)
            case _:
                pass

    def _continue(self, kind: type[Event] | None, text: str) -> bytes | None:  # per piece
        if kind is not self._plain or self._queue:
            return None
        self._output_size += len(text)
        return self._delta(text)

    def _append(self, block: Block, text: str) -> None:
        last = self._queue[-1] if self._queue else None
        if last is not None and last.kind is block:
            last.parts.append(text)
        else:
            self._queue.append(_Waiting(block, text))
        self._wait(len(text))
        if last is None or not (last.is_held and text.isspace()):
            self._drain()

    def _on_fragment(self, fragment: ToolFragment) -> None:
        call = self._calls.add(fragment)
        if call.number and self._turn.one_call_only:
            call.take()
        elif call is self._open_call:
            self._flush_arguments()
            self._drain()
        else:
            if call.number >= self._seen_calls:
                self._seen_calls = call.number + 1
                if self._seen_calls > _MAX_CALLS:
                    self._wait(self._max_answer_size + 1)
                self._queue.append(_Waiting(Block.TOOL, call=call))
            self._wait(len(fragment.arguments))
            self._drain()

    def _wait(self, size: int) -> None:
        self._waiting_size += size
        if self._waiting_size > self._max_answer_size:
            self._queue.clear()
            self.failure = BackendProtocolError("The backend's answer has too many bytes.")

    def _end(self, reason: str) -> None:
        if reason == "length":
            waiting = [item for item in self._queue if not item.call or item.call.has_arguments]
            self._queue = deque(waiting)
        self._drain(is_end=True)
        self._close()
        if self._lost_call and not self._index:
            self.failure = BackendProtocolError("The backend called a tool without a name.")

    # -- blocks ----------------------------------------------------------------------------

    def _drain(self, *, is_end: bool = False) -> None:
        """Write from the queue until it is empty or its head must wait."""
        while self._queue and self.failure is None:
            call = self._open_call
            if call is not None and not call.is_complete and not is_end:
                return
            head = self._queue[0]
            is_last = len(self._queue) == 1 and not is_end
            if head.call is not None:
                if not self._drain_call(head.call, is_last=is_last, is_end=is_end):
                    return
            elif not self._drain_text(head, is_last=is_last):
                return
            self._queue.popleft()
        if not self._queue:
            self._waiting_size = 0

    def _drain_text(self, head: _Waiting, *, is_last: bool) -> bool:
        text = "".join(head.parts)
        if head.kind is not self._block:
            if head.kind is Block.TEXT and text.isspace():
                # Real text may follow, which it then belongs to; before anything else it is
                # only the template's line breaks.
                head.is_held = is_last and self._block is not Block.TOOL
                return not head.is_held
            self._close()
            self._open(head.kind)
        self._out.append(self._delta(text))
        return True

    def _drain_call(self, call: Call, *, is_last: bool, is_end: bool) -> bool:
        if not call.name:
            self._lost_call = self._lost_call or is_end
            return is_end
        if not call.has_arguments and is_last:
            return False
        self._close()
        self._open_call = call
        self._used_tool = True
        self._open(Block.TOOL, self._ids.claim_plain(call.id), call.name)
        self._flush_arguments()
        return True

    def _flush_arguments(self) -> None:
        if self._open_call is not None and self._open_call.is_waiting:
            self._out.append(self._delta(self._open_call.take()))

    def _open(self, block: Block, call_id: str = "", name: str = "") -> None:
        self._block = block
        self._plain = _PLAIN.get(block)
        self._start(block, call_id, self._turn.names.original(name).name if name else "")

    def _close(self) -> None:
        if self._block is not Block.NONE:
            self._stop()
            self._block = Block.NONE
            self._plain = None
            self._open_call = None
            self._index += 1

    # -- the end ---------------------------------------------------------------------------

    def _stop_reason(self) -> tuple[str, str | None]:
        """``stop_reason`` and ``stop_sequence``; the emitted blocks decide, not the engine."""
        info = self.stop_info
        if self._turn.discards_output:
            return "max_tokens", None
        if self.finish_reason == "length":
            is_full = info is not None and info.truncated and self._turn.knows_window_stop
            return ("model_context_window_exceeded" if is_full else "max_tokens"), None
        if self.finish_reason == "content_filter":
            return "refusal", None
        if self._used_tool:
            return "tool_use", None
        if self.finish_reason != "tool_calls" and info is not None and info.stop_type == "word":
            if info.word in self._turn.stop_sequences:
                return "stop_sequence", info.word
        return "end_turn", None

    def _start_usage(self) -> dict[str, int]:
        progress = self.progress or Progress(0, 0, 0)
        return _usage(Usage(progress.total, progress.cache, 0).scaled(self.scale))

    def _final_usage(self) -> dict[str, int]:
        usage = self.usage
        if usage is not None:
            return _usage(usage.scaled(self.scale))
        if self.progress is not None:
            prompt, cached = self.progress.total, self.progress.cache
        else:
            prompt, cached = estimate_prompt(self._turn.body), 0
        estimate = Usage(prompt, cached, estimate_text(self._output_size))
        return _usage(estimate.scaled(self.scale))


def _usage(usage: Usage) -> dict[str, int]:
    """Anthropic's arithmetic: ``input_tokens`` are those that were not cached."""
    return {
        "input_tokens": max(0, usage.prompt - usage.cached),
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": usage.cached,
        "output_tokens": usage.output,
    }
