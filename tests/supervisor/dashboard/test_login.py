"""Signing in, over the wire."""

from base64 import b64encode

import pytest
from dashboard_client import request

from multiproxy.errors import RateLimited
from multiproxy.supervisor.dashboard import login as login_module
from multiproxy.supervisor.dashboard.login import FAILURES_S, SESSION_S, Login
from multiproxy.supervisor.dashboard.messages import Request

PASSWORD = "open sesame"
FORM = "application/x-www-form-urlencoded"


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock():
    return Clock()


def cookie_of(answer):
    return answer.headers["set-cookie"].partition(";")[0]


async def send(served, data):
    client = await served.connect()
    client.send(data)
    return await client.answer()


async def sign_in(served, password, **fields):
    body = f"password={password.replace(' ', '+')}".encode()
    return await send(served, request("POST", "/login", body=body, content_type=FORM, **fields))


async def test_nothing_but_the_form_and_the_probes_is_shown_to_a_stranger(serve, clock):
    served = await serve(login=Login(clock, password=PASSWORD))
    for path in ("/", "/backends", "/fragments/backends", "/live/overview", "/nothing"):
        answer = await served.get(path)
        assert (answer.status, answer.text) == (401, "Sign in first.\n"), path
    assert (await send(served, request("POST", "/theme"))).status == 401
    answer = await send(served, request("GET", "/backends", accept="text/html,*/*"))
    assert (answer.status, answer.headers["location"]) == (303, "/login")
    page = await served.get("/login")
    assert page.status == 200 and 'type="password"' in page.text
    assert 'name="token"' not in page.text, "the token of the forms behind the door"
    assert (await served.get("/healthz")).status == 200
    assert (await served.get("/readyz")).status == 200


async def test_the_password_opens_a_session_that_ends(serve, clock):
    served = await serve(login=Login(clock, password=PASSWORD))
    answer = await sign_in(served, PASSWORD)
    assert (answer.status, answer.headers["location"]) == (303, "/")
    fields = answer.headers["set-cookie"].split("; ")[1:]
    assert fields == ["Path=/", "Max-Age=43200", "HttpOnly", "SameSite=Strict"]
    seen = await send(served, request("GET", "/", cookie=cookie_of(answer)))
    assert seen.status == 200 and "gpu" in seen.text
    clock.now += SESSION_S
    assert (await send(served, request("GET", "/", cookie=cookie_of(answer)))).status == 401


@pytest.mark.parametrize("cookie", ["", "mp_session=", "mp_session=x", f"mp_session={PASSWORD}"])
async def test_another_cookie_opens_nothing(serve, clock, cookie):
    served = await serve(login=Login(clock, password=PASSWORD))
    await sign_in(served, PASSWORD)
    assert (await send(served, request("GET", "/", cookie=cookie))).status == 401


async def test_a_wrong_password_is_told_and_the_sixth_try_has_to_wait(serve, clock):
    served = await serve(login=Login(clock, password=PASSWORD))
    for _ in range(5):
        answer = await sign_in(served, "sesame open")
        assert (answer.status, "That was wrong." in answer.text) == (403, True)
        assert "set-cookie" not in answer.headers
    answer = await sign_in(served, PASSWORD)
    assert (answer.status, answer.headers["retry-after"]) == (429, "300")
    clock.now += FAILURES_S
    assert (await sign_in(served, PASSWORD)).status == 303


async def test_another_site_cannot_sign_a_browser_in(serve, clock):
    served = await serve(login=Login(clock, password=PASSWORD))
    answer = await sign_in(served, PASSWORD, origin="http://evil.example")
    assert answer.status == 403 and "set-cookie" not in answer.headers


async def test_a_password_in_the_address_is_not_taken(serve, clock):
    served = await serve(login=Login(clock, password=PASSWORD))
    for query in ("password=open+sesame", "token=open+sesame"):
        assert "set-cookie" not in (await served.get(f"/login?{query}")).headers


async def test_a_link_is_good_for_one_browser_and_the_next_one_follows(serve, clock):
    links = []
    served = await serve(login=Login(clock, on_link=links.append))
    assert (await served.get("/")).status == 401
    assert 'type="password"' not in (await served.get("/login")).text
    answer = await served.get(links[0])
    assert answer.status == 303 and len(links) == 2 and links[0] != links[1]
    assert (await send(served, request("GET", "/", cookie=cookie_of(answer)))).status == 200
    assert (await served.get(links[0])).status == 403
    assert (await served.get(links[1])).status == 303


@pytest.mark.parametrize(
    ("scheme", "value", "status"),
    [
        ("Basic", b64encode(b"prometheus:" + PASSWORD.encode()).decode(), 200),
        ("basic", b64encode(b":" + PASSWORD.encode()).decode(), 200),
        ("Bearer", PASSWORD, 200),
        ("Basic", b64encode(b"prometheus:wrong").decode(), 401),
        ("Basic", "not base64", 401),
        ("Digest", PASSWORD, 401),
        ("Bearer", "", 401),
    ],
)
async def test_a_program_may_send_the_password_with_its_request(
    serve, clock, scheme, value, status
):
    served = await serve(login=Login(clock, password=PASSWORD))
    answer = await served.get("/metrics", authorization=f"{scheme} {value}".strip())
    assert answer.status == status
    assert "set-cookie" not in answer.headers


async def test_a_program_that_guesses_has_to_wait_as_well(serve, clock):
    served = await serve(login=Login(clock, password=PASSWORD))
    for _ in range(5):
        assert (await served.get("/", authorization="Bearer wrong")).status == 401
    assert (await served.get("/", authorization=f"Bearer {PASSWORD}")).status == 429


def test_one_client_s_guesses_do_not_lock_out_another(clock):
    login = Login(clock, password=PASSWORD)
    for _ in range(5):
        assert login.try_secret("x", "10.0.0.1") is None
    with pytest.raises(RateLimited):
        login.try_secret(PASSWORD, "10.0.0.1")
    assert login.try_secret(PASSWORD, "10.0.0.2") is not None


def test_sessions_and_guessers_are_bounded(clock, monkeypatch):
    monkeypatch.setattr(login_module, "MAX_SESSIONS", 3)
    monkeypatch.setattr(login_module, "MAX_CLIENTS", 3)
    login = Login(clock, password=PASSWORD)
    for number in range(10):
        login.try_secret("x", f"10.0.0.{number}")
        opened = login.try_secret(PASSWORD, "10.1.0.1")
    assert (len(login._sessions), len(login._failures)) == (3, 3)
    cookie = dict(opened.headers)["Set-Cookie"].partition(";")[0]
    assert login.knows(Request("GET", "/", {}, {"cookie": cookie}))
    assert cookie.partition("=")[2] not in repr(vars(login))
