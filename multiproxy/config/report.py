"""What the binder has seen: where each setting is written, and every problem so far."""

import difflib
from collections.abc import Iterable
from dataclasses import dataclass

from multiproxy.config.problems import Problem
from multiproxy.config.tree import Span

MAX_PROBLEMS = 100  # a file of another program has thousands; nobody reads them
_MAX_SHOWN = 60  # characters of a name from the file in a message

Path = tuple[str | int, ...]
"""``("backends", 0, "slots")``: keys, and positions in lists."""


class TooManyProblems(Exception):
    """There is no use in looking further."""


@dataclass(frozen=True, slots=True)
class Place:
    """One setting as it is written; ``text`` is before interpolation, so it may be shown."""

    span: Span
    text: str = ""


class Report:
    """Problems by position, and the places that later checks point at."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []
        self.places: dict[Path, Place] = {}

    def add(self, span: Span, path: Path, message: str, hint: str = "") -> None:
        """Note a problem; the same one twice (through a YAML alias) counts once.

        Raises:
            TooManyProblems: this was the last one worth noting.
        """
        problem = span.problem(message, hint, ".".join(map(str, path)))
        known = ((found.line, found.column, found.message) for found in self.problems)
        if (problem.line, problem.column, problem.message) not in known:
            self.problems.append(problem)
        if len(self.problems) >= MAX_PROBLEMS:
            raise TooManyProblems

    def blame(self, path: Path, message: str, hint: str = "") -> None:
        """Note a problem of a setting that is written in the file, or of what holds it."""
        place = path
        while place not in self.places and place:
            place = place[:-1]
        span = self.places[place].span if place in self.places else Span(0, 0, 0, 0)
        self.add(span, path, message, hint)

    def text(self, path: Path) -> str:
        """A setting as it is written, quoted; never what a variable in it stands for."""
        return quote(self.places[path].text)

    def line(self, path: Path) -> int:
        return self.places[path].span.line + 1


def quote(name: str) -> str:
    """A name from the file for use in a message: short, printable, in quotes."""
    shown = name if len(name) <= _MAX_SHOWN else f"{name[:_MAX_SHOWN]}…"
    if not shown.isprintable():
        shown = ascii(shown)[1:-1]
    return f"'{shown}'"


def suggest(name: str, known: Iterable[str], *, what: str = "one of") -> str:
    """``did you mean 'slots'?``, or all there are when nothing is near."""
    known = list(known)
    # The cut bounds the cost: comparing is quadratic in the length.
    near = difflib.get_close_matches(name[:200], known, 1, 0.6)
    if near:
        return f"did you mean {quote(near[0])}?"
    shown = ", ".join(known[:20]) + (", ..." if len(known) > 20 else "")
    return f"{what}: {shown}" if known else ""
