"""The node tree of a config.yaml -> the dataclasses of `model`, driven by their type hints.

Every problem is noted and none ends the work: a setting that is wrong is left at its default,
and since there is a problem, the incomplete result never leaves the room. A key without a
value, and a value that a variable left empty, count as not written. Depth is bounded by the
types; width by `MAX_VALUES`, since YAML aliases repeat a lot with few bytes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple, TypeVar, get_args, get_origin

import yaml

from multiproxy.config import units
from multiproxy.config.command import masked, words_of
from multiproxy.config.interpolate import Fault, Interpolation
from multiproxy.config.report import Path, Place, Report, TooManyProblems, quote, suggest
from multiproxy.config.scalar import is_scalar, value_of
from multiproxy.config.setting import About, Setting, settings_of
from multiproxy.config.tree import MERGE, NULL, Span, span_of

MAX_VALUES = 50_000  # keys and values; those repeated through aliases count each time
_MAX_MERGES = 8  # levels of `<<`

S = TypeVar("S")


class _Wrong(Exception):
    """The value cannot be bound; the problem is noted."""


class _NotWritten(Exception):
    """There is a key, but no value."""


class _Entry(NamedTuple):
    key: yaml.ScalarNode
    value: yaml.Node


class Binder:
    """One pass over one tree; results beside the config are ``report`` and ``secrets``.

    ``secrets`` are the (start, end) of texts in the source that must not be shown.
    """

    def __init__(self, source: str, interpolation: Interpolation) -> None:
        self.report = Report()
        self.secrets: set[tuple[int, int]] = set()
        self._source = source
        self._interpolation = interpolation
        self._values = 0

    def bind(self, section: type[S], root: yaml.Node) -> S:
        """The whole file.

        Raises:
            TooManyProblems: it is no use to look further; ``report`` has those found.
        """
        self.report.places[()] = Place(span_of(root))
        if not isinstance(root, yaml.MappingNode):
            known = ", ".join(settings_of(section))
            self._wrong(root, (), "the file must be settings, 'key: value'", f"one of: {known}")
            return self._build(section, {}, (), {})
        return self._section(section, root, (), {})

    # -- sections: mappings ------------------------------------------------------------------

    def _section(
        self, section: type[S], node: yaml.MappingNode, path: Path, given: Mapping[str, Any]
    ) -> S:
        """``given`` are settings that are written elsewhere: a model's name is its key."""
        entries = self._entries(node, path)
        known = [name for name in settings_of(section) if name not in given]
        for name, entry in entries.items():
            if name not in known:
                hint = suggest(name, known)
                self._wrong(entry.key, (*path, name), f"unknown setting {quote(name)}", hint)
        return self._build(section, entries, path, given)

    def _build(
        self, section: type[S], entries: Mapping[str, _Entry], path: Path, given: Mapping[str, Any]
    ) -> S:
        values = dict(given)
        for name, setting in settings_of(section).items():
            if name not in given:
                values[name] = self._setting(setting, entries.get(name), path)
        return section(**values)

    def _setting(self, setting: Setting, entry: _Entry | None, path: Path) -> Any:
        here = (*path, setting.name)
        default = setting.default
        if setting.required:  # only seen when there is a problem, or until `checks` derives it
            default = "" if setting.about.derived else None
        if entry is not None:
            try:
                return self._value(setting, entry.value, here)
            except _Wrong:
                return default
            except _NotWritten:
                del self.report.places[here]
        if setting.required and not setting.about.derived:
            self.report.blame(path, f"{quote(setting.name)} is required here", setting.about.doc)
        return default

    def _entries(self, node: yaml.MappingNode, path: Path, merges: int = 0) -> dict[str, _Entry]:
        """Key -> entry; what ``<<`` merges in comes last and never replaces."""
        entries: dict[str, _Entry] = {}
        merged: list[yaml.Node] = []
        for key, value in node.value:
            self._count(key)
            if key.tag == MERGE:
                merged.extend(value.value if isinstance(value, yaml.SequenceNode) else [value])
            elif not isinstance(key, yaml.ScalarNode):
                self._wrong(key, path, "a key must be text")
            elif key.value in entries:
                first = entries[key.value].key.start_mark.line + 1
                message = f"{quote(key.value)} is set twice (first on line {first})"
                self._wrong(key, (*path, key.value), message)
            else:
                entries[key.value] = _Entry(key, value)
        for source in merged:
            if not isinstance(source, yaml.MappingNode) or merges == _MAX_MERGES:
                self._wrong(source, path, "'<<' takes a section, or a list of them, to merge in")
                continue
            for name, entry in self._entries(source, path, merges + 1).items():
                entries.setdefault(name, entry)
        return entries

    # -- values, by type ---------------------------------------------------------------------

    def _value(self, setting: Setting, node: yaml.Node, path: Path) -> Any:
        """Raises _Wrong, _NotWritten, TooManyProblems."""
        self._count(node)
        text = node.value if isinstance(node, yaml.ScalarNode) else ""
        self.report.places[path] = Place(span_of(node), text)
        if setting.about.secret:
            self._hide(node)
        if node.tag == NULL:
            raise _NotWritten
        if is_scalar(setting.hint):
            return self._scalar(setting, node, path)
        if get_origin(setting.hint) is not tuple:
            return self._one_section(setting, node, path)
        if setting.about.keyed_by is not None:
            return self._keyed(setting, setting.about.keyed_by, node, path)
        return self._list(setting, node, path)

    def _scalar(self, setting: Setting, node: yaml.Node, path: Path) -> Any:
        if not isinstance(node, yaml.ScalarNode):
            raise self._wrong(node, path, f"{_name(path)} must be a single value")
        text = self._text(node, path, setting.about.later)
        try:
            return value_of(setting.hint, setting.about, text, node.value)
        except units.Malformed as problem:
            message = f"{_name(path)} {problem.reason}"
            raise self._wrong(node, path, message, problem.hint) from None

    def _one_section(self, setting: Setting, node: yaml.Node, path: Path) -> Any:
        section, about = setting.hint, setting.about
        if isinstance(node, yaml.MappingNode):
            return self._section(section, node, path, {})
        if isinstance(node, yaml.ScalarNode):
            text = self._text(node, path)
            if setting.optional and text.lower() in units.FLAGS:
                if units.flag(text):
                    return self._build(section, {}, path, {})
                del self.report.places[path]
                return None
            if about.text_is is not None:
                inner = settings_of(section)[about.text_is]
                value = self._value(inner, node, (*path, inner.name))
                return self._build(section, {}, path, {inner.name: value})
        hint = suggest("", settings_of(section))
        raise self._wrong(node, path, f"{_name(path)} must be a section of settings", hint)

    def _list(self, setting: Setting, node: yaml.Node, path: Path) -> tuple[Any, ...]:
        """Wrong items stay in as empty ones, so that positions mean what they mean in the file."""
        if setting.about.command and isinstance(node, yaml.ScalarNode):
            return self._words(setting, node, path)
        if not isinstance(node, yaml.SequenceNode):
            hint = "[a, b], or one line '- a' for each"
            raise self._wrong(node, path, f"{_name(path)} must be a list", hint)
        (hint, _) = get_args(setting.hint)
        item = replace(setting, hint=hint, optional=False)
        values: list[Any] = []
        for index, child in enumerate(node.value):
            here = (*path, index)
            try:
                values.append(self._value(item, child, here))
                continue
            except _NotWritten:
                self._wrong(child, here, f"{_name(here)} is empty")
            except _Wrong:
                pass
            values.append("" if is_scalar(hint) else self._build(hint, {}, here, {}))
        if setting.about.command:
            self._hide_command(node, values)
        return tuple(values)

    def _words(self, setting: Setting, node: yaml.ScalarNode, path: Path) -> tuple[str, ...]:
        """A command in one text. It is split first: what a variable holds stays one word."""
        try:
            written = words_of(node.value)
        except ValueError:
            hint = "a list, [program, --option, value], needs no quotes"
            raise self._wrong(node, path, f"{_name(path)} has a quote without end", hint) from None
        words = []
        for word in written:
            text, faults = self._interpolation.apply(word, setting.about.later)
            self._blame(faults, node, path)
            if text or not word:  # an empty variable is no argument, as in a shell
                words.append(text)
        self._hide_command(node, words)
        return tuple(words)

    def _keyed(self, setting: Setting, key: str, node: yaml.Node, path: Path) -> tuple[Any, ...]:
        """A mapping whose keys are a setting of the sections: ``models: {NAME: {...}}``."""
        if not isinstance(node, yaml.MappingNode):
            hint = f"one '{key}: ...' for each"
            raise self._wrong(node, path, f"{_name(path)} must be a section", hint)
        (section, _) = get_args(setting.hint)
        about = settings_of(section)[key].about
        values: list[Any] = []
        for name, entry in self._entries(node, path).items():
            here = (*path, name)
            try:
                value_of(str, about, name, name)
            except units.Malformed as problem:
                hint = "variables are read in values, not in keys" if "${" in name else problem.hint
                self._wrong(entry.key, here, f"{key} {quote(name)} {problem.reason}", hint)
            self.report.places[here] = Place(span_of(entry.key), name)
            values.append(self._keyed_one(section, setting.about, {key: name}, entry.value, here))
        return tuple(values)

    def _keyed_one(
        self, section: type[S], about: About, given: dict[str, Any], node: yaml.Node, path: Path
    ) -> S:
        self._count(node)
        if isinstance(node, yaml.MappingNode):
            return self._section(section, node, path, given)
        if isinstance(node, yaml.SequenceNode) and about.list_is is not None:
            inner = settings_of(section)[about.list_is]
            given[inner.name] = self._value(inner, node, (*path, inner.name))
        elif about.text_is is not None and isinstance(node, yaml.ScalarNode):
            inner = settings_of(section)[about.text_is]
            try:
                given[inner.name] = self._value(inner, node, (*path, inner.name))
            except _NotWritten:
                del self.report.places[(*path, inner.name)]
        elif node.tag != NULL:
            hint = f"[a, b] for its {about.list_is}, or settings" if about.list_is else ""
            self._wrong(node, path, f"{_name(path)} must be a list or a section", hint)
        return self._build(section, {}, path, given)

    # -- texts -------------------------------------------------------------------------------

    def _text(self, node: yaml.ScalarNode, path: Path, later: tuple[str, ...] = ()) -> str:
        """The text after interpolation. Raises _Wrong, _NotWritten."""
        text, faults = self._interpolation.apply(node.value, later)
        self._blame(faults, node, path)
        if not text:
            raise _NotWritten
        return text

    def _blame(self, faults: Sequence[Fault], node: yaml.ScalarNode, path: Path) -> None:
        """Raises _Wrong if there are any."""
        for fault in faults:
            span = self._inside(node, fault.expression)
            self.report.add(span, path, fault.message, fault.hint)
        if faults:
            raise _Wrong

    def _inside(self, node: yaml.ScalarNode, part: str) -> Span:
        """Where a part of a scalar is, if it stands there literally on the first line."""
        span, start = span_of(node), node.start_mark.index
        first_line = self._source[start : node.end_mark.index].partition("\n")[0]
        at = first_line.find(part)
        if at < 0:
            return span
        column = span.column + at
        return Span(span.line, column, span.line, column + len(part))

    def _hide(self, node: yaml.Node) -> None:
        start, end = node.start_mark.index, node.end_mark.index
        if "${" not in self._source[start:end]:
            self.secrets.add((start, end))

    def _hide_command(self, node: yaml.Node, words: list[str]) -> None:
        """The whole of it, if any word of it is secret."""
        if masked(words) != words:
            self.secrets.add((node.start_mark.index, node.end_mark.index))

    # -- problems ----------------------------------------------------------------------------

    def _wrong(self, node: yaml.Node, path: Path, message: str, hint: str = "") -> _Wrong:
        self.report.add(span_of(node), path, message, hint)
        return _Wrong()

    def _count(self, node: yaml.Node) -> None:
        self._values += 1
        if self._values > MAX_VALUES:
            self.report.add(span_of(node), (), f"more than {MAX_VALUES} values: too many")
            raise TooManyProblems


def _name(path: Path) -> str:
    """What a message calls the setting: its key, or the list it is an entry of."""
    if isinstance(path[-1], int):
        return f"an entry of {quote(str(path[-2]))[1:-1]}"
    return quote(path[-1])[1:-1]
