"""Typed access to the top-level members of a Responses request; null counts as absent."""

from collections.abc import Mapping
from typing import Any, TypeVar

from multiproxy.errors import InvalidRequest

T = TypeVar("T")


class Fields:
    """The members of ``body``.

    Raises:
        InvalidRequest: a member has another type than its method says (any method).
    """

    def __init__(self, body: Mapping[str, Any]) -> None:
        self.body = body

    def string(self, key: str) -> str | None:
        return self._typed(key, str, "a string")

    def boolean(self, key: str) -> bool | None:
        return self._typed(key, bool, "a boolean")

    def items(self, key: str) -> list[Any] | None:
        return self._typed(key, list, "a list")

    def members(self, key: str) -> dict[str, Any] | None:
        return self._typed(key, dict, "an object")

    def integer(self, key: str) -> int | None:
        if isinstance(self.body.get(key), bool):
            raise self._wrong(key, "an integer")
        return self._typed(key, int, "an integer")

    def number(self, key: str) -> int | float | None:
        value = self.body.get(key)
        if value is not None and (isinstance(value, bool) or not isinstance(value, int | float)):
            raise self._wrong(key, "a number")
        return value

    @staticmethod
    def missing(key: str) -> InvalidRequest:
        return InvalidRequest(
            f"Missing required parameter: '{key}'.", param=key, code="missing_required_parameter"
        )

    def _typed(self, key: str, kind: type[T], name: str) -> T | None:
        value = self.body.get(key)
        if value is not None and not isinstance(value, kind):
            raise self._wrong(key, name)
        return value

    @staticmethod
    def _wrong(key: str, name: str) -> InvalidRequest:
        return InvalidRequest(
            f"Invalid type for '{key}': expected {name}.", param=key, code="invalid_type"
        )
