"""The settings as JSON Schema (draft 7) for editors, from the classes that the binder reads.

The schema accepts whatever `load` accepts, but for values that YAML takes for another type
(``name: 7``, ``slots: "4"``) and sections merged with ``<<``, which editors merge themselves. It
cannot know everything: names that must exist, one of two settings, bounds of ``5m``. `load` does.
"""

from collections.abc import Iterator, Sequence
from typing import Any, Literal, get_args, get_origin

from multiproxy.config.model import Config
from multiproxy.config.scalar import is_scalar
from multiproxy.config.setting import About, Setting, settings_of
from multiproxy.config.values import Address, Duration, Size, Url
from multiproxy.config.written import item_of, written

Schema = dict[str, Any]

_VARIABLE = r"\$\{"  # every value may come from a variable or a file
_EMPTY: Schema = {"type": "null"}  # a key without a value counts as not written
_TEXT_OR_EMPTY = ["string", "null"]
_DURATION = r"^[0-9]+(\.[0-9]+)?(ms|s|m|h|d)?$"
_SIZE = r"^[0-9]+(B|[kK]B|MB|GB|KiB|MiB|GiB)?$"
_ADDRESS = r"^\S+:[0-9]{1,5}$|^[0-9]{1,5}$"
_URL = r"^([hH][tT][tT][pP][sS]?|[dD][nN][sS]\+([hH][tT][tT][pP]|[sS][rR][vV]))://[^\s@?#]+$"


def schema() -> Schema:
    """The whole of config.yaml."""
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "MultiProxy configuration",
        **_section(Config, ()),
    }


def _section(section: type, given: tuple[str, ...]) -> Schema:
    """``given`` are settings that are written elsewhere."""
    settings = [each for each in settings_of(section).values() if each.name not in given]
    required = [each.name for each in settings if each.required and not each.about.derived]
    return {
        "type": "object",
        "properties": {each.name: _setting(each) for each in settings},
        **({"required": required} if required else {}),
        "additionalProperties": False,
    }


def _setting(setting: Setting) -> Schema:
    forms = list(_forms(setting.hint, setting.about, setting.optional))
    if not setting.required or setting.about.derived:
        if is_scalar(setting.hint):
            forms[-1] = forms[-1] | {"type": _TEXT_OR_EMPTY}
        else:
            forms.append(_EMPTY)
    whole: Schema = {"description": setting.about.doc}
    if is_scalar(setting.hint) and not setting.required:
        default = written(setting.hint, setting.about, setting.default)
        if default is not None:
            whole["default"] = default
    return whole | _any(forms)


def _any(forms: Sequence[Schema]) -> Schema:
    return forms[0] if len(forms) == 1 else {"anyOf": list(forms)}


def _forms(hint: Any, about: About, optional: bool) -> Iterator[Schema]:
    """Every way to write a setting; the last form of a scalar is its text."""
    if is_scalar(hint):
        yield from _scalar(hint, about)
        return
    item = item_of(hint)
    if item is None:
        yield from _one_section(hint, about, optional)
    elif about.keyed_by is not None:
        yield _keyed(item, about, about.keyed_by)
    else:
        yield {"type": "array", "items": _any(list(_forms(item, about, False)))}
        if about.command:
            yield {"type": "string"}


def _one_section(section: type, about: About, optional: bool) -> Iterator[Schema]:
    yield _section(section, ())
    if about.text_is is not None:
        inner = settings_of(section)[about.text_is]
        yield from _scalar(inner.hint, inner.about)
    if optional:
        yield {"type": "boolean"}


def _keyed(section: type, about: About, key: str) -> Schema:
    """A mapping whose keys are a setting of its sections."""
    forms = [_section(section, (key,)), _EMPTY]
    if about.list_is is not None:
        inner = settings_of(section)[about.list_is]
        forms[1:1] = _forms(inner.hint, inner.about, False)
    if about.text_is is not None:
        inner = settings_of(section)[about.text_is]
        # A number or a flag is taken as it is written.
        forms[1:1] = [*_scalar(inner.hint, inner.about), {"type": ["number", "boolean"]}]
    names = settings_of(section)[key].about
    return {
        "type": "object",
        "propertyNames": next(iter(_scalar(str, names, variable=False))),
        "additionalProperties": {"anyOf": forms},
    }


def _scalar(hint: Any, about: About, *, variable: bool = True) -> Iterator[Schema]:
    if about.auto:
        yield {"const": "auto"}
    if get_origin(hint) is Literal:
        yield {"enum": list(get_args(hint))}
    elif hint is bool:
        yield {"type": "boolean"}
    elif hint in (int, Size):
        yield {"type": "integer"} | _bounds(about)
    elif hint in (float, Duration):
        yield {"type": "number"} | _bounds(about)
    elif hint == Address:
        yield {"type": "integer", "minimum": 0, "maximum": 65535}
    pattern, says = _text(hint, about)
    if variable:
        pattern = f"{pattern}|{_VARIABLE}" if pattern else _VARIABLE
    text: Schema = {"type": "string"}
    if hint is not str or about.grammar is not None:
        text["pattern"] = pattern
    yield text | ({"patternErrorMessage": says} if says else {})


def _text(hint: Any, about: About) -> tuple[str, str]:
    """The pattern of the texts of a type, and what an editor says of any other."""
    if hint is str and about.grammar is not None:
        return f"^(?:{about.grammar.pattern.pattern})$", f"must be {about.grammar.says}"
    return {
        Duration: (_DURATION, "must be a duration: 500ms, 30s, 5m, 2h"),
        Size: (_SIZE, "must be a size: 16KiB, 32MB"),
        Address: (_ADDRESS, "must be host:port"),
        Url: (_URL, "must be a URL: http://host:port"),
    }.get(hint, ("", ""))


def _bounds(about: About) -> Schema:
    bounds = {"minimum": about.least, "maximum": about.most}
    return {name: _number(bound) for name, bound in bounds.items() if bound is not None}


def _number(bound: float) -> int | float:
    return int(bound) if bound == int(bound) else bound
