"""What every translator of an answer offers to the worker, and what all of them count."""

from abc import ABC, abstractmethod
from typing import Protocol

from multiproxy.dialects.chat_stream import ChatReader
from multiproxy.dialects.continuation import MAX_RUN, Journal
from multiproxy.dialects.events import (
    Done,
    Event,
    Failure,
    Finish,
    Progress,
    StopInfo,
    Usage,
)
from multiproxy.errors import ProxyError

_COUNTED_NOT = frozenset((Progress, Finish, StopInfo, Usage, Done))


class Translator(Protocol):
    """Turns one attempt's answer of a backend into what the client is sent.

    For each attempt a new one is made, with the last one as ``resume_from``: the client then
    sees the ids and the sequence numbers go on. A fold gives its one body when the answer
    is complete and nothing before.
    """

    opened: bool  # ``open`` gave something: what comes next has to go on from there
    started: bool  # content was given out: from here on no other backend can take over
    finished: bool  # the success tail was given out
    failure: ProxyError | None  # the backend's answer failed: retry, or tell it with fail()
    usage: Usage | None
    events: int  # content events read so far
    progress: Progress | None
    finish_reason: str | None  # once set, the end follows within seconds: call eof() then
    journal: Journal | None  # keeps what is read from now on, if it is set

    def open(self) -> bytes:
        """What must go to the client before anything that ``feed`` gave; empty the second time.

        It is asked for when the client really gets it: what an attempt that failed before
        its content had said is never sent, and the next one has to begin anew.
        """

    def feed(self, piece: bytes) -> bytes:
        """A piece of the backend's body, cut anywhere -> bytes for the client."""

    def eof(self) -> bytes:
        """The backend's body ended, cleanly or not; sets ``finished`` or ``failure``."""

    def go_on(self) -> None:
        """The answer broke off; what is fed from now on continues it, see ``splice``."""

    def fail(self, error: ProxyError) -> bytes:
        """The tail that tells ``error``; for a fold the body of an error answer."""

    def keep_alive(self) -> bytes:
        """What the client may get at any time between events, with the opening if need be;
        empty for a fold.
        """


class EventTranslator(ABC):
    """A translator that works on internal events; a dialect overrides ``_on`` and writes.

    ``_on`` sees every event but ``Failure`` and appends bytes to ``_out``.
    """

    def __init__(self, reader: ChatReader) -> None:
        self.opened = False
        self.started = False
        self.finished = False
        self.failure: ProxyError | None = None
        self.usage: Usage | None = None
        self.events = 0
        self.progress: Progress | None = None
        self.finish_reason: str | None = None
        self.stop_info: StopInfo | None = None
        self.journal: Journal | None = None
        self._run: list[bytes] | None = None  # where the journal has what differs only in its text
        self.scale = 1.0  # of the counts the client is told; ``usage`` has the true ones
        self._reader = reader
        self._out: list[bytes] = []

    def open(self) -> bytes:
        return b""

    def feed(self, piece: bytes) -> bytes:  # per piece
        reader = self._reader
        text = reader.repeat(piece)
        if self.journal is not None:
            run = self._run
            if text is not None and run is not None and len(run) < MAX_RUN:
                run.append(piece)
            else:
                self.journal.add(piece)
                form = reader.template
                self._run = None if text is None else self.journal.run_of(form.head, form.tail)
        if text is None:
            return self._consume(reader.feed(piece))
        if self.failure is None and (out := self._continue(reader.template.kind, text)) is not None:
            self.events += 1
            return out
        return self._consume([reader.template.event(text)])

    def eof(self) -> bytes:
        if self.journal is not None:
            self.journal.add(b"\n\n")  # the reader takes a last event without them, if whole
        return self._consume(self._reader.eof())

    def go_on(self) -> None:
        self.failure = self.journal = self._run = None
        self._reader.begin()

    @abstractmethod
    def fail(self, error: ProxyError) -> bytes:
        """The tail that tells ``error``."""

    @abstractmethod
    def keep_alive(self) -> bytes:
        """What may be sent during silence."""

    @abstractmethod
    def _on(self, event: Event) -> None:
        """Write what ``event`` means."""

    def _continue(self, kind: type[Event] | None, text: str) -> bytes | None:
        """What to send for ``text`` if it is no more than a delta of what is open, else None.

        It is what ``_on`` would do for an event of this ``kind``: the short way for most of all.
        """
        return None

    def _consume(self, events: list[Event]) -> bytes:  # per piece
        for event in events:
            if self.failure is not None:
                break
            if type(event) not in _COUNTED_NOT:
                if type(event) is Failure:
                    self.failure = event.error
                    break
                self.events += 1
            else:
                self._note(event)
            self._on(event)
        out = self._out
        if not out:
            return b""
        self._out = []
        return out[0] if len(out) == 1 else b"".join(out)

    def _note(self, event: Event) -> None:
        if isinstance(event, Progress):
            self.progress = event
        elif isinstance(event, Usage):
            self.usage = event
        elif isinstance(event, StopInfo):
            self.stop_info = event
        elif isinstance(event, Finish):
            self.finish_reason = event.reason
