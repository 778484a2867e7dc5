"""How a Chat answer is read: its bytes, cut anywhere, become internal events.

llama-server's habits are in the tests: a role chunk that may be missing or repeated,
progress chunks, a usage chunk without choices, errors without ``[DONE]``. An engine that
answers a streamed request with one JSON document is read as well.
"""

from collections.abc import Callable
from dataclasses import replace
from enum import Enum, auto
from typing import Any

import orjson

from multiproxy.dialects.chat_chunk import (
    delta_events,
    plain_event,
    progress_of,
    stop_info_of,
    usage_of,
)
from multiproxy.dialects.classify import classify_event
from multiproxy.dialects.delta_template import DeltaTemplate
from multiproxy.dialects.events import Done, Event, Failure, Finish, StopInfo, Usage
from multiproxy.dialects.json_text import is_too_deep, loads
from multiproxy.dialects.sse import ErrorData, EventSplitter
from multiproxy.errors import BackendDied, BackendError, BackendProtocolError, ProxyError

_ABORTED = ("error", "abort")


class State(Enum):
    """READING -> FINISHED (``finish_reason`` seen) -> ENDED; READING -> ENDED on failure."""

    READING = auto()
    FINISHED = auto()
    ENDED = auto()


def _never(piece: bytes) -> str | None:
    """The ``repeat`` of a reader that takes no short way."""
    return None


class ChatReader:
    """Turns the body of a Chat answer into events that end with one ``Done`` or ``Failure``.

    After that nothing more comes. Only the first choice is read. Nothing is kept of the
    answer, except of one that is not a stream (at most ``max_answer_size`` bytes).
    ``on_chunk`` is shown every chunk that says more than one plain delta, whole.

    ``repeat`` gives the string of a piece that is the last plain delta again but for its
    string. Such a piece needs no ``feed``: it means ``template.event(string)``. It gives None
    for all others.
    """

    repeat: Callable[[bytes], str | None]

    def __init__(
        self,
        *,
        max_event_size: int = 16 << 20,
        max_answer_size: int = 64 << 20,
        on_chunk: Callable[[dict[str, Any]], None] | None = None,
    ) -> None:
        self._max_event_size = max_event_size
        self._max_answer_size = max_answer_size
        self._on_chunk = on_chunk
        self.begin()

    def begin(self) -> None:
        """Forget what was read: the next piece is another answer's first."""
        self.state = State.READING
        self._splitter = EventSplitter(self._max_event_size)
        self.template = DeltaTemplate(self._max_event_size)
        self.repeat = _never
        self._document: bytearray | None = None  # an answer that is not a stream
        self._is_stream = False
        self._counts: Usage | None = None  # of the last ``usage`` member

    @property
    def is_ended(self) -> bool:
        """Whether ``Done`` or ``Failure`` came."""
        return self.state is State.ENDED

    @property
    def comments(self) -> int:
        """SSE comments seen so far: signs of life without content."""
        return self._splitter.comments

    def feed(self, piece: bytes) -> list[Event]:  # per piece
        out: list[Event] = []
        if not self._is_stream and self._is_document(piece, out):
            return out
        try:
            for data in self._splitter.feed(piece):
                self._read_event(data, out)
            if self._splitter.overflowed:
                self._splitter.feed(b"")
        except BackendProtocolError as error:
            self._fail(error, out)
        # Such a piece leaves both as they are: it need not look at them.
        can_repeat = self.state is State.READING and self._splitter.is_between
        self.repeat = self.template.text_of if can_repeat else _never
        return out

    def eof(self) -> list[Event]:
        """The backend's body ended, cleanly or not, or nothing came for long after Finish."""
        out: list[Event] = []
        self.repeat = _never
        if self.is_ended:
            return out
        if self._document is not None:
            self._read_document(bytes(self._document), out)
        else:
            for data in self._splitter.finish():
                if not self.is_ended and _is_whole(data):
                    self._read_event(data, out)
        if not self.is_ended:
            self._end(out)
        return out

    def _is_document(self, piece: bytes, out: list[Event]) -> bool:
        """Whether the body is one JSON document; its first byte that is no space tells."""
        if self._document is None:
            start = piece.lstrip(b"\xef\xbb\xbf \t\r\n")
            if not start.startswith(b"{"):
                self._is_stream = bool(start)
                return False
            self._document = bytearray()
        if self.is_ended:
            return True
        self._document += piece
        if len(self._document) > self._max_answer_size:
            self._document = bytearray()
            self._fail(BackendProtocolError("The backend's answer has too many bytes."), out)
        return True

    def _read_document(self, document: bytes, out: list[Event]) -> None:
        try:
            chunk = loads(document)
        except ValueError:
            self._end(out)  # cut in the middle, as far as anybody can tell
            return
        self._read_chunk(chunk, out)

    def _read_event(self, data: bytes, out: list[Event]) -> None:  # per piece
        if self.state is State.READING and type(data) is bytes:
            event = self.template.read(data)
            if event is not None:
                out.append(event)
                return
        elif self.state is State.ENDED:
            return
        try:
            chunk = orjson.loads(data)
        except ValueError:
            self._read_other(data, out)
            return
        if self.state is State.READING and (event := plain_event(chunk)) is not None:
            out.append(event)
            self.template.learn(data, event)
        elif is_too_deep(data, chunk):
            self._fail(BackendProtocolError("The backend sent an event nested too deeply."), out)
        else:
            self._read_chunk(chunk, out)

    def _read_other(self, data: bytes, out: list[Event]) -> None:
        """An event that orjson does not take: an end mark, a named error (it takes no subclass
        of bytes), nothing, or not quite JSON.
        """
        text = data.strip()
        if text == b"[DONE]":
            self._end(out)
        elif type(data) is ErrorData:
            try:
                told = loads(bytes(data))
            except ValueError:
                told = text.decode("utf-8", "replace")
            self._fail(classify_event(told), out)
        elif text:
            try:
                chunk = loads(data)
            except ValueError:
                # A skipped event would be a lost delta.
                self._fail(BackendProtocolError("The backend sent an event that is no JSON."), out)
            else:
                self._read_chunk(chunk, out)

    def _read_chunk(self, chunk: object, out: list[Event]) -> None:
        if not isinstance(chunk, dict):
            if chunk is not None:  # llama-server writes `data: null` between prompts
                error = BackendProtocolError("The backend sent an event that is no object.")
                self._fail(error, out)
            return
        if chunk.get("error") or chunk.get("object") == "error":
            self._fail(classify_event(chunk), out)
            return
        if self._on_chunk is not None:
            self._on_chunk(chunk)
        if (progress := progress_of(chunk.get("prompt_progress"))) is not None:
            out.append(progress)
        choices = chunk.get("choices")
        if choices and isinstance(choices, list):
            for choice in choices:
                if isinstance(choice, dict) and not choice.get("index"):
                    self._read_choice(choice, out)
                    if self.is_ended:
                        return
        if (stop_info := stop_info_of(chunk.get("__verbose"))) is not None:
            out.append(stop_info)
        self._read_usage(chunk.get("usage"), chunk.get("timings"), out)

    def _read_choice(self, choice: dict[str, object], out: list[Event]) -> None:
        if self.state is State.READING:
            delta = choice.get("delta") or choice.get("message")
            if isinstance(delta, dict):
                try:
                    out += delta_events(delta, choice.get("logprobs"))
                except TypeError:
                    error = BackendProtocolError("The backend sent a text that is no string.")
                    self._fail(error, out)
                    return
            reason = choice.get("finish_reason")
            if reason in _ABORTED:
                self._fail(BackendError("The backend gave up on this answer."), out)
                return
            if reason is not None:
                self.state = State.FINISHED
                out.append(Finish(reason if isinstance(reason, str) else "stop"))
        word = choice.get("stop_reason")  # vLLM
        if isinstance(word, str):
            out.append(StopInfo("word", word, False))

    def _read_usage(self, usage: object, timings: object, out: list[Event]) -> None:
        counts = usage_of(usage, timings)
        if counts is None:
            return
        if isinstance(usage, dict):
            self._counts = counts
        elif self._counts is not None:  # counted already: only the times are new
            counts = self._counts = replace(self._counts, timings=counts.timings)
        out.append(counts)

    def _end(self, out: list[Event]) -> None:
        if self.state is State.FINISHED:
            self.state = State.ENDED
            out.append(Done())
        else:
            self._fail(BackendDied("The backend closed the stream before finishing."), out)

    def _fail(self, error: ProxyError, out: list[Event]) -> None:
        if self.state is State.FINISHED:
            # The answer was complete; what is wrong behind it is no loss to the client.
            self.state = State.ENDED
            out.append(Done())
        elif self.state is State.READING:
            self.state = State.ENDED
            out.append(Failure(error))


def _is_whole(data: bytes) -> bool:
    """Whether the last event, which lacks its blank line, was sent to its end."""
    try:
        loads(data)
    except ValueError:
        return data.strip() == b"[DONE]"
    return True
