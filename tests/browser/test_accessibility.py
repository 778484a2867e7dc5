"""axe-core's rules on every page, in both themes, wide and narrow."""

from importlib.resources import files

import pytest
from dashboard_scene import attempt, busy, finished
from playwright.async_api import expect

from multiproxy.supervisor.dashboard.pages import PAGES

pytestmark = pytest.mark.asyncio(loop_scope="module")

AXE = files("axe_playwright_python").joinpath("axe.min.js").read_text()
SHOWN = {"request": "r_1", "backend": "gpu-a"}
RUN = "async () => (await axe.run(document)).violations"


def scene():
    found = busy()
    path = (attempt("gpu-c", error="backend_timeout", was_retried=True, ended_s=0.4), attempt())
    found.finished_list.insert(0, finished("r_1", attempts=2, path=path, error="backend_timeout"))
    return found


@pytest.mark.parametrize("width", [390, 1440])
@pytest.mark.parametrize("theme", ["dark", "light"])
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
async def test_a_page_breaks_no_rule(serve, look, address, page, theme, width):
    url = address(await serve(scene()), page.path.format(id=SHOWN.get(page.name)))
    shown = await look(
        url, color_scheme=theme, width=width, bypass_csp=True, reduced_motion="reduce"
    )
    await shown.add_script_tag(content=AXE)
    found = await shown.evaluate(RUN)
    assert [(each["id"], [node["target"] for node in each["nodes"]]) for each in found] == []


async def test_a_question_mark_lists_the_keys_and_escape_closes_the_list(serve, look, address):
    shown = await look(address(await serve(scene())))
    await shown.keyboard.press("?")
    await expect(shown.get_by_role("dialog")).to_contain_text("Requests")
    await shown.keyboard.press("Escape")
    await expect(shown.get_by_role("dialog")).to_have_count(0)


async def test_every_page_of_the_navigation_has_its_keys(serve, look, address):
    shown = await look(address(await serve(scene())))
    for key, page in (("y", "/try"), ("u", "/usage"), ("m", "/models"), ("o", "/")):
        await shown.keyboard.press("g")
        await shown.keyboard.press(key)
        await shown.wait_for_url(f"**{page}")
        await shown.wait_for_selector(".controls [data-state=on]", state="attached")
