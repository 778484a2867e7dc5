"""The Playground in a real browser, before a simulated server."""

from dataclasses import replace

import pytest
from dashboard_scene import busy
from playwright.async_api import expect

from multiproxy.simulator import Settings, start

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.fixture
async def playing(serve, address):
    """``await playing(tokens_per_second=...)``: the page's address."""
    servers = []

    async def begin(**settings):
        server = await start(Settings(model="demo", prompt_tokens_per_second=0, **settings))
        servers.append(server)
        scene = busy()
        url = f"http://127.0.0.1:{server.port}/v1"
        scene.state = replace(scene.state, api_url=url)
        return address(await serve(scene), "/try"), server

    yield begin
    for server in servers:
        await server.close()


async def fill(page, tokens):
    await page.fill("[name=model]", "demo")
    await page.fill("[name=prompt]", "Say something")
    await page.fill("[name=max_tokens]", str(tokens))


async def test_an_answer_streams_with_its_numbers(playing, look):
    url, _ = await playing(tokens_per_second=200)
    page = await look(url)
    await fill(page, 20)
    await page.get_by_role("button", name="Send").click()
    await expect(page.locator("[data-try-state]")).to_have_text("complete")
    assert len(await page.locator("[data-try-answer]").inner_text()) > 20
    await expect(page.locator("[data-number=output_tokens]")).to_have_text("20")
    assert "–" not in await page.locator("[data-number=ttft_s]").inner_text()
    assert float(await page.locator("[data-number=tokens_per_s]").inner_text()) > 20


async def test_a_running_answer_can_be_stopped(playing, look):
    url, server = await playing(tokens_per_second=20)
    page = await look(url)
    await fill(page, 2000)
    await page.keyboard.press("Control+Enter")
    await expect(page.locator("[data-try-answer]")).not_to_be_empty()
    await page.get_by_role("button", name="Stop").click()
    await expect(page.locator("[data-try-state]")).to_have_text("stopped")
    await expect(page.get_by_role("button", name="Stop")).to_be_hidden()
    async with page.expect_event("requestfinished", timeout=20_000):
        await page.reload()
    assert server.facts.aborted == 1


async def test_what_went_wrong_is_told(playing, look):
    url, server = await playing(tokens_per_second=0)
    page = await look(url)
    await fill(page, 20)
    await server.close()
    await page.get_by_role("button", name="Send").click()
    await expect(page.locator("[data-try-error]")).to_contain_text("The API could not be asked")
    await expect(page.locator("[data-try-state]")).to_have_text("failed")


async def test_without_javascript_the_answer_is_the_next_page(playing, look):
    url, _ = await playing(tokens_per_second=0)
    page = await look(url, live=False, java_script_enabled=False)
    await fill(page, 12)
    await page.get_by_role("button", name="Send").click()
    await expect(page.locator("[data-number=output_tokens]")).to_have_text("12")
    await expect(page.locator("[data-try-answer]")).not_to_be_empty()
    await expect(page.locator("[name=prompt]")).to_have_value("Say something")


@pytest.mark.parametrize("width", [390, 768, 1440])
async def test_the_page_fits(playing, look, width):
    url, _ = await playing()
    page = await look(url, width=width)
    document = "document.documentElement"
    assert await page.evaluate(f"{document}.scrollWidth <= {document}.clientWidth")
