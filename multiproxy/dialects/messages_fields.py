"""Typed access to the members of a Messages request, with Anthropic's words for mistakes."""

from typing import Any, TypeGuard

from multiproxy.dialects.responses_fields import Fields
from multiproxy.errors import InvalidRequest


class MessagesFields(Fields):
    """The members of a request or of a part of it; ``where`` is the path of that part.

    Raises:
        InvalidRequest: a member has another type than its method says (any method).
    """

    @staticmethod
    def missing(key: str) -> InvalidRequest:
        return InvalidRequest("Field required", param=key, code="missing_required_parameter")

    @staticmethod
    def _wrong(key: str, name: str) -> InvalidRequest:
        return wrong_type(key, name)


def wrong_type(where: str, expected: str) -> InvalidRequest:
    return InvalidRequest(f"Input should be {expected}", param=where, code="invalid_type")


def object_at(value: object, where: str) -> dict[str, Any]:
    """``value`` if it is an object.

    Raises:
        InvalidRequest: it is not.
    """
    if not isinstance(value, dict):
        raise wrong_type(where, "an object")
    return value


def string_at(block: dict[str, Any], key: str, where: str) -> str:
    """A required string of a block.

    Raises:
        InvalidRequest: it is missing or no string.
    """
    value = block.get(key)
    if not isinstance(value, str):
        raise wrong_type(f"{where}.{key}", "a string")
    return value


def is_text(block: object) -> TypeGuard[dict[str, Any]]:
    """Whether this is a well-formed text block."""
    return (
        isinstance(block, dict)
        and block.get("type") == "text"
        and isinstance(block.get("text"), str)
    )
