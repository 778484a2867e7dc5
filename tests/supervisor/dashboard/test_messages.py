"""Targets, cookies and forms, also malformed ones."""

import pytest

from multiproxy.supervisor.dashboard.messages import Request, split_target


def made(body: bytes = b"", **headers: str) -> Request:
    return Request("POST", "/", {}, {k.replace("_", "-"): v for k, v in headers.items()}, body)


@pytest.mark.parametrize(
    ("target", "path", "query"),
    [
        ("/", "/", {}),
        ("/requests?model=a%20b&model=c&x=", "/requests", {"model": "c", "x": ""}),
        ("/a%2Fb", "/a/b", {}),
        ("//evil.example/x", "//evil.example/x", {}),
        ("/%ff", "/\ufffd", {}),
        ("/a#b", "/a", {}),
    ],
)
def test_a_target_is_a_path_and_a_query(target, path, query):
    assert split_target(target) == (path, query)


def test_a_query_with_absurdly_many_fields_is_no_query():
    assert split_target("/?" + "&".join(f"a{i}=1" for i in range(65)))[1] == {}


def test_cookies_are_read_and_broken_ones_are_not():
    assert made(cookie="a=1; b=2").cookies == {"a": "1", "b": "2"}
    assert made(cookie="b@d[=1").cookies == {}
    assert made().cookies == {}


def test_a_form_needs_its_content_type():
    kind = "application/x-www-form-urlencoded; charset=utf-8"
    assert made(b"a=1&b=%20", content_type=kind).form == {"a": "1", "b": " "}
    assert made(b"a=1", content_type="text/plain").form == {}
