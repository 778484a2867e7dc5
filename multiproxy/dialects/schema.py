"""Tool schemas that llama-server can compile to a grammar.

It refuses regular expressions with classes, patterns without anchors and more
(llama.cpp#27580) and answers 400 to the whole request. A request that was refused for its
schemas is sent once more with the schemas of this room.
"""

from collections import OrderedDict
from collections.abc import Mapping
from hashlib import blake2b
from typing import Any

import orjson

_DROPPED = frozenset(
    (
        "$schema",
        "contentEncoding",
        "else",
        "format",
        "if",
        "pattern",
        "patternProperties",
        "propertyNames",
        "then",
    )
)
_BOUNDS = frozenset(
    (
        "exclusiveMaximum",
        "exclusiveMinimum",
        "maxItems",
        "maxLength",
        "maxProperties",
        "maximum",
        "minItems",
        "minLength",
        "minProperties",
        "minimum",
    )
)
_MAX_BOUND = 2000
_MAX_DEPTH = 100  # deeper schemas accept anything there
_SCHEMAS_BY_NAME = frozenset(("$defs", "definitions", "dependentSchemas", "properties"))
_SCHEMA_LISTS = frozenset(("allOf", "anyOf", "oneOf", "prefixItems"))
_SCHEMA = frozenset(("additionalProperties", "contains", "items", "not", "unevaluatedItems"))


def sanitised_tools(tools: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Chat tools with schemas that need no more than the grammar compiler knows."""
    return [_sanitised_tool(tool) for tool in tools]


def tools_digest(tools: list[dict[str, Any]]) -> bytes:
    """What tells one list of tools from another, in 16 bytes."""
    return blake2b(orjson.dumps(tools), digest_size=16).digest()


class RefusedTools:
    """The tool lists that a backend refused lately: sanitise them before they are sent."""

    def __init__(self, max_lists: int = 256) -> None:
        self._max_lists = max_lists
        self._digests: OrderedDict[bytes, None] = OrderedDict()

    def add(self, tools: list[dict[str, Any]]) -> None:
        digest = tools_digest(tools)
        self._digests[digest] = None
        self._digests.move_to_end(digest)
        if len(self._digests) > self._max_lists:
            self._digests.popitem(last=False)

    def __contains__(self, tools: list[dict[str, Any]]) -> bool:
        return bool(self._digests) and tools_digest(tools) in self._digests


def _sanitised_tool(tool: dict[str, Any]) -> dict[str, Any]:
    function = tool.get("function")
    if not isinstance(function, dict) or not isinstance(function.get("parameters"), dict):
        return tool
    parameters = function["parameters"]
    return {**tool, "function": {**function, "parameters": _walk(parameters, parameters, 0)}}


def _walk(schema: Any, root: Mapping[str, Any], depth: int) -> Any:
    if not isinstance(schema, dict):
        return schema  # true, false
    if depth > _MAX_DEPTH:
        return {}
    out: dict[str, Any] = {}
    for key, value in schema.items():
        if key in _DROPPED or (key in _BOUNDS and _is_large(value)):
            continue
        if key == "$ref" and not _resolves(value, root):
            continue
        if key in _SCHEMAS_BY_NAME and isinstance(value, dict):
            value = {name: _walk(item, root, depth + 1) for name, item in value.items()}
        elif key in _SCHEMA_LISTS and isinstance(value, list):
            value = [_walk(item, root, depth + 1) for item in value]
        elif key in _SCHEMA and isinstance(value, dict):
            value = _walk(value, root, depth + 1)
        out[key] = value
    return out


def _is_large(value: object) -> bool:
    return isinstance(value, int | float) and abs(value) > _MAX_BOUND


def _resolves(reference: object, root: Mapping[str, Any]) -> bool:
    if not isinstance(reference, str) or not reference.startswith("#"):
        return False
    target: Any = root
    for token in reference[1:].split("/")[1:]:
        if not isinstance(target, dict):
            return False
        target = target.get(token.replace("~1", "/").replace("~0", "~"))
    return isinstance(target, dict | bool)
