"""The input of a custom (freeform) tool, which the model wrote as ``{"input": "..."}``.

Chat knows functions with JSON arguments only; a Responses client expects the raw text, and
expects it as it is written.
"""

import re

from multiproxy.dialects.json_text import loads

_OPENING = re.compile(r'\s*\{\s*"input"\s*:\s*"')
_MAX_OPENING = 256  # characters; more white space than that is not worth streaming
_QUOTE_OR_ESCAPE = re.compile(r'["\\]')
_HIGH_SURROGATE = re.compile(r"\\u[dD][89abAB]")
_ESCAPE = 6  # characters of \uXXXX


class FreeformInput:
    """Decodes the text of ``input`` while its JSON comes; ``decoded`` is all of it so far.

    Gives nothing for arguments of another form. ``unwrapped`` has the last word: what it
    returns for the whole arguments normally begins with ``decoded``.
    """

    def __init__(self) -> None:
        self._held = ""  # an unfinished opening, later an unfinished escape
        self._is_open = False
        self._is_over = False  # the closing quote came, or it is another form
        self._parts: list[str] = []

    @property
    def decoded(self) -> str:
        return "".join(self._parts)

    def feed(self, fragment: str) -> str:
        """The raw text that ``fragment`` adds."""
        if self._is_over or not fragment:
            return ""
        text = self._held + fragment
        self._held = ""
        position = 0
        if not self._is_open:
            opening = _OPENING.match(text)
            if not opening:
                self._held = text
                self._is_over = len(text) > _MAX_OPENING
                return ""
            self._is_open = True
            position = opening.end()
        return self._decode(text, position)

    def _decode(self, text: str, start: int) -> str:
        end = position = start
        while found := _QUOTE_OR_ESCAPE.search(text, position):
            end = found.start()
            if found[0] == '"':
                self._is_over = True
                break
            length = _escape_length(text, end)
            if end + length > len(text):
                self._held = text[end:]
                break
            position = end + length
        else:
            end = len(text)
        try:
            value = loads(f'"{text[start:end]}"'.encode())
        except ValueError:
            self._is_over = True
            return ""
        if not isinstance(value, str) or not value:
            return ""
        self._parts.append(value)
        return value


def unwrapped(arguments: str) -> str:
    """The input that complete ``arguments`` mean; at worst the arguments themselves."""
    try:
        value = loads(arguments.encode())
    except ValueError:
        return arguments
    if isinstance(value, dict):
        text = value.get("input")
        if isinstance(text, str):
            return text
        only = list(value.values())
        if len(only) == 1 and isinstance(only[0], str):
            return only[0]
    return arguments


def _escape_length(text: str, start: int) -> int:
    """How many characters the escape at ``start`` needs before it can be decoded."""
    if text[start + 1 : start + 2] != "u":
        return 2
    if not _HIGH_SURROGATE.match(text, start):
        return _ESCAPE
    after = text[start + _ESCAPE : start + _ESCAPE + 2]
    # A low surrogate may follow, in this fragment or in the next one.
    return 2 * _ESCAPE if "\\u".startswith(after) else _ESCAPE
