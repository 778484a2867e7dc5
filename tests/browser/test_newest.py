"""Reading further down the list of requests while new ones come."""

import pytest
from dashboard_scene import Scene, backend, finished, running
from playwright.async_api import expect

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.fixture
def scene() -> Scene:
    scene = Scene(backend_list=[backend()], running_list=[running("r_run", output_tokens=5)])
    scene.finished_list = [finished(f"r_{i}", scene.now - 2 - i) for i in range(80)]
    return scene


def ends(scene: Scene, *ids: str) -> None:
    """More requests that have ended, the last named the newest."""
    for name in ids:
        scene.finished_list = [
            finished(name, scene.now - 1 + len(scene.finished_list) / 1e4),
            *scene.finished_list,
        ]


async def scrolled(page) -> None:
    await page.locator("#r-r_30").scroll_into_view_if_needed()
    assert await page.evaluate("scrollY") > 300


async def rows(page) -> list[str]:
    return await page.evaluate("[...document.querySelectorAll('tbody tr')].map((row) => row.id)")


async def test_no_row_moves_under_a_reader_and_the_button_counts_what_is_new(
    serve, look, address, scene
):
    page = await look(address(await serve(scene), "/requests"))
    await scrolled(page)
    before, older = await rows(page), await page.get_attribute("#requests-paging a", "href")
    place = await page.locator("#r-r_30").bounding_box()
    ends(scene, "r_new1", "r_new2")
    button = page.locator("[data-act=newest]")
    await expect(button).to_have_text("2 new")
    scene.running_list = []
    ends(scene, "r_run", "r_new3")
    await expect(button).to_have_text("3 new")
    assert await rows(page) == before
    assert await page.locator("#r-r_30").bounding_box() == place
    assert await page.get_attribute("#requests-paging a", "href") == older
    await button.click()
    await expect(page.locator("#requests-finished tr").first).to_have_attribute("id", "r-r_new3")
    await expect(button).to_be_hidden()
    assert await page.evaluate("scrollY") == 0
    ends(scene, "r_new4")
    await expect(page.locator("#requests-finished tr").first).to_have_attribute("id", "r-r_new4")


async def test_who_scrolls_back_by_himself_sees_the_newest(serve, look, address, scene):
    page = await look(address(await serve(scene), "/requests"))
    await scrolled(page)
    ends(scene, "r_new")
    await expect(page.locator("[data-act=newest]")).to_have_text("1 new")
    await page.evaluate("scrollTo(0, 0)")
    await expect(page.locator("#r-r_new")).to_be_visible()
    await expect(page.locator("[data-act=newest]")).to_be_hidden()


async def test_numbers_go_on_where_no_row_moves(serve, look, address, scene):
    page = await look(address(await serve(scene), "/requests"))
    await scrolled(page)
    scene.running_list = [running("r_run", output_tokens=777)]
    await expect(page.locator("#r-r_run")).to_contain_text("777")
    await expect(page.locator("[data-act=newest]")).to_be_hidden()


async def test_an_older_page_has_no_button(serve, look, address, scene):
    page = await look(address(await serve(scene), "/requests"))
    await page.click("#requests-paging a[rel=next]")
    await page.wait_for_url("**before=**")
    await expect(page.locator("[data-act=newest]")).to_have_count(0)


async def test_j_and_k_walk_the_requests(serve, look, address, scene):
    page = await look(address(await serve(scene), "/requests"))
    focused = "document.activeElement.closest('tr')?.id"
    seen = []
    for key in "jjjkkk":
        await page.keyboard.press(key)
        seen.append(await page.evaluate(focused))
    assert seen == ["r-r_run", "r-r_0", "r-r_1", "r-r_0", "r-r_run", "r-r_run"]
