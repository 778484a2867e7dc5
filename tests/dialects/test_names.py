"""Tool names that Chat allows, and their way back."""

import re

from hypothesis import given
from hypothesis import strategies as st

from multiproxy.dialects.names import NameMap, ToolName

ALLOWED = re.compile(r"[A-Za-z0-9_-]{1,64}\Z")


def test_a_name_that_chat_allows_is_kept() -> None:
    names = NameMap()
    assert names.add("get_weather") == "get_weather"
    assert names.original("get_weather") == ToolName("get_weather")


def test_a_long_name_is_cut_and_told_apart_by_a_hash() -> None:
    names = NameMap()
    first, second = names.add("a" * 70), names.add("a" * 71)
    assert first != second and len(first) == len(second) == 64
    assert first.startswith("a" * 55 + "_")
    assert names.original(second).name == "a" * 71


def test_names_that_collide_after_cleaning_differ() -> None:
    names = NameMap()
    assert names.add("a.b") == "a_b"
    other = names.add("a b")
    assert other != "a_b" and names.original(other).name == "a b"
    assert names.add("a.b") == "a_b"


def test_a_namespace_is_flattened_and_comes_back() -> None:
    names = NameMap()
    assert names.add("a", "mcp__x") == "mcp__x__a"
    assert names.add("b", "mcp__y__") == "mcp__y__b"
    assert names.original("mcp__x__a") == ToolName("a", "mcp__x")


def test_a_bare_name_counts_if_it_can_mean_one_member_only() -> None:
    names = NameMap()
    names.add("a", "x")
    names.add("a", "y")
    names.add("b", "x")
    names.add("c")
    names.add("c", "x")
    assert names.original("b") == ToolName("b", "x")
    assert names.original("a") == ToolName("a")
    assert names.original("c") == ToolName("c")
    assert names.original("unknown") == ToolName("unknown")


def test_a_call_of_a_tool_that_is_gone_still_has_a_name() -> None:
    assert NameMap().chat_name("a.b") == "a_b"
    assert len(NameMap().chat_name("a" * 200)) == 64


@given(st.lists(st.text(min_size=1, max_size=80), unique=True, max_size=12))
def test_every_name_is_allowed_unique_and_comes_back(originals: list[str]) -> None:
    names, again = NameMap(), NameMap()
    chat_names = [names.add(original) for original in originals]
    assert all(ALLOWED.match(name) for name in chat_names)
    assert len(set(chat_names)) == len(originals)
    assert [names.original(name).name for name in chat_names] == originals
    assert [again.add(original) for original in originals] == chat_names
