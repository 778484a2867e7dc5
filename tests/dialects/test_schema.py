"""Schemas without what a grammar cannot hold."""

from typing import Any

from multiproxy.dialects.schema import RefusedTools, sanitised_tools


def tool(parameters: Any, name: str = "f") -> dict[str, Any]:
    return {"type": "function", "function": {"name": name, "parameters": parameters}}


def sanitised(parameters: dict[str, Any]) -> Any:
    (out,) = sanitised_tools([tool(parameters)])
    return out["function"]["parameters"]


def test_patterns_formats_conditions_and_large_bounds_are_removed_everywhere() -> None:
    leaf = {"type": "string", "pattern": "\\d+", "format": "date", "maxLength": 5000}
    schema = {
        "$schema": "x",
        "properties": {"pattern": leaf, "n": {"items": leaf, "maxItems": 10}},
        "anyOf": [leaf],
        "additionalProperties": leaf,
        "if": leaf,
        "enum": [{"pattern": "kept"}],
    }
    bare = {"type": "string"}
    assert sanitised(schema) == {
        "properties": {"pattern": bare, "n": {"items": bare, "maxItems": 10}},
        "anyOf": [bare],
        "additionalProperties": bare,
        "enum": [{"pattern": "kept"}],
    }


def test_only_references_that_resolve_are_kept() -> None:
    schema = {
        "$defs": {"a/b": {"type": "string"}},
        "properties": {
            "ok": {"$ref": "#/$defs/a~1b"},
            "self": {"$ref": "#"},
            "gone": {"$ref": "#/$defs/c", "title": "t"},
            "away": {"$ref": "https://example.com/x"},
        },
    }
    assert sanitised(schema)["properties"] == {
        "ok": {"$ref": "#/$defs/a~1b"},
        "self": {"$ref": "#"},
        "gone": {"title": "t"},
        "away": {},
    }


def test_a_schema_too_deep_to_walk_accepts_anything_there() -> None:
    schema: dict[str, Any] = {"type": "string"}
    for _ in range(900):
        schema = {"items": schema}
    deep = sanitised(schema)
    for _ in range(101):
        deep = deep["items"]
    assert deep == {}


def test_what_is_no_schema_is_left_alone() -> None:
    odd = [tool(None), tool([1]), {"type": "x"}, {"function": 5}]
    assert sanitised_tools(odd) == odd
    assert sanitised({"properties": {"a": True}, "items": [1]}) == {
        "properties": {"a": True},
        "items": [1],
    }


def test_refused_tools_are_remembered_up_to_a_bound() -> None:
    refused = RefusedTools(max_lists=2)
    assert [tool({}, "a")] not in refused
    for name in "abc":
        refused.add([tool({}, name)])
    assert [tool({}, "a")] not in refused
    assert [tool({}, "b")] in refused and [tool({}, "c")] in refused
