"""The exact route table over the wire."""

import re
from dataclasses import replace

import pytest
from dashboard_client import request
from dashboard_scene import Scene, busy, hostile

from multiproxy.supervisor.dashboard.pages import PAGES

TOKEN = re.compile(r'name="token" value="([^"]+)"')


async def token_of(served) -> str:
    found = TOKEN.search((await served.get("/")).text)
    assert found
    return found[1]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
async def test_every_page_and_every_fragment_has_an_address(serve, page):
    served = await serve()
    known = {"request": served.scene.running_list[0].id}.get(page.name, "gpu-a")
    assert (await served.get(page.path.replace("{id}", known))).status == 200
    for fragment in page.fragments:
        answer = await served.get(f"/fragments/{fragment.name}?page={page.name}&id={known}")
        assert answer.status == 200
        assert "<html" not in answer.text


async def test_a_fragment_is_what_the_page_holds(serve):
    served = await serve()
    page, fragment = await served.get("/"), await served.get("/fragments/backends")
    assert fragment.text in page.text


@pytest.mark.parametrize(
    "path",
    ["/nothing", "/index.html", "//", "/fragments/", "/fragments/nothing", "/live/nothing",
     "/requests/", "/requests/r_none", "/requests/r_a/b", "/requests/{id}",
     "/static/../app.css", "/static/old/app.css", "/%2e%2e/etc/passwd", "/healthz/"],
)  # fmt: skip
async def test_there_is_nothing_anywhere_else(serve, path):
    answer = await (await serve()).get(path)
    assert answer.status == 404
    assert "Page not found" in answer.text
    assert answer.headers["content-security-policy"].startswith("default-src 'none'")


async def test_an_address_in_an_error_page_is_not_repeated(serve):
    answer = await (await serve()).get("/%3Cscript%3Ealert(1)%3C/script%3E")
    assert "alert" not in answer.text


@pytest.mark.parametrize(
    ("data", "allow"),
    [(request("POST", "/"), "GET, HEAD"), (request("GET", "/theme"), "POST")],
)
async def test_a_known_address_with_the_wrong_method_says_which_are_right(serve, data, allow):
    answer = await (await serve()).ask(data)
    assert (answer.status, answer.headers["allow"]) == (405, allow)


async def test_probes_tell_alive_and_ready_apart(serve):
    served = await serve(Scene())
    assert (await served.get("/readyz")).status == 200
    served.scene.state = replace(served.scene.state, ready=False)
    assert (await served.get("/readyz")).status == 503
    assert (await served.get("/healthz")).status == 200


async def test_the_theme_is_switched_by_a_form_with_our_token(serve):
    served = await serve()
    form = f"token={await token_of(served)}&theme=dark&back=%2F".encode()
    answer = await served.post("/theme", form)
    assert (answer.status, answer.headers["location"]) == (303, "/")
    assert answer.headers["set-cookie"] == ("mp_theme=dark; Path=/; Max-Age=31536000; SameSite=Lax")
    page = await served.get("/", cookie="mp_theme=dark")
    assert '<html lang="en" data-theme="dark">' in page.text


async def test_following_the_system_forgets_the_cookie(serve):
    served = await serve()
    answer = await served.post("/theme", f"token={await token_of(served)}&theme=".encode())
    assert answer.headers["set-cookie"].startswith("mp_theme=; Path=/; Max-Age=0")


@pytest.mark.parametrize("form", [b"", b"theme=dark", b"token=wrong&theme=dark", b"token=%FF"])
async def test_a_form_without_our_token_changes_nothing(serve, form):
    answer = await (await serve()).post("/theme", form)
    assert answer.status == 403
    assert "set-cookie" not in answer.headers


async def test_a_form_never_leads_to_another_site(serve):
    served = await serve()
    token = await token_of(served)
    for back in ("https://evil.example", "//evil.example", "/\r\nX: 1"):
        form = f"token={token}&theme=dark&back={back.replace(chr(13) + chr(10), '%0D%0A')}"
        assert (await served.post("/theme", form.encode())).headers["location"] == "/"


@pytest.mark.parametrize("cookie", ["mp_theme=pink", 'mp_theme="><script>', "=;;=", "mp_tz=/etc"])
async def test_a_strange_cookie_is_ignored(serve, cookie):
    answer = await (await serve()).get("/", cookie=cookie)
    assert answer.status == 200
    assert '<html lang="en">' in answer.text


async def test_a_page_that_fails_is_a_500_without_its_reason(serve, caplog):
    served = await serve()
    served.scene.health = None  # type: ignore[assignment, method-assign]
    answer = await served.get("/")
    assert answer.status == 500
    assert "Traceback" not in answer.text and "NoneType" not in answer.text
    assert "GET / failed" in caplog.text


async def test_markup_from_outside_is_text_in_the_stream_too(serve):
    payload = "<script>alert(1)</script>\r\n\r\nevent: mp:hello\ndata: </hx-partial>"
    scene = busy()
    scene.backend_list = [hostile(view, payload) for view in scene.backend_list]
    scene.running_list = [hostile(view, payload) for view in scene.running_list]
    scene.finished_list = [hostile(view, payload) for view in scene.finished_list]
    client = await (await serve(scene)).connect()
    client.send(request("GET", "/live/overview"))
    await client.head()
    assert (await client.event()).startswith("retry")
    assert (await client.event()).startswith("event: mp:hello")
    page = await client.event()
    assert "<script" not in page
    assert page.count("</hx-partial>") == len(PAGES[0].live)
    assert all(line.startswith(("id: ", "data: ")) for line in page.split("\n"))


@pytest.mark.parametrize(
    ("accept", "content_type"),
    [
        ("*/*", "text/plain; version=0.0.4; charset=utf-8"),
        (
            "application/openmetrics-text;version=1.0.0,text/plain;q=0.5",
            "application/openmetrics-text; version=1.0.0; charset=utf-8",
        ),
    ],
)
async def test_prometheus_is_told_in_the_format_it_asks_for(serve, accept, content_type):
    served = await serve()
    answer = await served.get("/metrics", accept=accept)
    assert (answer.status, answer.body) == (200, b"live_streams 0\n")
    assert answer.headers["content-type"] == content_type
