"""Some JSON value that satisfies a simple JSON schema."""

import random
from typing import Any

_SCALARS: dict[str, Any] = {
    "string": "word",
    "integer": 7,
    "number": 1.5,
    "boolean": True,
    "null": None,
}


def value_for(schema: Any, chance: random.Random, depth: int = 0) -> Any:
    """Return a value for ``schema``; references and patterns are not followed."""
    if not isinstance(schema, dict) or depth > 16:
        return {}
    if "const" in schema:
        return schema["const"]
    if schema.get("enum"):
        return chance.choice(schema["enum"])
    for key in ("anyOf", "oneOf", "allOf"):
        if schema.get(key):
            return value_for(schema[key][0], chance, depth + 1)
    kind = schema.get("type")
    if isinstance(kind, list):
        kind = kind[0] if kind else None
    if kind == "array":
        count = max(1, int(schema.get("minItems", 1)))
        return [value_for(schema.get("items", {}), chance, depth + 1) for _ in range(count)]
    if kind in _SCALARS:
        return _scalar(kind, schema)
    properties = schema.get("properties")
    names = properties if isinstance(properties, dict) else {}
    return {name: value_for(inner, chance, depth + 1) for name, inner in names.items()}


def _scalar(kind: str, schema: dict[str, Any]) -> Any:
    if kind in ("integer", "number") and "minimum" in schema:
        return schema["minimum"]
    if kind == "string":
        text = "word" * (-(-int(schema.get("minLength", 1)) // 4) or 1)
        return text[: int(schema.get("maxLength", len(text)))]
    return _SCALARS[kind]
