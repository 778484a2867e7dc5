"""Raw tool input inside JSON, decoded while it comes."""

import json

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from multiproxy.dialects.freeform import FreeformInput, unwrapped

TEXT = st.text(st.characters(exclude_categories=["Cs"]))


@given(TEXT, st.booleans(), st.lists(st.integers(1, 7)))
def test_the_text_is_the_same_however_its_json_is_cut(
    text: str, is_ascii: bool, sizes: list[int]
) -> None:
    arguments = rest = ' { "input" : ' + json.dumps(text, ensure_ascii=is_ascii) + " } "
    freeform, out = FreeformInput(), ""
    for size in [*sizes, len(rest)]:
        piece, rest = rest[:size], rest[size:]
        out += freeform.feed(piece)
    assert out == text == freeform.decoded == unwrapped(arguments)


def test_characters_come_as_soon_as_they_can_be_known() -> None:
    freeform = FreeformInput()
    pieces = ['{"inp', 'ut":"a', "b\\", "n\\ud83", 'd\\ude42"}', "more"]
    assert [freeform.feed(piece) for piece in pieces] == ["", "a", "b", "\n", "🙂", ""]


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ('{"patch": "a"}', "a"),
        ('{"x": "a", "y": "b"}', '{"x": "a", "y": "b"}'),
        ('{"input": 5}', '{"input": 5}'),
        ("*** Begin", "*** Begin"),
        ('{"input": "a', '{"input": "a'),
    ],
)
def test_other_forms_are_unwrapped_at_the_end(arguments: str, text: str) -> None:
    assert unwrapped(arguments) == text


def test_arguments_of_another_form_are_not_decoded_early() -> None:
    freeform = FreeformInput()
    assert freeform.feed('{"note": "x", "input": "a"}') == "" == freeform.decoded
    assert freeform.feed("x" * 300) == ""


def test_a_bad_escape_ends_the_decoding() -> None:
    freeform = FreeformInput()
    assert freeform.feed('{"input":"a') + freeform.feed("\\x") + freeform.feed("b") == "a"


def test_many_small_fragments_take_linear_time() -> None:
    freeform = FreeformInput()
    freeform.feed('{"input":"')
    for _ in range(100_000):
        freeform.feed("a")
    assert freeform.decoded == orjson.loads(b'"' + b"a" * 100_000 + b'"')
