"""A stream whose client speaks the backend's own dialect: the same bytes, but supervised.

Nothing is translated; the bytes go out as they came, cut only at event boundaries until the
stream has finished. What is watched for: the first content (the commit point), the finish
(without which ``[DONE]`` is a lie and is withheld), errors inside the stream, and usage.

Per event only byte searches are done; an event is parsed when they show that it says more
than a delta: the first ones, the one with a finish reason, the ones after it.
"""

import re
from collections.abc import Callable
from typing import Any

import orjson

from multiproxy.dialects.chat_chunk import progress_of, usage_of
from multiproxy.dialects.classify import classify_event
from multiproxy.dialects.continuation import MAX_RUN, Journal
from multiproxy.dialects.errors import chat_tail
from multiproxy.dialects.events import Progress, Usage
from multiproxy.dialects.sse import ErrorData, EventSplitter
from multiproxy.errors import BackendDied, BackendProtocolError, ProxyError

KEEP_ALIVE = b": keep-alive\n\n"
_FINISH = b'"finish_reason":'
_NO_FINISH = b'"finish_reason":null'
_NATIVE_STOP = b'"stop":true'
_USAGE = b'"usage":{'
_PROGRESS = b'"prompt_progress":'
_TEXT_KEYS = (b'"content":"', b'"reasoning_content":"', b'"text":"')
_BACKSLASH = 0x5C
_FIRST_CHOICE = b'"index":0'
_MAX_CHOICES = 128  # that are told apart
_BLANK_LINE = re.compile(rb"\r\n\r\n|\n\r?\n|\r\r")
_DATA_LINE = re.compile(rb"(?:\A|[\r\n])(?:data[:\r\n]|error:)")
_CONTENT_KEYS = ("content", "reasoning_content", "reasoning", "tool_calls", "refusal", "text")


class Passthrough:
    """The translator of a stream that needs no translation; see ``Translator``.

    ``needs_role`` is for Chat: JavaScript's helper fails on a first chunk without a role,
    which llama-server leaves out when the first token is half a character. ``native`` is
    llama-server's own ``/completion``, which ends with ``"stop":true`` and no ``[DONE]``.
    """

    def __init__(
        self,
        request_id: str,
        *,
        needs_role: bool = False,
        native: bool = False,
        strips_progress: bool = False,
        max_event_size: int = 4 << 20,
    ) -> None:
        self.opened = False
        self.started = False
        self.finished = False
        self.failure: ProxyError | None = None
        self.usage: Usage | None = None
        self.progress: Progress | None = None
        self.events = 0
        self.finish_reason: str | None = None
        self.journal: Journal | None = None
        self._request_id = request_id
        self._needs_role = needs_role
        self._native = native
        self._strips_progress = strips_progress
        self._max_event_size = max_event_size
        self._splitter = EventSplitter(max_event_size)
        self._held = b""  # an unfinished event
        self._open_choices: set[int] = set()  # seen, and without a finish reason
        self._closed_choices: set[int] = set()  # with one
        self._is_single = True  # no choice but the first was seen
        self._done = False  # [DONE] or its like has passed
        self._prefix = b""  # the last delta up to its text; empty when there was none
        self._suffix = b""
        self._run: list[bytes] | None = None  # where the journal has such deltas
        self._is_delta: Callable[[bytes], bool] = _is_native_delta if native else _is_delta

    def open(self) -> bytes:
        """Nothing has to come before a Chat stream's first event."""
        return b""

    def keep_alive(self) -> bytes:
        """A comment: every SSE reader skips it."""
        return KEEP_ALIVE

    def fail(self, error: ProxyError) -> bytes:
        """The error event; no ``[DONE]`` may follow."""
        return chat_tail(error, self._request_id)

    def go_on(self) -> None:
        """See ``Translator``; what is held of an event was never sent."""
        self.failure = None
        self.journal = self._run = None
        self._splitter = EventSplitter(self._max_event_size)
        self._held = self._prefix = b""

    def feed(self, piece: bytes) -> bytes:  # per piece
        """Return what of ``piece`` and of what was held before may go out now.

        The very object ``piece`` is returned when nothing is held back or added.
        """
        if self.failure is not None:
            return b""
        if self._repeats(piece):
            self.events += 1
            return piece
        if self.journal is not None:
            self.journal.add(piece)
        try:
            events = self._splitter.feed(piece)
        except BackendProtocolError as error:
            self.failure = error
            return b""
        for number, event in enumerate(events):
            if (
                not self.started
                or self.finish_reason is not None
                or not self._is_single
                or not self._is_delta(event)
            ):
                self._inspect(event)
                if self.failure is not None:
                    return self._before_failure(piece, number)
            else:
                self.events += 1
        if not self._held and piece.endswith(b"\n\n"):
            if self._needs_role or self._strips_progress:
                return self._repaired(piece)
            self._learn(piece, len(events))
            return piece
        self._prefix = b""
        return self._repaired(self._at_boundary(piece))

    def _repaired(self, ready: bytes) -> bytes:
        """Take out what we asked for ourselves, and put in the role that is missing.

        Progress ends with the first content: from then on there is nothing to take out.
        """
        if self._strips_progress:
            if ready.find(_PROGRESS) >= 0:
                parts = ready.split(b"\n\n")
                ready = b"\n\n".join(part for part in parts if part.find(_PROGRESS) < 0)
            self._strips_progress = not self.started
        return self._add_role(ready) if ready and self._needs_role else ready

    def _repeats(self, piece: bytes) -> bool:  # per piece
        """Whether ``piece`` is the last event again with another text: nothing to look for.

        The text may hold neither a quote nor a line feed, so it ends where it seems to.
        """
        prefix = self._prefix
        if not prefix or not piece.startswith(prefix) or not piece.endswith(self._suffix):
            return False
        start, end = len(prefix), len(piece) - len(self._suffix)
        if (
            start >= end
            or piece.find(b'"', start, end) >= 0
            or piece.find(b"\n", start, end) >= 0
            or piece[end - 1] == _BACKSLASH
        ):
            return False
        run = self._run
        if run is not None:
            run.append(piece)
            if len(run) >= MAX_RUN:
                self._prefix = b""  # the next one is looked at, and the journal too
        return True

    def _learn(self, piece: bytes, events: int) -> None:
        """Keep what is around the text of a delta: the next one differs in nothing else."""
        self._prefix = b""
        if (
            events != 1
            or not self.started
            or self.finish_reason is not None
            or not self._is_single
            or not piece.startswith(b"data: {")
            or not self._is_delta(piece)
        ):
            return
        for key in _TEXT_KEYS:
            start = piece.find(key) + len(key)
            if start >= len(key):
                end = piece.find(b'"', start)
                if end > start and piece[end - 1] != _BACKSLASH and piece.find(key, end) < 0:
                    self._prefix, self._suffix = piece[:start], piece[end:]
                    if self.journal is not None:
                        self._run = self.journal.run_of(self._prefix, self._suffix)
                return

    def eof(self) -> bytes:
        """The backend's body ended. A finish without ``[DONE]`` is complete all the same."""
        if self.finished:
            return b"" if self._done or self._native else b"data: [DONE]\n\n"
        if self.failure is None:
            self.failure = BackendDied(
                "The backend stopped answering before the response was complete."
            )
        return b""

    def read_answer(self, body: bytes) -> None:
        """Take usage and finish reason from an answer that was not streamed after all."""
        # find() and not `in`, which for bytes costs five times as much.
        if body.find(b'"usage"') < 0 and body.find(b'"timings"') < 0:
            return
        try:
            answer: Any = orjson.loads(body)
        except ValueError:
            return
        if isinstance(answer, dict):
            self.usage = usage_of(answer.get("usage"), answer.get("timings"))
            choices = answer.get("choices")
            if isinstance(choices, list) and choices and isinstance(choices[0], dict):
                reason = choices[0].get("finish_reason")
                self.finish_reason = reason if isinstance(reason, str) else None

    def _at_boundary(self, piece: bytes) -> bytes:
        data = self._held + piece
        end = max(data.rfind(b"\n\n") + 2, data.rfind(b"\n\r\n") + 3, data.rfind(b"\r\r") + 2)
        if end <= 3 and not data[:end].endswith((b"\n\n", b"\n\r\n", b"\r\r")):
            end = 0
        self._held = data[end:]
        return data[:end]

    def _add_role(self, ready: bytes) -> bytes:
        """Put a chunk with the role before the first one that has none, or see that it has."""
        start = ready.find(b"data:")
        if start < 0:
            return ready
        self._needs_role = False
        event = ready[start + 5 :].split(b"\n", 1)[0]
        try:
            chunk: Any = orjson.loads(event)
            choice = chunk["choices"][0]
            if "role" in choice["delta"]:
                return ready
        except (ValueError, LookupError, TypeError):
            return ready
        choice["delta"] = {"role": "assistant", "content": ""}
        choice["finish_reason"] = None
        for key in ("usage", "timings"):
            chunk.pop(key, None)
        return ready[:start] + b"data: " + orjson.dumps(chunk) + b"\n\n" + ready[start:]

    def _before_failure(self, piece: bytes, number: int) -> bytes:
        """Return what lies before the event that failed, the ``number``-th that ``piece`` ended."""
        data = self._held + piece
        end = 0
        for blank in _BLANK_LINE.finditer(data):
            if _DATA_LINE.search(data[end : blank.end()]):  # else: a comment
                if not number:
                    break
                number -= 1
            end = blank.end()
        ready = data[:end]
        return self._add_role(ready) if ready and self._needs_role else ready

    def _inspect(self, event: bytes) -> None:
        if event.strip() == b"[DONE]":
            self._end()
            return
        try:
            chunk: Any = orjson.loads(memoryview(event))  # it takes no subclass of bytes
        except ValueError:
            if isinstance(event, ErrorData):
                self.failure = classify_event(event.decode("utf-8", "replace"))
            else:
                self.failure = BackendProtocolError("The backend sent an event that is not JSON.")
            return
        if chunk is None:
            return  # llama-server's leaked begin marker between several prompts
        if not isinstance(chunk, dict):
            self.failure = BackendProtocolError("The backend sent an event that is not an object.")
            return
        if isinstance(event, ErrorData) or chunk.get("error"):
            if not self.finished:
                self.failure = classify_event(chunk)
            return
        self._read(chunk)

    def _read(self, chunk: dict[str, Any]) -> None:
        """Look at an event that may say more than a delta does."""
        self._read_progress(chunk)
        found = usage_of(chunk.get("usage"), chunk.get("timings"))
        if found is not None:
            self.usage = found
        if self._native:
            self._read_native(chunk)
        else:
            self._read_choices(chunk)

    def _end(self) -> None:
        self._done = True
        if self.finish_reason is None or self._open_choices:
            self.failure = BackendDied("The backend ended its answer without a finish reason.")
        else:
            self.finished = True

    def _read_choices(self, chunk: dict[str, Any]) -> None:
        choices = chunk.get("choices")
        for choice in choices if isinstance(choices, list) else ():
            if not isinstance(choice, dict):
                continue
            delta = choice.get("delta", choice)
            if isinstance(delta, dict) and any(delta.get(key) for key in _CONTENT_KEYS):
                self.started = True
                self.events += 1
            reason = choice.get("finish_reason")
            self._saw_choice(choice.get("index"), reason if isinstance(reason, str) else None)

    def _read_native(self, chunk: dict[str, Any]) -> None:
        if chunk.get("content") or chunk.get("stop"):
            self.started = True
            self.events += 1
        stopped = chunk.get("stop") is True
        self._saw_choice(
            chunk.get("index"), str(chunk.get("stop_type", "stop")) if stopped else None
        )

    def _saw_choice(self, index: object, reason: str | None) -> None:
        """Note a choice (``n`` > 1, several prompts): the stream is finished when all are."""
        number = index if isinstance(index, int) else 0
        if number:
            self._is_single = False
        if reason is not None:
            self.started = True
            self.finish_reason = reason
            self._open_choices.discard(number)
            self._closed_choices.add(number)
        elif number not in self._closed_choices and len(self._open_choices) < _MAX_CHOICES:
            self._open_choices.add(number)
        # A stream that ends now, without [DONE], is complete.
        self.finished = self.finish_reason is not None and not self._open_choices

    def _read_progress(self, chunk: dict[str, Any]) -> None:
        self.progress = progress_of(chunk.get("prompt_progress")) or self.progress


def _is_delta(event: bytes) -> bool:  # per piece
    """Whether an event can only be a delta: of the first choice, which stays open; no usage."""
    # find() and not `in`, which for bytes costs five times as much.
    return (
        event.count(_FINISH) == event.count(_NO_FINISH) > 0
        and event.find(_FIRST_CHOICE) >= 0
        and event.find(_USAGE) < 0
        and event.find(_PROGRESS) < 0
    )


def _is_native_delta(event: bytes) -> bool:  # per piece
    return (
        event.find(b'"content":"') >= 0
        and event.find(_FIRST_CHOICE) >= 0
        and event.find(_NATIVE_STOP) < 0
    )
