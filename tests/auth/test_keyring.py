"""Whose key a request carries."""

import hashlib

import pytest

from multiproxy.auth import Keyring
from multiproxy.config import Key
from multiproxy.errors import BadFraming, NotAuthenticated

ANN, BOB = b"sk-" + b"a" * 40 + b"1", b"sk-" + b"a" * 40 + b"2"  # 43 characters in common


def hashed(key):
    return f"sha256:{hashlib.sha256(key).hexdigest()}"


@pytest.fixture
def ring():
    keys = [
        Key("ann", hashed(ANN), priority="interactive"),
        Key("bob", hashed(BOB), models=("small", "qwen-*"), max_concurrent=2),
    ]
    return Keyring(keys, {"ann": 5, "bob": 3})


def test_two_keys_with_the_same_beginning_are_two_people(ring):
    assert ring.find(b"Bearer " + ANN, None).name == "ann"
    assert ring.find(b"Bearer " + BOB, None).name == "bob"


def test_both_fields_are_understood_and_the_scheme_in_any_case(ring):
    assert ring.find(None, ANN).name == "ann"
    assert ring.find(b"bearer  " + ANN, None).name == "ann"
    assert ring.find(b"BEARER " + ANN, ANN).name == "ann"


def test_two_different_keys_in_one_request_are_refused(ring):
    with pytest.raises(BadFraming):
        ring.find(b"Bearer " + ANN, BOB)


@pytest.mark.parametrize("none", [None, b""])
def test_a_request_without_a_key_is_told_how_to_send_one(ring, none):
    with pytest.raises(NotAuthenticated, match="Authorization: Bearer KEY") as refused:
        ring.find(None, none)
    assert refused.value.code is None
    assert refused.value.headers == ((b"www-authenticate", b"Bearer"),)


@pytest.mark.parametrize(
    ("authorization", "x_api_key"),
    [
        (b"Bearer " + ANN[:-1], None),
        (b"Bearer " + ANN + b"x", None),
        (b"Basic " + ANN, None),
        (b"Bearer", None),
        (b"", None),
        (b"Bearer " + ANN + b" " + ANN, None),
        (b"Bearer " + ANN.upper(), None),
        (None, ANN + b" "),
        (None, b"sk' OR 1=1 --"),
        (None, b"x" * 5000),
        (None, hashed(ANN).encode()),
        (b"Bearer " + hashed(ANN).encode(), None),
    ],
)
def test_a_wrong_key_is_refused_and_not_repeated(ring, authorization, x_api_key):
    with pytest.raises(NotAuthenticated) as refused:
        ring.find(authorization, x_api_key)
    assert refused.value.code == "invalid_api_key"
    assert "sk" not in refused.value.message and "x" * 9 not in refused.value.message
