"""Request bodies: compressed, odd, and too large."""

import gzip
import zlib

import pytest
import zstandard

from multiproxy.dialects.body import decompressed, parse_object
from multiproxy.errors import (
    BodyTooLarge,
    InvalidJSON,
    InvalidRequest,
    ProxyError,
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


def test_a_lone_surrogate_and_a_byte_order_mark_are_accepted() -> None:
    assert parse_object(b'\xef\xbb\xbf{"a":"x\\ud83d","\\ud83d":["\\ud83d\\ude42"]}') == {
        "a": "x\ufffd",
        "\ufffd": ["🙂"],
    }


def test_large_integers_are_floats_like_in_the_fast_parser() -> None:
    number = 123456789012345678901234567890
    assert parse_object(b'{"a":%d}' % number) == {"a": float(number)}
    assert parse_object(b'{"a":%d,"b":"\\ud800"}' % number)["a"] == float(number)
    assert parse_object(b'{"a":%d,"b":"\\ud800"}' % (2**63))["a"] == 2**63


DEEP = b'{"a":' * 2000 + b"1" + b"}" * 2000
BAD: list[tuple[bytes, type[ProxyError]]] = [
    (b"{", InvalidJSON),
    (b"", InvalidJSON),
    (b" \n", InvalidJSON),
    (b"[]", InvalidRequest),
    (b"null", InvalidRequest),
    (b'{"a":NaN}', InvalidJSON),
    (b'{"a":NaN,"b":"\\ud83d"}', InvalidJSON),
    (b'{"a":Infinity,"b":"\\ud83d"}', InvalidJSON),
    (DEEP, InvalidJSON),
    (DEEP.replace(b"1", b'"\\ud83d"'), InvalidJSON),
    (b'{"a":"\xff"}', InvalidJSON),
    (b'{"a":"b\\ud83d', InvalidJSON),
]


@pytest.mark.parametrize(("body", "kind"), BAD, ids=range(len(BAD)))
def test_a_body_that_is_no_json_object_is_refused(body: bytes, kind: type[ProxyError]) -> None:
    with pytest.raises(kind) as caught:
        parse_object(body)
    assert type(caught.value) is kind
