"""The first page in a real browser: policy, live updates, widths, keys, and no JavaScript."""

import asyncio
from dataclasses import replace

import pytest
from dashboard_scene import Scene, backend, busy, finished, hostile, running
from playwright.async_api import expect

from multiproxy.supervisor.dashboard.feed import Look
from multiproxy.supervisor.dashboard.views import EventView

pytestmark = pytest.mark.asyncio(loop_scope="module")

WIDTHS = [390, 640, 768, 1024, 1280, 1440, 1920]


@pytest.mark.parametrize("scheme", ["dark", "light"])
async def test_the_policy_is_never_violated(serve, look, address, scheme):
    page = await look(address(await serve(busy())), color_scheme=scheme)
    await page.wait_for_timeout(500)  # several ticks; the fixture looks at the violations


async def test_a_new_request_appears_without_a_reload(serve, look, address):
    scene = busy()
    page = await look(address(await serve(scene)))
    loaded = await page.evaluate("window.loadedAt")
    scene.running_list = [*scene.running_list, running("r_new", model="brand-new-model")]
    await expect(page.locator("#r-r_new .model")).to_have_text("brand-new-model")
    scene.running_list = []
    scene.finished_list = [finished("r_new", scene.now), *scene.finished_list]
    await expect(page.locator("#finished #r-r_new")).to_be_visible()
    await expect(page.locator("#running tr")).to_have_count(0)
    assert await page.evaluate("window.loadedAt") == loaded


async def test_rows_and_selected_text_survive_updates(serve, look, address):
    scene = busy()
    page = await look(address(await serve(scene)))
    first = scene.running_list[0]
    await page.evaluate(
        """(id) => {
            window.row = document.getElementById(id);
            getSelection().selectAllChildren(window.row.querySelector(".model"));
        }""",
        f"r-{first.id}",
    )
    for tokens in range(2000, 2010):
        scene.running_list = [replace(first, output_tokens=tokens), *scene.running_list[1:]]
        await expect(page.locator(f"#r-{first.id}")).to_contain_text(f"{tokens:,}")
    assert await page.evaluate("window.row.isConnected")
    assert await page.evaluate("getSelection().toString()") == first.model


async def test_drawings_inside_a_morphed_card_stay_drawings(serve, look, address):
    scene = busy()
    page = await look(address(await serve(scene)))
    scene.finished_list = scene.finished_list[::2]
    scene.backend_list = [*scene.backend_list, backend("fresh", slots_busy=1)]
    await expect(page.locator("#backends")).to_contain_text("fresh")
    spaces = await page.evaluate(
        """[...document.querySelectorAll("svg, svg *")].map((e) => e.namespaceURI)"""
    )
    assert set(spaces) == {"http://www.w3.org/2000/svg"}


@pytest.mark.parametrize("width", WIDTHS)
async def test_nothing_scrolls_sideways(serve, look, address, width):
    scene = busy()
    scene.backend_list.append(backend("b" * 80, address="h" * 80 + ":1", models=("m" * 120,)))
    scene.running_list.append(running("r_long", model="m" * 120, key="k" * 80, backend="b" * 80))
    page = await look(address(await serve(scene)), width=width)
    document = "document.documentElement"
    assert await page.evaluate(f"{document}.scrollWidth <= {document}.clientWidth")


async def test_the_page_is_complete_without_javascript(serve, look, address):
    page = await look(address(await serve(busy())), live=False, java_script_enabled=False)
    await expect(page.locator("#backends tbody tr")).to_have_count(5)
    await expect(page.locator("#running tr")).to_have_count(7)
    await expect(page.locator(".controls .live")).to_have_text("Every 10 s")
    await expect(page.locator("[data-act=pause]")).to_be_hidden()
    await page.locator("[data-theme-form] button").click()
    await expect(page.locator("html[data-theme=dark]")).to_be_visible()


async def test_the_theme_changes_at_once_and_is_remembered(serve, look, address):
    url = address(await serve(Scene()))
    page = await look(url, color_scheme="light")
    loaded = await page.evaluate("window.loadedAt")
    background = "getComputedStyle(document.body).backgroundColor"
    assert await page.evaluate(background) == "rgb(247, 248, 250)"
    await page.keyboard.press("t")
    assert await page.evaluate(background) == "rgb(10, 12, 16)"
    assert await page.evaluate("window.loadedAt") == loaded
    await page.reload()
    await expect(page.locator("html[data-theme=dark]")).to_be_visible()


async def test_a_paused_page_stands_still_and_catches_up(serve, look, address):
    scene = busy()
    page = await look(address(await serve(scene)))
    await page.keyboard.press("p")
    await expect(page.locator(".controls .live")).to_have_text("Paused")
    scene.running_list = [running("r_new")]
    await page.wait_for_timeout(300)
    await expect(page.locator("#r-r_new")).to_have_count(0)
    await page.keyboard.press("p")
    await expect(page.locator("#r-r_new")).to_be_visible()
    await expect(page.locator(".controls .live")).to_have_text("Live")


async def test_a_restart_of_the_same_files_needs_one_reload(serve, look, address):
    dashboard = await serve(busy())
    port = dashboard.addresses[0][1]
    page = await look(address(dashboard))
    loaded = await page.evaluate("window.loadedAt")
    await dashboard.close()
    await expect(page.locator(".controls .live")).to_have_text("Reconnecting")
    await serve(busy(), port, "another boot")
    await expect(page.locator("body[data-boot='another boot']")).to_be_visible()
    await expect(page.locator(".controls .live")).to_have_text("Live")
    reloaded = await page.evaluate("window.loadedAt")
    assert reloaded != loaded
    await page.wait_for_timeout(500)
    assert await page.evaluate("window.loadedAt") == reloaded


async def test_a_page_without_a_seat_asks_for_the_fragments_itself(serve, look, address):
    scene = busy()
    dashboard = await serve(scene)
    seats = [dashboard.feed.join(Look("overview")) for _ in range(32)]
    page = await look(address(dashboard), live=False)
    await expect(page.locator(".controls .live")).to_have_text("Reconnecting")
    scene.running_list = [running("r_new")]
    await expect(page.locator("#r-r_new")).to_be_visible(timeout=15_000)
    for seat in seats:
        seat.close()
    await expect(page.locator(".controls .live")).to_have_text("Live", timeout=15_000)


async def test_a_slow_script_does_not_lose_the_stream(serve, look, address):
    url = address(await serve(busy()))
    page = await look("about:blank", live=False)

    async def late(route):
        await asyncio.sleep(0.5)
        await route.continue_()

    await page.route("**/vendor/*.js", late)
    await page.goto(url)
    await expect(page.locator(".controls .live")).to_have_text("Live")


@pytest.mark.parametrize("width", [390, 1440])
async def test_markup_from_outside_never_becomes_markup(serve, look, address, width):
    payload = "<img src=x onerror='window.pwned=1'><script>window.pwned=1</script>\"'" + "x" * 90
    scene = busy()
    scene.backend_list = [hostile(view, payload) for view in scene.backend_list]
    scene.running_list = [hostile(view, payload) for view in scene.running_list]
    scene.finished_list = [hostile(view, payload) for view in scene.finished_list]
    page = await look(address(await serve(scene)), width=width)
    scene.running_list = scene.running_list[1:]
    await expect(page.locator("#running tr")).to_have_count(6)
    assert await page.evaluate("window.pwned") is None
    assert await page.locator("img").count() == 0
    await expect(page.locator("#backends tbody .name").first).to_have_text(payload)
    document = "document.documentElement"
    assert await page.evaluate(f"{document}.scrollWidth <= {document}.clientWidth")


async def test_nothing_moves_while_the_page_loads(serve, look, address):
    page = await look("about:blank", live=False)
    await page.add_init_script(
        """window.shift = 0;
        new PerformanceObserver((list) => {
            for (const entry of list.getEntries()) window.shift += entry.value;
        }).observe({ type: "layout-shift", buffered: true });"""
    )
    await page.goto(address(await serve(busy())))
    await expect(page.locator(".controls .live")).to_have_text("Live")
    await page.wait_for_timeout(300)
    assert await page.evaluate("window.shift") < 0.02


async def test_nothing_moves_when_motion_is_unwanted(serve, look, address):
    page = await look(address(await serve(busy())), reduced_motion="reduce")
    assert await page.evaluate("document.getAnimations().length") == 0


async def test_a_backend_that_went_down_is_a_line_in_the_chart(serve, look, address):
    scene = busy()
    page = await look(address(await serve(scene)))
    text = "gpu-c is down: connection refused"
    scene.event_list = [EventView(1, scene.now - 150, "warn", text, "gpu-c down")]
    line = page.locator("#throughput .event line")
    await expect(line).to_have_attribute("x1", "50.2%")
    await expect(page.locator("#throughput .event text")).to_have_text("gpu-c down")
    box, chart = await line.bounding_box(), await page.locator("#throughput .chart").bounding_box()
    assert box["height"] == pytest.approx(chart["height"], abs=1)
    assert box["x"] == pytest.approx(chart["x"] + 0.502 * chart["width"], abs=1)
