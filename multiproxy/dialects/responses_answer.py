"""The order of items in a Responses answer, streamed or folded.

Reasoning and messages come one after the other, calls may be open side by side. What is
written for an item is the subclasses' matter.
"""

from abc import abstractmethod
from collections.abc import Callable
from random import Random
from weakref import proxy

from multiproxy.dialects.chat_stream import ChatReader
from multiproxy.dialects.count import estimate_prompt, estimate_text
from multiproxy.dialects.events import (
    Done,
    Event,
    Finish,
    Reasoning,
    Refusal,
    Text,
    ToolFragment,
    Usage,
)
from multiproxy.dialects.ids import hex_digits
from multiproxy.dialects.responses_calls import OpenCalls
from multiproxy.dialects.responses_object import Object, response_object
from multiproxy.dialects.responses_output import (
    CallItem,
    MessageItem,
    Part,
    PartKind,
    ReasoningItem,
    Status,
)
from multiproxy.dialects.responses_request import ResponsesTurn
from multiproxy.dialects.translator import EventTranslator
from multiproxy.errors import BackendProtocolError

_INCOMPLETE = {"length": "max_output_tokens", "content_filter": "content_filter"}
_MAX_HELD = 1024  # characters of white space; more of it is what the model wants to say
_LOGPROB_SIZE = 64  # characters that an entry counts for


class ResponsesAnswer(EventTranslator):
    """Items in order; a subclass writes them.

    ``clock`` gives Unix seconds; it is read when the answer begins and when it ends. The
    answer is kept until then, at most ``max_answer_size`` characters of it.
    """

    def __init__(
        self,
        turn: ResponsesTurn,
        *,
        request_id: str,
        random: Random,
        clock: Callable[[], float],
        resume_from: "ResponsesAnswer | None" = None,
        max_event_size: int = 16 << 20,
        max_answer_size: int = 64 << 20,
    ) -> None:
        super().__init__(ChatReader(max_event_size=max_event_size, max_answer_size=max_answer_size))
        # the response, which outlives a failover
        if resume_from is None:
            self.response_id = f"resp_{hex_digits(32, random)}"
            self._created_at = int(clock())
        else:
            self.response_id = resume_from.response_id
            self._created_at = resume_from._created_at
        self.final: Object | None = None  # the response object of a complete answer
        self._turn = turn
        self._request_id = request_id
        self._random = random
        self._clock = clock
        self._max_answer_size = max_answer_size
        # what this attempt has told
        self._done: dict[int, Object] = {}  # finished items by output index
        self._next_index = 0
        self._size = 0  # characters kept
        self._message: MessageItem | None = None
        self._part: Part | None = None  # the open part of the open message
        self._reasoning: ReasoningItem | None = None
        self._plain: type[Event] | None = None  # what needs no more than a delta, and where
        self._write: Callable[[str], int] | None = None  # its text is kept
        self._held: Text | None = None  # white space that is told only if more follows
        # By proxy: with a cycle of references the text would wait for the collector.
        self._calls = OpenCalls(proxy(self), turn, random)

    @property
    def output(self) -> list[Object]:
        """The finished items, in the order in which they began."""
        return [self._done[index] for index in sorted(self._done)]

    # -- what subclasses write ------------------------------------------------------------

    @abstractmethod
    def added(self, index: int, item: Object) -> None:
        """An item begins."""

    @abstractmethod
    def part_added(self, item: MessageItem | ReasoningItem, part: Part) -> None:
        """A part of an item begins."""

    @abstractmethod
    def delta(self, text: str, logprobs: list[object] | None) -> bytes:
        """More of the part that began last: what is sent for it."""

    @abstractmethod
    def part_done(self, item: MessageItem | ReasoningItem, part: Part) -> None:
        """A part is complete."""

    @abstractmethod
    def call_delta(self, item: CallItem, text: str) -> None:
        """More of a call's arguments or input."""

    @abstractmethod
    def call_done(self, item: CallItem, text: str) -> None:
        """A call's arguments or input are complete."""

    @abstractmethod
    def item_done(self, index: int, item: Object) -> None:
        """An item is complete, or cut."""

    @abstractmethod
    def _finish(self, response: Object) -> None:
        """The answer is complete, or cut by a limit; its ``status`` tells."""

    # -- events ----------------------------------------------------------------------------

    def _on(self, event: Event) -> None:  # per piece
        if isinstance(event, Text):
            part = self._part
            if part is not None and part.kind is PartKind.TEXT:
                self._tell(event, part)
            else:
                self._on_first_text(event)
        elif isinstance(event, ToolFragment):
            self._on_fragment(event)
        elif isinstance(event, Reasoning):
            self._on_reasoning(event)
        elif isinstance(event, Refusal):
            self._settle_before_message()
            self._say(event, PartKind.REFUSAL)
        elif isinstance(event, Finish):
            self._end(event.reason)
        elif isinstance(event, Done):
            self._complete()

    def _continue(self, kind: type[Event] | None, text: str) -> bytes | None:  # per piece
        if kind is not self._plain or self._write is None:
            return None
        self._size += self._write(text)
        if self._size > self._max_answer_size:
            self._grow(0)
        return self.delta(text, None)

    def _on_first_text(self, event: Text) -> None:
        self._settle_before_message()
        if self._message is None:
            event = _joined(self._held, event)
            if event.text.isspace() and len(event.text) < _MAX_HELD:
                self._held = event
                return
            self._held = None
        self._say(event, PartKind.TEXT)

    def _on_reasoning(self, event: Reasoning) -> None:
        if self._reasoning is None:
            self._held = None
            self._calls.open_waiting()
            self._close_message()
            self._calls.close_complete()
            kind = PartKind.SUMMARY if self._turn.summarises else PartKind.REASONING
            item = ReasoningItem(
                self._new_id("rs"), self.number(), kind, seals=self._turn.seals_reasoning
            )
            self._reasoning = item
            self._plain, self._write = Reasoning, item.part.write
            self.added(item.index, item.to_object(Status.IN_PROGRESS))
            self.part_added(item, item.part)
        self._tell(event, self._reasoning.part)

    def _on_fragment(self, fragment: ToolFragment) -> None:
        call = self._calls.read(fragment)
        if call is not None:
            self._grow(len(fragment.name) + len(fragment.arguments))
            self._held = None
            self._close_reasoning()
            self._close_message()
            self._calls.tell(call)

    def _end(self, reason: str) -> None:
        self._held = None
        status = Status.INCOMPLETE if reason in _INCOMPLETE else Status.COMPLETED
        self._close_reasoning(status)
        self._close_message(status)
        lost = self._calls.end(status, drops_empty=reason == "length")
        if lost and not self._done:
            self.failure = BackendProtocolError("The backend called a tool without a name.")

    def _complete(self) -> None:
        if self.failure is None:
            self.final = self.response()
            self._finish(self.final)
            self.finished = True

    def response(self, error: Object | None = None) -> Object:
        """The response object as it stands; ``error`` makes it a failed one."""
        reason = _INCOMPLETE.get(self.finish_reason or "")
        if error is not None:
            status, reason = "failed", None
        elif self.finish_reason is None:
            status = "in_progress"
        else:
            status = "incomplete" if reason else "completed"
        is_ended = self.finish_reason is not None and error is None
        return response_object(
            self._turn.echoed,
            response_id=self.response_id,
            created_at=self._created_at,
            status=status,
            output=self.output,
            completed_at=int(self._clock()) if status == "completed" else None,
            usage=self._counted().scaled(self.scale) if is_ended else None,
            error=error,
            incomplete_reason=reason,
        )

    # -- messages and reasoning -------------------------------------------------------------

    def _settle_before_message(self) -> None:
        self._close_reasoning()
        if self._message is None:
            self._calls.open_waiting()
            self._calls.close_complete()

    def _say(self, event: Text | Refusal, kind: PartKind) -> None:
        message = self._message
        if message is None:
            message = self._message = MessageItem(self._new_id("msg"), self.number())
            self.added(message.index, message.to_object(Status.IN_PROGRESS))
        part = self._part
        if part is None or part.kind is not kind:
            if part is not None:
                self.part_done(message, part)
            part = self._part = Part(kind, len(message.parts))
            self._plain, self._write = (Text if kind is PartKind.TEXT else None), part.write
            self.part_added(message, part)
            message.parts.append(part)
        self._tell(event, part)

    def _close_message(self, status: Status = Status.COMPLETED) -> None:
        message, part = self._message, self._part
        if message is not None and part is not None:
            self.part_done(message, part)
            self.close(message.index, message.to_object(status))
            self._message = self._part = self._plain = self._write = None

    def _close_reasoning(self, status: Status = Status.COMPLETED) -> None:
        item = self._reasoning
        if item is not None:
            self.part_done(item, item.part)
            self.close(item.index, item.to_object(status))
            self._reasoning = self._plain = self._write = None

    # -- small things ----------------------------------------------------------------------

    def _new_id(self, prefix: str) -> str:
        return f"{prefix}_{hex_digits(32, self._random)}"

    def number(self) -> int:
        self._next_index += 1
        return self._next_index - 1

    def close(self, index: int, item: Object) -> None:
        self._done[index] = item
        self.item_done(index, item)

    def _tell(self, event: Text | Reasoning | Refusal, part: Part) -> None:  # per piece
        text = event.text
        part.write(text)
        logprobs = None
        if isinstance(event, Text) and event.logprobs:
            logprobs = event.logprobs
            part.logprobs += logprobs
            self._grow(_LOGPROB_SIZE * len(logprobs))
        self._grow(len(text))
        self._out.append(self.delta(text, logprobs))

    def _grow(self, size: int) -> None:
        self._size += size
        if self._size > self._max_answer_size:
            self.failure = BackendProtocolError("The backend's answer has too many bytes.")

    def _counted(self) -> Usage:
        if self.usage is not None:
            return self.usage
        if self.progress is not None:
            prompt, cached = self.progress.total, self.progress.cache
        else:
            prompt, cached = estimate_prompt(self._turn.body), 0
        return Usage(prompt, cached, estimate_text(self._size))


def _joined(first: Text | None, second: Text) -> Text:
    if first is None:
        return second
    logprobs = [*(first.logprobs or ()), *(second.logprobs or ())]
    return Text(first.text + second.text, logprobs or None)
