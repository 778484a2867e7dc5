"""How JSON that other people wrote is read: strictly where it matters, else with patience.

orjson is fast and strict: it refuses a lone surrogate, which JavaScript clients produce by
cutting a string in the middle of an emoji, and which then stays in their history for ever.
Only such texts go to the standard library's parser.
"""

import json
import re

import orjson

_BOM = b"\xef\xbb\xbf"
_SURROGATE = re.compile("[\ud800-\udfff]")
MAX_DEPTH = 240
"""Levels that a text may nest: orjson writes 254, and translations put some around it."""
_ROOM = 254 - MAX_DEPTH


def is_too_deep(text: bytes | bytearray, value: object) -> bool:
    """Whether ``value``, parsed from ``text``, nests deeper than ``MAX_DEPTH``."""
    if text.count(b"{") + text.count(b"[") <= MAX_DEPTH:
        return False
    for _ in range(_ROOM):
        value = [value]
    try:
        orjson.dumps(value)
    except TypeError:  # what JSON held, JSON can hold: only the depth is left to complain of
        return True
    return False


def loads(text: bytes | bytearray) -> object:
    """Parse one JSON document; lone surrogates become U+FFFD.

    A byte order mark is skipped, an integer beyond 64 bits becomes a float (as in orjson).

    Raises:
        ValueError: not JSON, ``NaN`` or ``Infinity``, or nested deeper than ``MAX_DEPTH``.
    """
    try:
        value = orjson.loads(text)
    except ValueError as error:
        plain = bytes(text)
        if plain.startswith(_BOM):
            return loads(plain[len(_BOM) :])
        # The message of orjson is kept when the second parser refuses the text too.
        if b"\\u" not in plain and _is_utf8(plain):
            raise
        value = _loads_patiently(plain, error)
    if is_too_deep(text, value):
        raise ValueError("nested too deeply")
    return value


def _loads_patiently(text: bytes, first_error: ValueError) -> object:
    try:
        value = json.loads(
            text.decode("utf-8"), parse_constant=_refuse_constant, parse_int=_parse_int
        )
        return _replace_surrogates(value)
    except UnicodeDecodeError as error:
        raise ValueError("the text is not UTF-8") from error
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    except ValueError:
        raise first_error from None


def _replace_surrogates(value: object) -> object:
    if isinstance(value, str):
        return _SURROGATE.sub("\ufffd", value)
    if isinstance(value, list):
        return [_replace_surrogates(item) for item in value]
    if isinstance(value, dict):
        return {
            _SURROGATE.sub("\ufffd", key): _replace_surrogates(item) for key, item in value.items()
        }
    return value


def _refuse_constant(name: str) -> object:
    raise ValueError(f"{name} is not JSON")


def _parse_int(digits: str) -> int | float:
    # The length is tested first: converting a million digits to int takes quadratic time.
    if len(digits) < 19:
        return int(digits)
    return float(digits) if len(digits) > 20 or not -(2**63) <= int(digits) < 2**64 else int(digits)


def _is_utf8(text: bytes) -> bool:
    try:
        text.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True
