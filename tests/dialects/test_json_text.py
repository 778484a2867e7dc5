"""JSON that other people wrote."""

import json

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from multiproxy.dialects.json_text import MAX_DEPTH, loads

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


@given(VALUES)
def test_ordinary_json_is_read_as_ever(value: object) -> None:
    assert loads(orjson.dumps(value)) == value
    assert loads(b"\xef\xbb\xbf" + orjson.dumps(value)) == value


@given(VALUES)
def test_a_lone_surrogate_changes_nothing_else(value: object) -> None:
    text = f'[{json.dumps(value)}, "\\ud83d?"]'
    assert loads(text.encode()) == [value, "\ufffd?"]


def nested(depth: int, leaf: bytes = b"1") -> bytes:
    return b"[" * depth + leaf + b"]" * depth


@pytest.mark.parametrize("leaf", [b"1", b'"\\ud83d"'])
def test_what_is_read_can_be_written_again(leaf: bytes) -> None:
    assert orjson.dumps({"a": {"b": {"c": loads(nested(MAX_DEPTH, leaf))}}})
    for depth in (MAX_DEPTH + 1, 300, 1000, 2000, 200_000):
        with pytest.raises(ValueError):
            loads(nested(depth, leaf))
    with pytest.raises(ValueError):
        loads(b"[" * 200_000 + leaf)


def test_much_that_is_not_deep_is_fine() -> None:
    assert loads(b"[" + nested(100) + b",[]" * 1000 + b"]")


@pytest.mark.parametrize("text", [b"", b"{", b"NaN", b'["\\ud83d",NaN]', b'"\xff"', b'"\\ud8"'])
def test_what_is_no_json_raises_value_error(text: bytes) -> None:
    with pytest.raises(ValueError):
        loads(text)


def test_a_number_of_a_million_digits_is_read_in_no_time() -> None:
    with pytest.raises(ValueError):
        loads(b'["\\ud83d", NaN, ' + b"9" * 1_000_000 + b"]")
    assert loads(b'["\\ud83d", ' + b"9" * 300 + b"]") == ["\ufffd", float("9" * 300)]
