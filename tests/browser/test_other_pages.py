"""Requests, request detail, Backends, Models and Config in a real browser."""

from dataclasses import replace

import pytest
from dashboard_scene import busy, finished, running
from playwright.async_api import expect

pytestmark = pytest.mark.asyncio(loop_scope="module")

PATHS = ["/requests", "/backends", "/models", "/usage", "/config", "/try"]
DOCUMENT = "document.documentElement"


@pytest.mark.parametrize("width", [390, 768, 1440])
@pytest.mark.parametrize("path", PATHS)
async def test_pages_fit_and_break_no_policy(serve, look, address, path, width):
    page = await look(address(await serve(busy()), path), width=width)
    assert await page.evaluate(f"{DOCUMENT}.scrollWidth <= {DOCUMENT}.clientWidth")


async def test_a_filter_goes_into_the_address_and_back_takes_it_out(serve, look, address):
    page = await look(address(await serve(busy()), "/requests"))
    rows = page.locator("#requests-finished tr")
    everything = await rows.count()
    await page.select_option("select[name=status]", "failed")
    await page.wait_for_url("**/requests?status=failed")
    assert await rows.count() < everything
    await expect(page.locator("select[name=status]")).to_have_value("failed")
    await page.go_back()
    await expect(rows).to_have_count(everything)


async def test_a_filtered_page_is_live(serve, look, address):
    scene = busy()
    page = await look(address(await serve(scene), "/requests?key=alice"))
    scene.running_list = [running("r_bob", key="bob"), running("r_alice", key="alice")]
    await expect(page.locator("#r-r_alice")).to_be_visible()
    await expect(page.locator("#r-r_bob")).to_have_count(0)


async def test_a_focused_link_keeps_its_focus_through_updates(serve, look, address):
    scene = busy()
    page = await look(address(await serve(scene), "/requests"))
    first = scene.running_list[0]
    link = page.locator(f"#r-{first.id} a")
    await link.focus()
    for tokens in range(3000, 3005):
        scene.running_list = [replace(first, output_tokens=tokens), *scene.running_list[1:]]
        scene.finished_list = [finished(f"r_{tokens}", scene.now - 1), *scene.finished_list]
        await expect(page.locator(f"#r-{first.id}")).to_contain_text(f"{tokens:,}")
    await expect(link).to_be_focused()


async def test_what_is_typed_stays_while_the_page_lives(serve, look, address):
    scene = busy()
    page = await look(address(await serve(scene), "/requests"))
    await page.keyboard.press("/")
    await page.keyboard.type("gpt")
    scene.running_list = [running("r_new")]
    await expect(page.locator("#r-r_new")).to_be_visible()
    await expect(page.locator("input[name=q]")).to_have_value("gpt")
    await expect(page.locator("input[name=q]")).to_be_focused()


async def test_a_request_is_watched_until_it_has_ended(serve, look, address):
    scene = busy()
    page = await look(address(await serve(scene), "/requests"))
    first = scene.running_list[0]
    await page.click(f"#r-{first.id} a")
    await page.wait_for_url(f"**/requests/{first.id}")
    await expect(page.locator("#request-head")).to_contain_text("Decoding")
    await expect(page.locator(".controls .live")).to_have_text("Live")
    scene.running_list = scene.running_list[1:]
    scene.finished_list = [finished(first.id, scene.now), *scene.finished_list]
    await expect(page.locator("#request-head .pill")).to_have_text("200")
    await expect(page.locator("#request-detail")).to_contain_text("Timeline")


async def test_an_opened_recipe_stays_open(serve, look, address):
    scene = busy()
    page = await look(address(await serve(scene), "/config"))
    await page.click("text=Claude Code")
    scene.state = replace(scene.state, reload_error="line 3: no")
    await expect(page.locator("#config-state")).to_contain_text("line 3: no")
    await expect(page.locator("text=ANTHROPIC_BASE_URL")).to_be_visible()


async def test_two_keys_go_to_a_page(serve, look, address):
    page = await look(address(await serve(busy())))
    await page.keyboard.press("g")
    await page.keyboard.press("b")
    await page.wait_for_url("**/backends")


@pytest.mark.parametrize("path", PATHS)
async def test_pages_are_complete_without_javascript(serve, look, address, path):
    page = await look(address(await serve(busy()), path), live=False, java_script_enabled=False)
    await expect(page.locator("#nav [aria-current]")).to_be_visible()
    await expect(page.locator("main .card").first).to_be_visible()
