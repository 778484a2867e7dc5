"""``${VAR}``, ``${VAR:-default}`` and ``${file:/path}`` in a text that YAML has already read.

It works on parsed texts only, once and without nesting, so a variable's value can never add
a setting or ask for another variable. ``$${`` is a literal ``${``; any other ``$`` is itself.
"""

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

_EXPRESSION = re.compile(r"\$\$\{|\$\{([^{}]*)\}|\$\{")
_VARIABLE = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)(:-(.*))?", re.ASCII | re.DOTALL)

ReadFile = Callable[[str], str]
"""Path -> text. Raises OSError, or ValueError when it is too large or not UTF-8."""


@dataclass(frozen=True, slots=True)
class Fault:
    """Why an expression has no value; it names the variable or file, never a value."""

    expression: str
    message: str
    hint: str = ""


class _NoValue(Exception):
    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class Interpolation:
    """Where values come from: the environment and files, both given by the caller."""

    def __init__(self, environ: Mapping[str, str], read_file: ReadFile) -> None:
        self._environ = environ
        self._read_file = read_file

    def apply(self, text: str, later: Collection[str] = ()) -> tuple[str, list[Fault]]:
        """The text with every expression replaced, and those that could not be.

        Expressions in ``later`` stay: somebody else has their values.
        """
        faults: list[Fault] = []

        def value_of(match: re.Match[str]) -> str:
            if match[0] in later:
                return match[0]
            if match[0] == "$${":
                return "${"
            try:
                return self._value(match[1])
            except _NoValue as problem:
                faults.append(Fault(match[0], problem.message, problem.hint))
                return ""

        return _EXPRESSION.sub(value_of, text), faults

    def _value(self, expression: str | None) -> str:
        if expression is None:
            raise _NoValue("'${' has no '}'", "write $${ for a literal ${")
        if expression.startswith("file:"):
            return self._file(expression.removeprefix("file:"))
        match = _VARIABLE.fullmatch(expression)
        if match is None:
            raise _NoValue(
                "'${...}' must be ${NAME}, ${NAME:-default} or ${file:/path}",
                "write $${ for a literal ${",
            )
        return self._variable(match[1], match[3])

    def _variable(self, name: str, default: str | None) -> str:
        value = self._environ.get(name)
        if not value and default is not None:
            return default
        if value is None:
            raise _NoValue(
                f"environment variable {name} is not set", f"or write ${{{name}:-default}}"
            )
        if not value:  # an empty key by accident should not pass for "no key wanted"
            raise _NoValue(
                f"environment variable {name} is empty", f"write ${{{name}:-}} if that is meant"
            )
        # os.environ smuggles undecodable bytes in as surrogates.
        if any("\ud800" <= char <= "\udfff" for char in value):
            raise _NoValue(f"environment variable {name} is not UTF-8 text")
        return value

    def _file(self, path: str) -> str:
        try:
            content = self._read_file(path)
        except OSError as problem:
            reason = problem.strerror or type(problem).__name__
            raise _NoValue(f"cannot read file '{path}': {reason}") from None
        except ValueError as problem:
            raise _NoValue(f"cannot read file '{path}': {problem}") from None
        content = content.removesuffix("\n").removesuffix("\r")
        if not content:
            raise _NoValue(f"file '{path}' is empty")
        return content
