"""What is wrong with a config.yaml, where, and how it is shown to a person or a program."""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

MAX_WIDTH = 100  # cells of a source line that are shown; the rest is cut around the caret
_BEFORE = 40  # of them before the caret
_TAB = "    "
# The line ends of YAML 1.1: the parser's line numbers count these and no others.
_LINE_END = re.compile("\r\n|[\n\r\x85\u2028\u2029]")


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake. Lines and columns count from 1, in characters; line 0 is the file itself.

    ``path`` names the setting, ``backends.0.slots``. The span ends before ``end_column`` of
    ``end_line``. Neither ``message`` nor ``hint`` ever holds the value of a variable or a file.
    """

    line: int
    column: int
    message: str
    hint: str = ""
    path: str = ""
    end_line: int = 0
    end_column: int = 0


class ConfigError(Exception):
    """The config cannot be used; every problem that was found, in the order of the file.

    ``name`` is the file's name as the user knows it, ``source`` its text with secrets blanked
    out. ``str()`` is the rendered report.
    """

    def __init__(self, problems: Sequence[Problem], name: str, source: str = "") -> None:
        super().__init__(problems, name)
        self.problems = sorted(problems, key=lambda found: (found.line, found.column))
        self.name = name
        self.source = source

    def __str__(self) -> str:
        return render(self.problems, self.name, self.source)


def render(problems: Sequence[Problem], name: str, source: str = "") -> str:
    """The report for a terminal: a block with a caret for each problem, then their number."""
    lines = _LINE_END.split(source)
    blocks = [_block(problem, name, lines) for problem in problems]
    count = f"{len(problems)} problem{'' if len(problems) == 1 else 's'} in {name}"
    return "\n\n".join([*blocks, count])


def as_json(problems: Sequence[Problem]) -> list[dict[str, object]]:
    """The report for programs: line, column, path, message and hint of each problem."""
    return [
        {
            "line": problem.line,
            "column": problem.column,
            "path": problem.path,
            "message": problem.message,
            "hint": problem.hint,
        }
        for problem in problems
    ]


def _block(problem: Problem, name: str, lines: Sequence[str]) -> str:
    if problem.line == 0:
        hint = f"\n   = {problem.hint}" if problem.hint else ""
        return f"error: {problem.message}\n --> {name}{hint}"
    line = lines[problem.line - 1] if problem.line <= len(lines) else ""
    shown, caret = _underlined(line, problem)
    hint = f" {problem.hint}" if problem.hint else ""
    margin = " " * len(str(problem.line))
    return "\n".join(
        [
            f"error: {problem.message}",
            f"{margin}--> {name}:{problem.line}:{problem.column}",
            f"{margin} |",
            f"{problem.line} | {shown}".rstrip(),
            f"{margin} | {caret}{hint}",
        ]
    )


def _underlined(line: str, problem: Problem) -> tuple[str, str]:
    """The source line and the carets below it, both cut to `MAX_WIDTH` cells."""
    start = problem.column - 1
    end = problem.end_column - 1 if problem.end_line == problem.line else len(line.rstrip())
    window = slice(0, len(line))
    if len(line) > MAX_WIDTH:
        first = max(0, min(start - _BEFORE, len(line) - MAX_WIDTH))
        window = slice(first, first + MAX_WIDTH)
    before = _cells(line[window.start : start])
    under = _cells(line[start : min(end, window.stop)])
    shown = _cells(line[window])
    if window.start > 0:
        shown, before = f"…{shown}", f"…{before}"
    if window.stop < len(line):
        shown = f"{shown}…"
    return shown, " " * _width(before) + "^" * max(1, _width(under))


def _cells(text: str) -> str:
    """The text with tabs and control characters replaced by what a terminal shows safely."""
    text = text.replace("\t", _TAB)
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text)


def _width(text: str) -> int:
    """How many terminal cells the text takes: wide characters two, combining ones none."""
    return sum(
        0 if unicodedata.combining(char) else 2 if unicodedata.east_asian_width(char) in "WF" else 1
        for char in text
    )
