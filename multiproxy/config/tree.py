"""YAML text -> PyYAML's node tree, which knows the line and column of every key and value.

Nodes rather than ``yaml.safe_load``: that drops positions, hides duplicate keys and turns
``no``, ``010`` and ``1:30`` into things nobody wrote. Types are decided by the config's own
type hints, so no tag is ever needed and every tag is refused.
"""

import re
from typing import Any, NamedTuple

import yaml
from yaml.composer import ComposerError

from multiproxy.config.problems import Problem

MAX_DEPTH = 32  # PyYAML recurses once per level; the config itself has 5
NULL = "tag:yaml.org,2002:null"
MERGE = "tag:yaml.org,2002:merge"

# What PyYAML says -> what usually helps; the first that matches.
_HINTS = (
    (r"'\\t'", "indent with spaces: YAML does not allow tabs"),
    (r"found character '[@`%]'", "put the text in quotes"),
    (r"undefined alias|scanning an alias", "a text that starts with * needs quotes"),
    (r"mapping values", "check the indentation; a text with ': ' in it needs quotes"),
    (r"expected <block end>", "check the indentation: the keys of one section line up"),
    (r"could not find expected ':'", "a key needs ': ' after it"),
    (r"end of stream|stream end", "a quote or bracket is not closed"),
)


class Span(NamedTuple):
    """Where something is written. All count from 0, in characters; the end is exclusive."""

    line: int
    column: int
    end_line: int
    end_column: int

    def problem(self, message: str, hint: str = "", path: str = "") -> Problem:
        return Problem(
            self.line + 1,
            self.column + 1,
            message,
            hint,
            path,
            self.end_line + 1,
            self.end_column + 1,
        )


def span_of(node: yaml.Node) -> Span:
    start, end = node.start_mark, node.end_mark
    return Span(start.line, start.column, end.line, end.column)


def compose(text: str) -> tuple[yaml.Node | None, list[Problem]]:
    """The tree of the one document in ``text``, None when empty or not YAML.

    When there is no tree, the problem says why; refused tags are problems beside a tree.
    """
    try:
        loader = _Loader(text)
    except yaml.reader.ReaderError as error:
        return None, [_unreadable(text, error)]
    try:
        return loader.get_single_node(), loader.refused
    except yaml.MarkedYAMLError as error:
        return None, [_malformed(error)]
    except (ValueError, OverflowError):  # of int() and chr(): `%YAML 9...9`, "\UFFFFFFFF"
        mark = loader.get_mark()
        return None, [Problem(mark.line + 1, mark.column + 1, "not YAML: a number is too large")]
    finally:
        loader.dispose()


class _Loader(yaml.SafeLoader):
    """A composer that bounds nesting and refuses what the config has no use for."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.refused: list[Problem] = []
        self._depth = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        event: Any = self.peek_event()  # type: ignore[no-untyped-call]
        if self._depth == MAX_DEPTH:
            message = f"nested more than {MAX_DEPTH} levels deep"
            raise ComposerError(None, None, message, event.start_mark)
        self._depth += 1
        node = super().compose_node(parent, index)
        self._depth -= 1
        if node is not None and getattr(event, "tag", None) is not None:
            self.refused.append(
                span_of(node).problem("YAML tags (!...) are not used here", "leave the tag off")
            )
        if re.search("[\ud800-\udfff]", getattr(event, "value", "")):
            message = "an escape that is half a character"
            raise ComposerError(None, None, message, event.start_mark)
        return node


def _malformed(error: yaml.MarkedYAMLError) -> Problem:
    message = ": ".join(part for part in (error.context, error.problem) if part)
    hint = next((hint for pattern, hint in _HINTS if re.search(pattern, message)), "")
    mark = error.problem_mark or error.context_mark
    if error.context_mark and mark and error.context_mark.line < mark.line:
        hint = f"{hint} (it began on line {error.context_mark.line + 1})".lstrip()
    if mark is None:
        return Problem(0, 0, f"not YAML: {message}", hint)
    return Span(mark.line, mark.column, mark.line, mark.column + 1).problem(
        f"not YAML: {message}", hint
    )


def _unreadable(text: str, error: yaml.reader.ReaderError) -> Problem:
    """A character that YAML allows nowhere, such as NUL or an escape code of a terminal."""
    before = text[: error.position]
    column = error.position - (before.rfind("\n") + 1)
    line = before.count("\n")
    return Span(line, column, line, column + 1).problem(
        f"not YAML: the character U+{ord(text[error.position]):04X} is not allowed"
    )
