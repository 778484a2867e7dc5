"""What is known about one setting besides its type: documentation, bounds, short forms.

It lives in the metadata of the dataclass field, so the binder, the snapshot and any generated
reference read the same facts, and a default or a bound is written in exactly one place.
"""

import re
from collections.abc import Iterator
from dataclasses import MISSING, Field, dataclass, field, fields
from functools import cache
from types import NoneType, UnionType
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Grammar:
    """The texts a setting accepts; ``says`` finishes the sentence "NAME must be ..."."""

    pattern: re.Pattern[str]
    says: str

    def accepts(self, text: str) -> bool:
        return self.pattern.fullmatch(text) is not None


@dataclass(frozen=True, slots=True)
class About:
    """One setting's facts. Bounds are inclusive and in the unit of the type (seconds, bytes)."""

    doc: str
    least: float | None = None
    most: float | None = None
    grammar: Grammar | None = None  # of the text, or of each text of a list
    auto: bool = False  # the word `auto` stands for None
    derived: bool = False  # may be left out although the dataclass has no default for it
    secret: bool = False  # never shown: not in repr(), not in the source a problem quotes
    keyed_by: str | None = None  # a list of sections written as a mapping: KEY is this field
    text_is: str | None = None  # a section written as one text: the text is this field
    list_is: str | None = None  # a section written as a list: the list is this field
    command: bool = False  # a list that may be one text; shown without what sounds secret
    later: tuple[str, ...] = ()  # expressions such as ${PORT} that stay as they are


def about(doc: str, **facts: Any) -> dict[str, About]:
    """The ``metadata`` of a dataclass field; ``facts`` are the other fields of `About`."""
    return {"about": About(doc, **facts)}


def setting(default: T, doc: str, **facts: Any) -> T:
    """A dataclass field with a default; ``facts`` are the other fields of `About`."""
    return field(default=default, metadata=about(doc, **facts))


@dataclass(frozen=True, slots=True)
class Setting:
    """One field of a config dataclass, its type hint taken apart.

    ``hint`` is without ``None``; ``optional`` says whether ``None`` was part of it.
    """

    name: str
    hint: Any
    optional: bool
    required: bool
    default: Any
    about: About


def without_none(hint: Any) -> tuple[Any, bool]:
    """``int | None`` -> ``(int, True)``; ``int`` -> ``(int, False)``."""
    if get_origin(hint) not in (Union, UnionType):
        return hint, False
    parts = [part for part in get_args(hint) if part is not NoneType]
    if len(parts) != 1:
        raise TypeError(f"a setting has one type, or one type and None, not {hint}")
    return parts[0], True


def _default(spec: "Field[Any]") -> Any:
    return spec.default_factory() if spec.default_factory is not MISSING else spec.default


def _read(section: type) -> Iterator[Setting]:
    hints = get_type_hints(section, include_extras=True)
    for spec in fields(section):
        hint, optional = without_none(hints[spec.name])
        default = _default(spec)
        yield Setting(
            name=spec.name,
            hint=hint,
            optional=optional,
            required=default is MISSING,
            default=default,
            about=spec.metadata.get("about", About("")),
        )


@cache
def _by_name(section: type) -> dict[str, Setting]:
    return {setting.name: setting for setting in _read(section)}


def settings_of(section: type) -> dict[str, Setting]:
    """The settings of a config dataclass by name, in the order they are written there."""
    return _by_name(section)
