"""Where the arguments of a call end, and what becomes of bad ones."""

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from multiproxy.dialects.arguments import (
    ObjectScanner,
    parse_arguments,
    sanitised_arguments,
    sanitised_history,
)

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=12,
)


@given(st.dictionaries(st.text(), JSON), st.lists(st.integers(1, 9)), st.text())
def test_an_object_ends_at_its_last_brace_however_it_is_cut(
    value: dict[str, object], sizes: list[int], behind: str
) -> None:
    text = orjson.dumps(value).decode()
    scanner, taken, rest = ObjectScanner(), "", " \n" + text + behind
    for size in [*sizes, len(rest)]:
        piece, rest = rest[:size], rest[size:]
        taken += piece[: scanner.feed(piece)]
        assert scanner.is_complete == (taken.strip() == text)
    assert taken == " \n" + text


@pytest.mark.parametrize("text", ["[1]", '"a"', "1 {}", '{"a": "}', '{"a": "\\"}'])
def test_what_is_no_object_or_not_closed_has_no_end(text: str) -> None:
    scanner = ObjectScanner()
    assert scanner.feed(text) == len(text) and not scanner.is_complete
    assert scanner.feed("more") == 4


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ('{"cmd": ', '{"__unparsed_arguments":"{\\"cmd\\": "}'),
        ("", "{}"),
        (" \n", "{}"),
        (None, "{}"),
        ("[1]", '{"__unparsed_arguments":"[1]"}'),
        ([1], '{"__unparsed_arguments":"[1]"}'),
        ({"a": 1}, '{"a":1}'),
        ('{ "a" :  1 }', '{ "a" :  1 }'),
    ],
)
def test_history_arguments_always_hold_an_object(value: object, text: str) -> None:
    assert sanitised_arguments(value) == text


def spoken(arguments: object) -> dict[str, object]:
    function = {"name": "f", "arguments": arguments}
    return {"role": "assistant", "tool_calls": [{"id": "c0", "function": function}, 5]}


def test_a_chat_clients_history_is_changed_only_where_it_must_be() -> None:
    fine: list[object] = [{"role": "user", "content": "hi"}, spoken('{"a": 1}'), None, "x"]
    assert sanitised_history(fine) is None
    assert sanitised_history("x") is None is sanitised_history([])
    before = [*fine, spoken('{"cmd": ')]
    after = sanitised_history(before)
    assert after == [*fine, spoken('{"__unparsed_arguments":"{\\"cmd\\": "}')]
    assert before[-1] == spoken('{"cmd": ')
    assert sanitised_history([spoken(None)]) == [spoken("{}")]


@pytest.mark.parametrize(
    ("raw", "value"),
    [
        ("", {}),
        ('{"a":1}', {"a": 1}),
        ("[1]", {"__unparsed_arguments": "[1]"}),
        ('{"a"', {"__unparsed_arguments": '{"a"'}),
    ],
)
def test_a_clients_arguments_are_always_an_object(raw: str, value: object) -> None:
    assert parse_arguments(raw) == value
