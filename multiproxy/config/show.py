"""The config in use, for people and programs: every value, where it comes from, no secret."""

from collections.abc import Iterator, Mapping
from typing import Any

import yaml

from multiproxy.config.command import MASK, masked
from multiproxy.config.model import Config
from multiproxy.config.report import Path
from multiproxy.config.scalar import is_scalar
from multiproxy.config.setting import Setting, settings_of
from multiproxy.config.written import item_of, written

_COLUMN = 47  # behind it the sources stand, unless the value is longer

Sources = Mapping[Path, str]
"""``("listen",)`` -> ``line 3`` or ``MULTIPROXY_LISTEN``; what is missing is a default."""


def as_yaml(config: Config, sources: Sources) -> str:
    """YAML with a comment behind each value that says where it comes from."""
    lines = [f"{text:<{_COLUMN}} # {source}" if source else text for text, source in
             _section(Config, config, (), sources, "")]  # fmt: skip
    return "\n".join(lines) + "\n"


def as_json(config: Config, sources: Sources) -> dict[str, Any]:
    """``config``: nested as in the file, values as it would write them. ``sources``: by path."""
    found: dict[str, str] = {}
    return {"config": _plain_section(Config, config, (), sources, found), "sources": found}


def _plain_section(
    section: type, value: Any, path: Path, sources: Sources, found: dict[str, str]
) -> dict[str, Any]:
    plain: dict[str, Any] = {}
    for setting in settings_of(section).values():
        inner, here = getattr(value, setting.name), (*path, setting.name)
        item, keyed_by = item_of(setting.hint), setting.about.keyed_by
        if _is_leaf(setting, inner):
            plain[setting.name] = _leaf(setting, inner)
            found[".".join(map(str, here))] = _source(setting, here, sources)
        elif item is None:
            plain[setting.name] = _plain_section(setting.hint, inner, here, sources, found)
        elif keyed_by is None:
            plain[setting.name] = [
                _plain_section(item, each, (*here, index), sources, found)
                for index, each in enumerate(inner)
            ]
        else:
            plain[setting.name] = {
                getattr(each, keyed_by): _plain_section(
                    item, each, (*here, getattr(each, keyed_by)), sources, found
                )
                for each in inner
            }
    return plain


def _section(
    section: type, value: Any, path: Path, sources: Sources, indent: str, given: str = ""
) -> Iterator[tuple[str, str]]:
    """(text, source) of each line. ``given`` is a setting that is the section's own key."""
    for setting in settings_of(section).values():
        if setting.name == given:
            continue
        inner, here = getattr(value, setting.name), (*path, setting.name)
        item, keyed_by = item_of(setting.hint), setting.about.keyed_by
        key = f"{indent}{setting.name}:"
        if _is_leaf(setting, inner):
            if inner is not None or setting.default is not None or setting.about.auto:
                yield f"{key} {_flow(_leaf(setting, inner))}", _source(setting, here, sources)
        elif item is None:
            yield key, ""
            yield from _section(setting.hint, inner, here, sources, f"{indent}  ")
        elif not inner:
            yield f"{key} {{}}" if keyed_by else f"{key} []", _source(setting, here, sources)
        else:
            yield key, ""
            yield from _items(item, inner, here, sources, f"{indent}  ", keyed_by)


def _items(
    section: type,
    values: tuple[Any, ...],
    path: Path,
    sources: Sources,
    indent: str,
    keyed_by: str | None,
) -> Iterator[tuple[str, str]]:
    for index, value in enumerate(values):
        if keyed_by is not None:
            name = getattr(value, keyed_by)
            yield f"{indent}{_flow(name)}:", ""
            yield from _section(section, value, (*path, name), sources, f"{indent}  ", keyed_by)
            continue
        lines = _section(section, value, (*path, index), sources, f"{indent}  ")
        first, source = next(lines)
        yield f"{indent}- {first.lstrip()}", source
        yield from lines


def _is_leaf(setting: Setting, value: Any) -> bool:
    """Whether the value is written on the line of its key."""
    item = item_of(setting.hint)
    if item is not None:
        return is_scalar(item)
    return is_scalar(setting.hint) or value is None


def _leaf(setting: Setting, value: Any) -> Any:
    """Plain values only; a secret that is set is masked."""
    if setting.about.secret and value is not None:
        return MASK
    item = item_of(setting.hint)
    if setting.about.command:
        return value if value is None else masked(value)
    if item is not None:
        return [written(item, setting.about, each) for each in value]
    if not is_scalar(setting.hint):
        return False  # a section that is switched off
    return written(setting.hint, setting.about, value)


def _source(setting: Setting, path: Path, sources: Sources) -> str:
    default = "derived" if setting.about.derived else "default"
    return sources.get(path, default)


def _flow(value: Any) -> str:
    text: str = yaml.safe_dump(value, default_flow_style=True, width=10_000, allow_unicode=True)
    return text.removesuffix("\n").removesuffix("\n...")
