"""Buttons that do something, with and without JavaScript."""

import asyncio
from dataclasses import replace

import pytest
from dashboard_scene import busy
from playwright.async_api import expect

pytestmark = pytest.mark.asyncio(loop_scope="module")


class Told:
    """``Actions`` over a scene: what they do shows on the page."""

    def __init__(self, scene):
        self.scene = scene
        self.calls = []

    def cancel(self, request_id):
        self.calls.append(("cancel", request_id))
        self.scene.running_list = [x for x in self.scene.running_list if x.id != request_id]
        return True

    def drain(self, backend):
        return self._hold(backend, True)

    def resume(self, backend):
        return self._hold(backend, False)

    def _hold(self, backend, held):
        self.calls.append(("drain" if held else "resume", backend))
        self.scene.backend_list = [
            replace(view, held=held, state="draining" if held else "up")
            if view.id == backend
            else view
            for view in self.scene.backend_list
        ]
        return True

    async def reload(self):
        self.calls.append(("reload", ""))
        return ""


@pytest.mark.parametrize("script", [True, False])
async def test_a_backend_is_drained_and_resumed(serve, look, address, script):
    scene = busy()
    told = Told(scene)
    url = address(await serve(scene, actions=told), "/backends")
    page = await look(url, live=script, java_script_enabled=script)
    card = page.locator("#server-2")
    await card.get_by_role("button", name="Drain").click()
    await expect(card.get_by_role("button", name="Resume")).to_be_visible()
    await expect(card).to_contain_text("Draining, 2 still running")
    assert page.url == url
    await card.get_by_role("button", name="Resume").click()
    await expect(card.get_by_role("button", name="Drain")).to_be_visible()
    assert told.calls == [("drain", "gpu-b"), ("resume", "gpu-b")]


@pytest.mark.parametrize("path", ["/", "/requests"])
@pytest.mark.parametrize("script", [True, False])
async def test_a_running_request_is_cancelled(serve, look, address, path, script):
    scene = busy()
    told = Told(scene)
    page = await look(
        address(await serve(scene, actions=told), path), live=script, java_script_enabled=script
    )
    wanted = scene.running_list[2].id
    await page.locator(f"#r-{wanted}").get_by_role("button", name="Cancel").click()
    await expect(page.locator(f"#r-{wanted}")).to_have_count(0)
    assert told.calls == [("cancel", wanted)]


async def test_a_request_is_cancelled_on_its_own_page(serve, look, address):
    scene = busy()
    told = Told(scene)
    wanted = scene.running_list[0].id
    page = await look(address(await serve(scene, actions=told), f"/requests/{wanted}"))
    await page.get_by_role("button", name="Cancel request").click()
    await expect(page.locator("#request-detail")).to_contain_text("Not kept any more")
    assert told.calls == [("cancel", wanted)]


@pytest.mark.parametrize("script", [True, False])
async def test_the_configuration_is_reloaded(serve, look, address, script):
    scene = busy()
    told = Told(scene)
    page = await look(
        address(await serve(scene, actions=told), "/config"), live=script,
        java_script_enabled=script,
    )  # fmt: skip
    async with page.expect_response("**/actions/reload") as answered:
        await page.get_by_role("button", name="Reload").click()
    # Clicked before htmx has seen the form it is a plain one, which works too.
    assert (await answered.value).status in ((204, 303) if script else (303,))
    await expect(page.get_by_role("heading", name="Config")).to_be_visible()
    assert told.calls == [("reload", "")]


async def test_a_form_of_ours_names_its_origin(serve, look, address):
    scene = busy()
    url = address(await serve(scene, actions=Told(scene)), "/backends")
    page = await look(url, live=False, java_script_enabled=False)
    async with page.expect_request("**/actions/drain") as asked:
        await page.locator("#server-1").get_by_role("button", name="Drain").click()
    origin = (await (await asked.value).all_headers()).get("origin")
    assert origin == url.removesuffix("/backends")


@pytest.mark.parametrize(
    ("sandbox", "origin"), [("", "http://"), ("sandbox='allow-forms allow-scripts'", "null")]
)
async def test_a_form_of_another_page_changes_nothing(serve, look, address, sandbox, origin):
    """Also from a sandboxed frame, whose origin is null, and with a token that leaked."""
    scene = busy()
    told = Told(scene)
    dashboard = await serve(scene, actions=told)
    target = address(dashboard, "/actions/drain")
    form = (
        f"<form method=post action={target}><input name=token value={dashboard._routes._token}>"
        "<input name=id value=gpu-a></form><script>document.forms[0].submit()</script>"
    )
    html = f"<!doctype html><iframe {sandbox} srcdoc='{form}'></iframe>".encode()

    async def evil(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        head = f"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: {len(html)}\r\n\r\n"
        writer.write(head.encode() + html)
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(evil, "127.0.0.1", 0) as server:
        page = await look("about:blank", live=False)
        async with page.expect_response(target) as answered:
            await page.goto(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/")
        answer = await answered.value
    assert answer.status == 403
    assert (await answer.request.all_headers())["origin"].startswith(origin)
    assert told.calls == []
