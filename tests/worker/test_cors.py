"""What a web page may read, and may send."""

import pytest

from multiproxy._http.guard import Guard
from multiproxy._http.head import RequestHead
from multiproxy.worker import cors

GOOD = "https://good.example"


def head(*fields: tuple[bytes, bytes]) -> RequestHead:
    return RequestHead(b"OPTIONS", b"/", b"1.1", list(fields), True)


@pytest.mark.parametrize(
    ("origins", "origin", "allowed"),
    [
        ([GOOD], GOOD, True),
        (["*"], "https://any.example", True),
        ([GOOD], "https://good.example.evil", False),
        ([GOOD], "http://good.example", False),
        ([GOOD], "null", False),
        ([], GOOD, False),
    ],
)
def test_an_allowed_page_may_read_the_answer(origins, origin, allowed):
    guard = Guard(origins=origins)
    asked = head((b"origin", origin.encode()))
    line = f"Access-Control-Allow-Origin: {origin}\r\n".encode()
    assert cors.answer_fields(guard, asked).startswith(line) is allowed
    assert (b"Vary: Origin\r\n" in cors.answer_fields(guard, asked)) is allowed
    assert (cors.preflight_fields(guard, asked) != b"") is allowed


def test_without_an_origin_nothing_is_said():
    assert cors.answer_fields(Guard(origins=["*"]), head()) == b""
    assert cors.preflight_fields(Guard(origins=["*"]), head()) == b""


@pytest.mark.parametrize(
    ("wanted", "reflected"),
    [
        (b"authorization, Content-Type", True),
        (b"x-stainless-os,x-api-key", True),
        (b"", False),
        (b"x y", False),
        (b"x\ty: z", False),
        (b"a," * 600 + b"b", False),
        (b"*", False),
    ],
)
def test_wanted_header_names_are_given_back_only_if_they_are_names(wanted, reflected):
    asked = head((b"origin", GOOD.encode()), (b"access-control-request-headers", wanted))
    lines = cors.preflight_fields(Guard(origins=[GOOD]), asked)
    line = b"Access-Control-Allow-Headers: %b\r\n" % wanted
    assert (line in lines) is reflected
    assert lines.count(b"Access-Control-Allow-Headers") == int(reflected)
