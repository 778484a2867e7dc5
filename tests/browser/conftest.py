"""A real Chromium and a real dashboard in one event loop per test file."""

import shutil
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
import pytest_asyncio
from dashboard_client import BOOT
from dashboard_scene import Scene
from playwright.async_api import Browser, BrowserContext, Page, async_playwright

from multiproxy.supervisor.dashboard import Dashboard

CHROMIUM = shutil.which("chromium")
# A browser of a build machine: no sandbox, no graphics, no calls of its own to anywhere.
ARGUMENTS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]

# What the page's policy forbids, as the page itself sees it.
WATCH = """
window.violations = [];
document.addEventListener("securitypolicyviolation", (event) =>
  window.violations.push(`${event.violatedDirective} ${event.blockedURI}`));
window.loadedAt = performance.now() + Math.random();
"""

Serve = Callable[..., Awaitable[Dashboard]]
Open = Callable[..., Awaitable[Page]]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if CHROMIUM is None:
        skip = pytest.mark.skip(reason="chromium is not installed (apt-get install chromium)")
        for item in items:
            if "browser" in item.path.parts:
                item.add_marker(skip)


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def browser() -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        await browser.close()


@pytest_asyncio.fixture(loop_scope="module")
async def serve() -> AsyncIterator[Serve]:
    """Starts a dashboard over a scene; ``port`` takes the place of one that was closed."""
    started: list[Dashboard] = []

    async def start(scene: Scene, port: int = 0, boot: str = BOOT, **options: object) -> Dashboard:
        dashboard = Dashboard(
            scene, boot_id=boot, version="0.1.0", now=scene.clock, tick_s=0.05,
            **options,  # type: ignore[arg-type]
        )  # fmt: skip
        await dashboard.start("127.0.0.1", port)
        started.append(dashboard)
        return dashboard

    yield start
    for dashboard in started:
        await dashboard.close()


@pytest_asyncio.fixture(loop_scope="module")
async def look(browser: Browser) -> AsyncIterator[Open]:
    """Opens an address in a fresh profile; fails the test on an error or a policy violation."""
    contexts: list[BrowserContext] = []
    pages: list[Page] = []
    errors: list[str] = []

    async def go(url: str, *, live: bool = True, width: int = 1440, **options: object) -> Page:
        viewport = {"width": width, "height": 900}
        context = await browser.new_context(viewport=viewport, **options)  # type: ignore[arg-type]
        contexts.append(context)
        page = await context.new_page()
        if options.get("java_script_enabled", True):
            await page.add_init_script(WATCH)
            pages.append(page)
        page.on("pageerror", lambda error: errors.append(str(error)))
        await page.goto(url)
        if live:
            await page.wait_for_selector(".controls [data-state=on]", state="attached")
        return page

    yield go
    violations = [line for page in pages for line in await page.evaluate("window.violations")]
    for context in contexts:
        await context.close()
    assert violations == []
    assert errors == []


def url_of(dashboard: Dashboard, path: str = "/") -> str:
    host, port = dashboard.addresses[0]
    return f"http://{host}:{port}{path}"


@pytest.fixture
def address() -> Callable[..., str]:
    return url_of
