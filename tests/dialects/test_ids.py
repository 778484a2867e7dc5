"""Ids of tool calls for clients, and back."""

import re
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from multiproxy.dialects.ids import CallIds, backend_id, base62, hex_digits

PLAIN = re.compile(r"[A-Za-z0-9_-]+\Z")


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=200))
def test_every_new_id_of_a_backend_comes_back_to_it(original: str) -> None:
    client_id = CallIds(Random(1)).claim_plain(original)
    assert PLAIN.match(client_id)
    assert backend_id(client_id) == original


def test_an_id_is_given_once() -> None:
    ids = CallIds(Random(1), ["call_0"])
    assert len({ids.claim("call_0"), ids.claim("call_0"), ids.claim("call_1"), ids.claim("")}) == 4
    assert ids.claim("functions.f:0") == "functions.f:0"


def test_an_id_that_only_looks_like_ours_is_left_alone() -> None:
    assert backend_id("toolu_mp_%") == "toolu_mp_%"
    assert backend_id("toolu_mp_\u00e9") == "toolu_mp_\u00e9"


def test_new_ids_have_the_length_asked_for() -> None:
    assert re.match(r"[0-9A-Za-z]{24}\Z", base62(24, Random(1)))
    assert re.match(r"[0-9a-f]{32}\Z", hex_digits(32, Random(1)))
