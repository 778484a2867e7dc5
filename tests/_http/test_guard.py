import pytest

from multiproxy._http.guard import Guard
from multiproxy._http.head import RequestHead
from multiproxy.errors import BadFraming, Misdirected, NotAllowed, UnsupportedEncoding


def head(method: bytes = b"GET", target: bytes = b"/", **fields: bytes) -> RequestHead:
    named = [(name.replace("_", "-").encode(), value) for name, value in fields.items()]
    return RequestHead(method, target, b"1.1", named, keep_alive=True)


@pytest.mark.parametrize("host", [b"localhost", b"LOCALHOST:8001", b"127.0.0.1:1", b"[::1]:8001"])
def test_loopback_names_are_ours(host):
    Guard().check(head(host=host))


@pytest.mark.parametrize("host", [b"10.0.0.7:8001", b"[fd00::7]"])
def test_other_addresses_are_ours_only_when_bound_beyond_loopback(host):
    with pytest.raises(Misdirected):
        Guard().check(head(host=host))
    Guard(any_address=True).check(head(host=host))


def test_a_configured_name_is_ours_and_its_neighbours_are_not():
    guard = Guard(allowed_hosts=["llm.example"], any_address=True)
    guard.check(head(host=b"LLM.example:443"))
    for name in (b"xllm.example", b"llm.example.evil", b"llm.exampl", b"10.0.0.1.evil"):
        with pytest.raises(Misdirected):
            guard.check(head(host=name))


def test_an_absolute_target_gives_its_path_and_must_be_ours():
    request = head(target=b"http://localhost:8001/v1/models?x=1", host=b"localhost")
    Guard().check(request)
    assert (request.path, request.query) == (b"/v1/models", b"x=1")
    with pytest.raises(Misdirected):
        Guard().check(head(target=b"http://evil.example/v1/models", host=b"localhost"))


def test_a_path_is_never_normalised():
    request = head(target=b"/v1/../%73lots;x//?a=%2F", host=b"localhost")
    Guard().check(request)
    assert (request.path, request.query) == (b"/v1/../%73lots;x//", b"a=%2F")


def test_options_may_ask_for_the_server_as_a_whole():
    request = head(b"OPTIONS", b"*", host=b"localhost")
    Guard().check(request)
    assert request.path == b"*"
    with pytest.raises(BadFraming):
        Guard().check(head(b"GET", b"*", host=b"localhost"))


def test_a_request_without_an_origin_may_have_any_content_type():
    Guard().check_browser(head(b"POST", content_type=b"application/x-www-form-urlencoded"))


@pytest.mark.parametrize("origin", [b"http://localhost:3000", b"null", b"https://evil.example"])
def test_a_foreign_page_may_not_post_even_from_loopback(origin):
    with pytest.raises(NotAllowed):
        Guard().check_browser(head(b"POST", origin=origin, content_type=b"application/json"))


def test_an_allowed_page_may_post_json_and_nothing_else():
    guard = Guard(origins=["https://good.example"])
    good = {"origin": b"https://good.example"}
    guard.check_browser(head(b"POST", **good, content_type=b"Application/JSON; charset=utf-8"))
    for kind in (b"text/plain", b"application/x-www-form-urlencoded", b""):
        with pytest.raises(UnsupportedEncoding):
            guard.check_browser(head(b"POST", **good, content_type=kind))


def test_a_star_allows_every_page():
    Guard(origins=["*"]).check_browser(
        head(b"POST", origin=b"https://any.example", content_type=b"application/json")
    )
