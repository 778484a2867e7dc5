"""What names with * match."""

import pytest

from multiproxy.config import matching
from multiproxy.config.wildcard import WILDCARD


@pytest.mark.parametrize(
    ("name", "matched", "other"),
    [
        ("gpt-4o", "gpt-4o", "gpt-4o-mini"),
        ("gpt-*", "gpt-", "my-gpt-4"),
        ("*-mini", "o3-mini", "o3-minimal"),
        ("a*b*c", "a.b\nc", "abc."),
        ("*", "anything at all", None),
        ("a.b", "a.b", "axb"),
    ],
)
def test_a_star_stands_for_any_text_and_all_else_for_itself(name, matched, other):
    assert matching([name]).fullmatch(matched)
    assert other is None or not matching([name]).fullmatch(other)


def test_one_of_several_is_enough():
    names = matching(["a*", "b"])
    assert [bool(names.fullmatch(name)) for name in ("ax", "b", "bx")] == [True, True, False]


def test_a_wildcard_is_a_name_with_stars():
    assert WILDCARD.accepts("Qwen/*:8b") and not WILDCARD.accepts("a b")
