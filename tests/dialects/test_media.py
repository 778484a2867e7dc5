"""Which images and documents a backend is shown."""

import pytest

from multiproxy.dialects.media import (
    Media,
    decode_base64,
    document_text,
    read_data_url,
    text_of_file,
)
from multiproxy.dialects.policy import Policy
from multiproxy.errors import InvalidRequest, Unsupported


def test_white_space_in_a_data_url_is_removed() -> None:
    part = Media(Policy()).image("data:image/png;base64,AA\n AA", "p", is_last_turn=True)
    assert part["image_url"]["url"] == "data:image/png;base64,AAAA"


@pytest.mark.parametrize("url", ["file:///x", " fi\nle:///x", "ftp://x/y", "", "/etc/passwd"])
def test_other_schemes_never_reach_a_backend(url: str) -> None:
    with pytest.raises(InvalidRequest):
        Media(Policy()).image(url, "p", is_last_turn=False)


def test_a_document_nobody_reads_is_an_error_or_a_placeholder() -> None:
    media = Media(Policy())
    with pytest.raises(Unsupported, match="PDF input is not supported by this server"):
        media.unreadable_document("application/pdf", 7, "p", is_last_turn=True)
    part = media.unreadable_document("application/pdf", 123456, "p", is_last_turn=False)
    assert part["text"] == "[document omitted: application/pdf, 123456 bytes]"
    lenient = Media(Policy(documents="placeholder"))
    part = lenient.unreadable_document("file URL", None, "p", is_last_turn=True)
    assert part["text"] == "[document omitted: file URL]"


def test_a_document_says_its_title_and_context() -> None:
    assert document_text("x") == "<document>\nx\n</document>"
    assert document_text("x", "T", "C") == '<document title="T" context="C">\nx\n</document>'
    assert document_text("x", 'a"b') == '<document title="a\'b">\nx\n</document>'


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("data:text/plain;base64,SGk=", ("text/plain", b"Hi")),
        ("data:text/plain;charset=utf-8,a%20b", ("text/plain", b"a b")),
        ("DATA:,x", ("text/plain", b"x")),
        ("data:text/plain;base64,!", None),
        ("data:text/plain", None),
        ("https://example.org", None),
    ],
)
def test_data_urls_are_read(url: str, expected: object) -> None:
    assert read_data_url(url) == expected


def test_base64_is_strict_but_for_white_space() -> None:
    assert decode_base64("SG\nk=") == b"Hi"
    assert decode_base64("SGk") is None and decode_base64("é") is None


def test_a_file_is_text_if_it_says_so_and_is_utf8() -> None:
    assert text_of_file("text/csv", "", b"\xef\xbb\xbfa") == "a"
    assert text_of_file("application/octet-stream", "X.PY", b"a") == "a"
    assert text_of_file("text/plain", "", b"\xff") is None
    assert text_of_file("application/pdf", "x.pdf", b"a") is None
