"""Request bodies: compressed, odd, and too large."""

import gzip
import zlib

import pytest
import zstandard

from multiproxy.dialects.body import decompressed
from multiproxy.errors import (
    BodyTooLarge,
    InvalidRequest,
    UnsupportedEncoding,
)

TEXT = b'{"a":"bcdefgh"}' * 1000
UNSIZED = zstandard.ZstdCompressor(write_content_size=False)
CODED = {
    "gzip": ("gzip", gzip.compress(TEXT)),
    "gzip under its old name": ("X-Gzip", gzip.compress(TEXT)),
    "gzip in two members": ("gzip", gzip.compress(TEXT[:99]) + gzip.compress(TEXT[99:])),
    "deflate": ("deflate", zlib.compress(TEXT)),
    "deflate without zlib's frame": ("deflate", zlib.compress(TEXT)[2:-4]),
    "zstd": ("zstd", zstandard.compress(TEXT)),
    "zstd in two frames": ("zstd", zstandard.compress(TEXT[:99]) + zstandard.compress(TEXT[99:])),
    "zstd without a size": ("zstd", UNSIZED.compress(TEXT)),
    "two codings": ("gzip, zstd", zstandard.compress(gzip.compress(TEXT))),
    "no coding": ("", TEXT),
    "identity": ("identity", TEXT),
}  # fmt: skip


@pytest.mark.parametrize("name", CODED)
def test_a_body_is_decompressed_up_to_the_limit(name: str) -> None:
    coding, body = CODED[name]
    assert decompressed(body, coding, len(TEXT)) == TEXT
    if coding not in ("", "identity"):
        with pytest.raises(BodyTooLarge):
            decompressed(body, coding, len(TEXT) - 1)
        for broken in (body[:-3], body + b"x"):
            with pytest.raises(InvalidRequest):
                decompressed(broken, coding, len(TEXT))


@pytest.mark.parametrize("coding", ["gzip", "deflate", "zstd"])
def test_a_bomb_is_not_unpacked(coding: str) -> None:
    bomb = b"\0" * (16 << 20)
    packed = {
        "gzip": gzip.compress(bomb, 1),
        "deflate": zlib.compress(bomb, 1),
        "zstd": zstandard.compress(bomb),
    }[coding]
    with pytest.raises(BodyTooLarge):
        decompressed(packed, coding, 1 << 20)


@pytest.mark.parametrize("coding", ["br", "gzip, gzip, gzip", "compress"])
def test_other_codings_are_refused(coding: str) -> None:
    with pytest.raises(UnsupportedEncoding):
        decompressed(TEXT, coding, 1 << 20)


@pytest.mark.parametrize("coding", ["gzip", "zstd"])
def test_a_body_that_is_not_what_it_says_is_refused(coding: str) -> None:
    with pytest.raises(InvalidRequest):
        decompressed(TEXT, coding, 1 << 20)
