"""What an operator's buttons send, and what everyone else's requests do not do."""

import re
from dataclasses import dataclass, field

import pytest

from multiproxy.supervisor.dashboard.actions import place

JSON = {"accept": "application/json"}


@dataclass
class Told:
    """``Actions`` that remember what they were told."""

    calls: list[tuple[str, str]] = field(default_factory=list)
    problem: str = ""

    def cancel(self, request_id: str) -> bool:
        self.calls.append(("cancel", request_id))
        return request_id == "r_1"

    def drain(self, backend: str) -> bool:
        self.calls.append(("drain", backend))
        return backend == "gpu-a"

    def resume(self, backend: str) -> bool:
        self.calls.append(("resume", backend))
        return backend == "gpu-a"

    async def reload(self) -> str:
        self.calls.append(("reload", ""))
        return self.problem


async def opened(serve, **options):
    told = Told(**options)
    served = await serve(actions=told)
    page = (await served.get("/backends")).text
    return served, told, re.search(r'name="token" value="([^"]+)"', page)[1]


@pytest.mark.parametrize("name", ["cancel", "drain", "resume", "reload"])
async def test_a_plain_form_is_sent_back_to_its_page(serve, name):
    served, told, token = await opened(serve)
    form = f"token={token}&id=gpu-a&back=%2Fbackends".encode()
    answer = await served.post(f"/actions/{name}", form, origin="http://localhost")
    assert (answer.status, answer.headers["location"]) == (303, "/backends")
    assert [call for call, _ in told.calls] == [name]


async def test_htmx_gets_nothing_to_swap(serve):
    served, told, token = await opened(serve)
    form = f"token={token}&id=gpu-a".encode()
    answer = await served.post("/actions/drain", form, hx_request="true")
    assert (answer.status, told.calls) == (204, [("drain", "gpu-a")])


async def test_a_program_is_told_how_it_went(serve):
    served, told, token = await opened(serve)
    answer = await served.post("/actions/drain", b"id=gpu-a", x_multiproxy_token=token, **JSON)
    assert (answer.status, answer.text) == (200, '{"ok": true, "error": null}')
    answer = await served.post("/actions/drain", b"id=gpu-x", x_multiproxy_token=token, **JSON)
    assert (answer.status, answer.text) == (
        404,
        '{"error": "There is no backend of that name."}',
    )
    told.problem = "config.yaml: no"
    answer = await served.post("/actions/reload", b"", x_multiproxy_token=token, **JSON)
    assert (answer.status, answer.text) == (409, '{"ok": false, "error": "config.yaml: no"}')


@pytest.mark.parametrize("name", ["cancel", "drain", "resume", "reload"])
@pytest.mark.parametrize(
    ("form", "headers"),
    [
        (b"id=gpu-a", {}),
        (b"id=gpu-a&token=wrong", {}),
        (b"id=gpu-a", {"x_multiproxy_token": "wrong"}),
        (b"id=gpu-a&token=TOKEN", {"origin": "http://evil.example"}),
        (b"id=gpu-a&token=TOKEN", {"origin": "null"}),
        (b"id=gpu-a&token=TOKEN", {"origin": "http://localhost:3000"}),
        (b"id=gpu-a&token=TOKEN", {"sec_fetch_site": "cross-site"}),
        (b"id=gpu-a&token=TOKEN", {"sec_fetch_site": "same-site"}),
    ],
)
async def test_without_our_token_or_from_another_page_nothing_happens(serve, name, form, headers):
    served, told, token = await opened(serve)
    answer = await served.post(
        f"/actions/{name}", form.replace(b"TOKEN", token.encode()), **headers
    )
    assert answer.status == 403
    assert told.calls == []


@pytest.mark.parametrize("name", ["cancel", "drain", "resume", "reload"])
async def test_looking_changes_nothing(serve, name):
    served, told, _ = await opened(serve)
    assert (await served.get(f"/actions/{name}")).status == 405
    assert told.calls == []


async def test_a_dashboard_without_actions_has_none(serve):
    served = await serve()
    assert (await served.post("/actions/reload", b"")).status == 404


@pytest.mark.parametrize(
    "text", ["/", "/backends", "/requests?q=a%20b&status=failed", "/requests/9f2c"]
)
def test_a_form_goes_back_to_any_page_of_ours(text):
    assert place(text) == text


@pytest.mark.parametrize(
    "text",
    ["//evil.example", "https://evil.example", "/\\evil.example", "/a//b", "", "/a\r\nX: 1", "/a#b",
     "/a\n"],
)  # fmt: skip
def test_a_form_never_goes_elsewhere(text):
    assert place(text) == "/"
