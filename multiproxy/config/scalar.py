"""One text of the file -> one value: the parser of its type, its choices, bounds and grammar."""

from collections.abc import Callable
from typing import Any, Literal, get_args, get_origin

from multiproxy.config import units
from multiproxy.config.report import quote, suggest
from multiproxy.config.setting import About
from multiproxy.config.units import Malformed
from multiproxy.config.values import Address, Duration, Size, Url

_PARSERS: dict[Any, Callable[[str], Any]] = {
    str: units.text,
    bool: units.flag,
    int: units.whole,
    float: units.number,
    Duration: units.duration,
    Size: units.size,
    Address: units.address,
    Url: units.url,
}


def is_scalar(hint: Any) -> bool:
    """Whether a setting of this type is written as one text."""
    return hint in _PARSERS or get_origin(hint) is Literal


def value_of(hint: Any, about: About, text: str, shown: str) -> Any:
    """The value ``text`` stands for; ``shown`` is how the file has it, before interpolation.

    Raises:
        Malformed: it is not of the type, not a choice, out of bounds or against the grammar.
    """
    if about.auto and text == "auto":
        return None
    if get_origin(hint) is Literal:
        return _choice(get_args(hint), text, shown)
    try:
        value = _PARSERS[hint](text)
    except Malformed as problem:
        if about.auto:
            raise Malformed(f"{problem.reason} or auto", problem.hint) from None
        raise
    if about.grammar is not None and not about.grammar.accepts(value):
        raise Malformed(f"must be {about.grammar.says}")
    if about.least is not None and value < about.least:
        raise Malformed(f"must be at least {_shown(hint, about.least)}")
    if about.most is not None and value > about.most:
        raise Malformed(f"must be at most {_shown(hint, about.most)}")
    return value


def _shown(hint: Any, bound: float) -> str:
    unit = {Duration: " s", Size: " byte" if bound == 1 else " bytes"}.get(hint, "")
    return f"{bound:.14g}{unit}"


def _choice(choices: tuple[str, ...], text: str, shown: str) -> str:
    if text in choices:
        return text
    every = f"one of: {', '.join(choices)}"
    near = suggest(shown, choices)
    raise Malformed(f"can't be {quote(shown)}", every if near == every else f"{near} {every}")
