"""Text that comes back from a client as it went."""

import zlib
from base64 import urlsafe_b64encode

import pytest

from multiproxy.dialects.sealed_text import MAX_UNSEALED, seal, unseal


@pytest.mark.parametrize("text", ["", "hm", "🙂 \n" * 1000])
def test_a_sealed_text_comes_back(text: str) -> None:
    assert unseal(seal(text)) == text
    assert seal(text).isascii()


@pytest.mark.parametrize(
    "foreign", [None, 3, "", "gAAAA", "mp1.z.", "mp1.z.!!!", "mp1.z.AAAA", seal("hello")[:-5]]
)
def test_what_is_not_ours_is_nothing(foreign: object) -> None:
    assert unseal(foreign) is None


def test_a_bomb_is_nothing() -> None:
    bomb = urlsafe_b64encode(zlib.compress(bytes(MAX_UNSEALED + 1))).decode()
    assert unseal(f"mp1.z.{bomb}") is None
