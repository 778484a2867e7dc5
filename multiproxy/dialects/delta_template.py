"""A short cut for the events of one stream, which differ in nothing but one string.

A server repeats the same ids around each delta. Once an event was parsed, the bytes before
and behind its string are known; an event with the same bytes there and one JSON string
between them means the same but for that string. Parsing only the string is several times
faster, and this is done for every token of every stream.
"""

import re
import sys

import orjson

from multiproxy.dialects.events import Event, Reasoning, Text, ToolFragment

_STRING = re.compile(rb'"(?:[^"\\]|\\.)*"')
_FRAMED = b"data: %b\n\n"  # an event of one line on the wire
_MAX_VAIN = 32  # a stream whose events never repeat is not worth the learning


class DeltaTemplate:
    """The form of the last plain delta of one stream; ``kind`` is what it means.

    ``head`` is what an event of this form has on the wire up to its string, with the quote, and
    ``tail`` what comes from the other quote on. Events of more than ``max_size`` bytes are of
    no form.
    """

    def __init__(self, max_size: int = sys.maxsize) -> None:
        self.kind: type[Event] | None = None
        self._max_size = max_size
        self.head, self.tail = b"\0", b""  # no event begins so
        self._start, self._end = 0, 0  # of the string, quotes included
        self._index: int | None = None  # of the call
        self._vain = 0  # times that something was learned since the last hit

    def text_of(self, piece: bytes) -> str | None:  # per piece
        """The string of a piece that is one whole event of this form, None for any other."""
        if (
            not piece.startswith(self.head)
            or not piece.endswith(self.tail)
            or len(piece) > self._max_size
        ):
            return None
        try:
            # It begins with a quote: if this is JSON at all, it is a string.
            text: str = orjson.loads(piece[self._start : self._end])
        except ValueError:
            return None
        self._vain = 0
        return text or None

    def read(self, data: bytes) -> Event | None:
        """The event that ``data`` means, None if it has another form."""
        text = self.text_of(_FRAMED % data)
        return None if text is None else self.event(text)

    def event(self, text: str) -> Event:
        """The event of this form that says ``text``."""
        if self.kind is ToolFragment:
            return ToolFragment(self._index, "", "", text)
        return Reasoning(text) if self.kind is Reasoning else Text(text)

    def learn(self, data: bytes, event: Event) -> None:
        """``data`` was parsed, and nothing came of it but ``event``."""
        if self._vain >= _MAX_VAIN:
            return
        self._vain += 1
        match event:
            case Text():
                name = b'"content":'
            case Reasoning():
                name = b'"reasoning_content":'
            case ToolFragment():
                name = b'"arguments":'
                self._index = event.index
            case _:
                return
        self.head = b"\0"
        # Only one member of this name: it is the delta's, wherever it stands. Data of several
        # lines stands otherwise on the wire.
        if data.count(name) == 1 and data.find(b"\n") < 0:
            start = data.index(name) + len(name)
            if found := _STRING.match(data, start):
                self.kind = type(event)
                framed, behind = _FRAMED % data, len(data) - found.end() + 2
                self._start, self._end = start + 6, -behind
                self.head, self.tail = framed[: start + 7], framed[-behind - 1 :]
