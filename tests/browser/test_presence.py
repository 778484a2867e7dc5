"""A tab that is hidden, a program that is gone, an update of a program that runs on."""

import pytest
from dashboard_scene import busy, running
from playwright.async_api import expect

pytestmark = pytest.mark.asyncio(loop_scope="module")

HIDE = """(hidden) => {
  Object.defineProperty(document, "hidden", { configurable: true, get: () => hidden });
  const state = hidden ? "hidden" : "visible";
  Object.defineProperty(document, "visibilityState", { configurable: true, get: () => state });
  document.dispatchEvent(new Event("visibilitychange"));
}"""


async def until(page, look):
    for _ in range(200):
        if look():
            return
        await page.wait_for_timeout(50)
    raise AssertionError("never")


async def test_a_hidden_tab_has_no_stream_and_is_current_when_it_is_seen_again(
    serve, look, address
):
    scene = busy()
    dashboard = await serve(scene)
    page = await look(address(dashboard))
    assert len(dashboard.feed) == 1
    await page.evaluate(HIDE, True)
    await until(page, lambda: len(dashboard.feed) == 0)
    scene.running_list = [running("r_meanwhile")]
    await page.evaluate(HIDE, False)
    await expect(page.locator("#r-r_meanwhile")).to_be_visible()
    await expect(page.locator(".controls .live")).to_have_text("Live")
    assert len(dashboard.feed) == 1


async def test_one_tab_has_one_stream_on_every_page(serve, look, address):
    dashboard = await serve(busy())
    page = await look(address(dashboard))
    for path in ("/requests", "/backends", "/config", "/try"):
        await page.goto(address(dashboard, path))
        await page.wait_for_selector(".controls [data-state=on]", state="attached")
        await until(page, lambda: len(dashboard.feed) == 1)


async def test_a_program_that_is_gone_is_reconnecting_and_then_offline(serve, look, address):
    dashboard = await serve(busy())
    page = await look("about:blank", live=False)
    await page.clock.install()
    await page.goto(address(dashboard))
    await page.wait_for_selector(".controls [data-state=on]", state="attached")
    await dashboard.close()
    pill = page.locator(".controls .live")
    await page.clock.run_for(1000)
    await expect(pill).to_have_text("Reconnecting")
    await page.clock.run_for(16_000)
    await expect(pill).to_have_text("Offline")
    await expect(page.locator("body")).to_have_attribute("data-stale", "")


@pytest.mark.parametrize("path", ["/", "/requests", "/backends", "/models", "/usage", "/try"])
async def test_states_are_told_apart_without_colour(serve, look, address, path):
    """Forced colours take every tint away: each state must still have its own shape or word."""
    page = await look(address(await serve(busy()), path), forced_colors="active")
    shapes = await page.eval_on_selector_all(
        ".side-backends .dot path", "found => found.map((path) => path.getAttribute('d'))"
    )
    assert len(set(shapes)) == 3  # up, loading, down


async def test_a_printed_page_is_light_and_has_no_controls(serve, look, address):
    page = await look(address(await serve(busy())), color_scheme="dark")
    await page.emulate_media(media="print")
    await expect(page.locator("#nav")).to_be_hidden()
    await expect(page.locator(".controls")).to_be_hidden()
    ground = await page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert ground == "rgb(255, 255, 255)"
