"""Windows and usage in a real browser: addresses, files to save, and life."""

import json
from dataclasses import replace

import pytest
from dashboard_scene import NOW, busy, finished
from playwright.async_api import expect

pytestmark = pytest.mark.asyncio(loop_scope="module")

DOCUMENT = "document.documentElement"


@pytest.mark.parametrize("path", ["/", "/backends", "/models"])
async def test_a_window_is_an_address_and_lives(serve, look, address, path):
    scene = busy()
    scene.finished_list.append(finished("r_old", NOW - 3 * 86_400, ttft_s=1.0))
    page = await look(address(await serve(scene), path))
    chosen = page.locator(".segments [aria-current]")
    await expect(chosen).to_have_text("5 m")
    await page.locator(".segments a", has_text="7 d").click()
    await page.wait_for_url(f"**{path}?w=7d")
    await expect(chosen).to_have_text("7 d")
    await page.wait_for_selector(".controls [data-state=on]")
    await page.go_back()
    await expect(chosen).to_have_text("5 m")


async def test_the_stream_keeps_the_window_of_its_page(serve, look, address):
    scene = busy()
    page = await look(address(await serve(scene), "/?w=24h"))
    streams = page.locator("#kpis .kpi", has_text="Time to first token").locator(".note b")
    before = int(await streams.inner_text())
    hours_ago = [finished(f"r_{i}", NOW - 20_000, ttft_s=1.0) for i in range(7)]
    scene.finished_list = [*scene.finished_list, *hours_ago]
    await expect(streams).to_have_text(str(before + 7))
    await expect(page.locator("#kpis")).to_contain_text("Tokens, 24 hours")


async def test_usage_is_switched_by_links_and_lives(serve, look, address):
    scene = busy()
    page = await look(address(await serve(scene), "/usage"))
    await page.locator(".segments a", has_text="Key").click()
    await page.locator(".segments a", has_text="30 d").click()
    await page.wait_for_url("**/usage?range=30d&by=key&measure=spent")
    await page.wait_for_selector(".controls [data-state=on]")
    scene.finished_list = [
        finished("r_new", NOW, key="somebody-new", output_tokens=10**7),
        *scene.finished_list,
    ]
    await expect(page.locator("#usage-table tbody tr").first).to_contain_text("somebody-new")
    assert await page.locator("#usage-chart g").count() == 1


async def test_usage_is_complete_without_javascript(serve, look, address):
    url = address(await serve(busy()), "/usage?by=backend")
    page = await look(url, live=False, java_script_enabled=False)
    await expect(page.locator("#usage-table tbody tr")).to_have_count(4)
    await page.locator(".segments a", has_text="Requests").click()
    await expect(page.locator("#usage-chart")).to_contain_text("Requests")


@pytest.mark.parametrize("kind", ["CSV", "JSON"])
async def test_usage_can_be_saved_as_a_file(serve, look, address, kind):
    page = await look(address(await serve(busy()), "/usage?range=7d&by=model"))
    async with page.expect_download() as caught:
        await page.locator(".exports a", has_text=kind).click()
    download = await caught.value
    assert download.suggested_filename == f"multiproxy-usage-7d-by-model.{kind.lower()}"
    text = (await download.path()).read_text()
    assert "qwen3-32b-instruct" in text
    if kind == "JSON":
        assert json.loads(text)["by"] == "model"


@pytest.mark.parametrize("width", [390, 768, 1440])
async def test_long_names_and_large_numbers_fit(serve, look, address, width):
    scene = busy()
    scene.finished_list = [
        replace(x, key=f"{x.key}-{'k' * 60}", model="m" * 120, output_tokens=10**9)
        for x in scene.finished_list
    ]
    for by in ("key", "model"):
        page = await look(address(await serve(scene), f"/usage?by={by}"), width=width)
        assert await page.evaluate(f"{DOCUMENT}.scrollWidth <= {DOCUMENT}.clientWidth")
