"""The arguments of a tool call: where they end, and what to do when they are no JSON object.

Models write them, and models make mistakes. llama-server answers 500 to a history that holds
such a mistake, to this and to every later request of the session; clients, on the other hand,
should see the mistake, because their own check of the arguments tells the model about it.
"""

import re
from operator import is_not
from typing import Any

import orjson

from multiproxy.dialects.json_text import loads
from multiproxy.dialects.request import encoded

UNPARSED = "__unparsed_arguments"
"""The only member of the object that stands for arguments which are no JSON object."""

_OUTSIDE_STRING = re.compile(r'["{}\[\]]')
_INSIDE_STRING = re.compile(r'["\\]')
_SPACE = " \t\r\n"


class ObjectScanner:
    """Finds the end of one JSON object that comes in fragments; linear in their length.

    ``is_complete`` tells that the object was closed. Brackets are counted, not paired: this
    is about where arguments end, not about whether they are right.
    """

    def __init__(self) -> None:
        self.is_complete = False
        self._depth = 0
        self._in_string = False
        self._escaped = False  # the last character was a backslash in a string
        self._is_other = False  # it does not begin as an object, so it has no end

    def feed(self, fragment: str) -> int:
        """How many characters of ``fragment`` belong to the object; 0 after its end."""
        if self.is_complete:
            return 0
        if self._is_other:
            return len(fragment)
        position = 0
        if not self._depth:  # before the opening brace
            position = len(fragment) - len(fragment.lstrip(_SPACE))
            if position < len(fragment) and fragment[position] != "{":
                self._is_other = True
                return len(fragment)
        return self._scan(fragment, position)

    def _scan(self, fragment: str, position: int) -> int:
        while position < len(fragment):
            if self._escaped:
                self._escaped = False
                position += 1
                continue
            found = (_INSIDE_STRING if self._in_string else _OUTSIDE_STRING).search(
                fragment, position
            )
            if not found:
                break
            position = found.end()
            character = found[0]
            if character == '"':
                self._in_string = not self._in_string
            elif character == "\\":
                self._escaped = True
            elif character in "{[":
                self._depth += 1
            else:
                self._depth -= 1
                if not self._depth:
                    self.is_complete = True
                    return position
        return len(fragment)


def parse_arguments(raw: str) -> dict[str, object]:
    """The arguments as an object for the client; what is no object is told as ``UNPARSED``."""
    if not raw.strip(_SPACE):
        return {}
    value = _parse(raw)
    return value if isinstance(value, dict) else {UNPARSED: raw}


def sanitised_arguments(value: object) -> str:
    """The arguments of a call in the history as every chat template accepts them.

    A string that holds an object is returned unchanged: the engine's prefix cache depends
    on it.
    """
    if value is None:
        return "{}"
    if not isinstance(value, str):
        text = encoded(value).decode()
        return text if isinstance(value, dict) else orjson.dumps({UNPARSED: text}).decode()
    if isinstance(_parse(value), dict):
        return value
    if not value.strip(_SPACE):
        return "{}"
    return orjson.dumps({UNPARSED: value}).decode()


def sanitised_history(messages: object) -> list[Any] | None:
    """A Chat client's messages with sanitised arguments; None if they are fine as they are.

    None is the usual answer: the client's own bytes may then go to the backend.
    """
    if not isinstance(messages, list):
        return None
    changed: list[Any] | None = None
    for number, message in enumerate(messages):
        calls = message.get("tool_calls") if isinstance(message, dict) else None
        if not calls or not isinstance(calls, list):
            continue
        mended = [_sanitised_call(call) for call in calls]
        if any(map(is_not, mended, calls)):
            changed = changed or messages.copy()
            changed[number] = {**message, "tool_calls": mended}
    return changed


def _sanitised_call(call: Any) -> Any:
    function = call.get("function") if isinstance(call, dict) else None
    if not isinstance(function, dict):
        return call
    given = function.get("arguments")
    arguments = sanitised_arguments(given)
    if arguments is given:
        return call
    return {**call, "function": {**function, "arguments": arguments}}


def _parse(text: str) -> object:
    try:
        return loads(text.encode())
    except ValueError:
        return None
