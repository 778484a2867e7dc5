"""A short cut for the events of one stream, which differ in nothing but one string.

A server repeats the same ids around each delta. Once an event was parsed, the bytes before
and behind its string are known; an event with the same bytes there and one JSON string
between them means the same but for that string. Parsing only the string is several times
faster, and this is done for every token of every stream.
"""

import re
from collections.abc import Callable

import orjson

from multiproxy.dialects.events import Event, Reasoning, Text, ToolFragment

_STRING = re.compile(rb'"(?:[^"\\]|\\.)*"')
_MAX_VAIN = 32  # a stream whose events never repeat is not worth the learning


class DeltaTemplate:
    """The form of the last plain delta of one stream."""

    def __init__(self) -> None:
        self._head = b"\0"  # begins no event
        self._tail = b""
        self._make: Callable[[str], Event] = Text
        self._vain = 0  # times that something was learned since the last hit

    def read(self, data: bytes) -> Event | None:  # per piece
        """The event that ``data`` means, None if it has another form."""
        if data.startswith(self._head) and data.endswith(self._tail):
            try:
                value = orjson.loads(data[len(self._head) : len(data) - len(self._tail)])
            except ValueError:
                return None
            if type(value) is str and value:
                self._vain = 0
                return self._make(value)
        return None

    def learn(self, data: bytes, event: Event) -> None:
        """``data`` was parsed, and nothing came of it but ``event``."""
        if self._vain >= _MAX_VAIN:
            return
        self._vain += 1
        match event:
            case Text():
                name, self._make = b'"content":', Text
            case Reasoning():
                name, self._make = b'"reasoning_content":', Reasoning
            case ToolFragment():
                index = event.index
                name = b'"arguments":'
                self._make = lambda arguments: ToolFragment(index, "", "", arguments)
            case _:
                return
        self._head = b"\0"
        # Only one member of this name: it is the delta's, wherever it stands.
        if data.count(name) == 1:
            start = data.index(name) + len(name)
            if found := _STRING.match(data, start):
                self._head, self._tail = data[:start], data[found.end() :]
