#!/usr/bin/env python3
"""Makes the pictures of every page in docs/screenshots: dark and light, 1440 and 390 wide.

    python scripts/screenshots.py [FOLDER]

The dashboard is the real one over the plain values of tests/dashboard_scene.py, so that two runs
give the same pictures; only the Playground asks a simulated llama-server. Needs the packages of
requirements-test.txt, and Chromium.
"""

import asyncio
import shutil
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from dashboard_scene import NOW, Scene, attempt, busy, finished  # noqa: E402
from playwright.async_api import Browser, Page, async_playwright, expect  # noqa: E402

from multiproxy.simulator import Settings, start  # noqa: E402
from multiproxy.supervisor.dashboard import Dashboard  # noqa: E402

SIZES = {1440: 800, 390: 844}  # width -> height of what is seen
RETRIED = "9f2c12ab34cd"
PAGES = {
    "overview": "/",
    "requests": "/requests",
    "request": f"/requests/{RETRIED}",
    "backends": "/backends",
    "models": "/models",
    "usage": "/usage",
    "config": "/config",
    "playground": "/try",
}
CONFIG_TEXT = """listen: 127.0.0.1:8001
dashboard:
  listen: 127.0.0.1:8080
backends:
  - id: gpu-a
    url: http://10.0.0.11:8080
    api_key: '***'
    slots: auto
"""


class Idle:
    """``Actions`` that do nothing: the buttons are there."""

    def cancel(self, request_id: str) -> bool:
        return True

    def drain(self, backend: str) -> bool:
        return True

    def resume(self, backend: str) -> bool:
        return True

    async def reload(self) -> str:
        return ""


def scene(api_url: str) -> Scene:
    """The busy scene, and one request that was retried."""
    found = busy()
    failed = attempt("gpu-c", reason="least_busy", busy=1, slots=4, ready=3, candidates=3,
                     chosen_s=0.004, sent_s=0.007, first_s=None, ended_s=1.82,
                     error="backend_disconnected", was_retried=True)  # fmt: skip
    second = attempt("gpu-a", reason="only_ready", busy=3, slots=4, ready=1, candidates=3,
                     waited_s=1.58, chosen_s=3.4, sent_s=3.402, first_s=4.4,
                     ended_s=15.6)  # fmt: skip
    story = finished(
        RETRIED, NOW - 70, total_s=15.61, attempts=2, path=(failed, second), ttft_s=4.4,
        tokens_per_s=58.6, prompt_tokens=12_044, cached_tokens=0, output_tokens=655, queue_s=1.58,
        prefill_s=0.98, decode_s=11.2, requested_model="claude-sonnet-4", key="claude-code",
        api="messages", client="192.168.1.40", user_agent="claude-cli/2.1",
        finish_reason="end_turn",
    )  # fmt: skip
    found.finished_list.append(story)
    found.state = replace(found.state, api_url=api_url, config_text=CONFIG_TEXT)
    return found


@asynccontextmanager
async def served() -> AsyncIterator[str]:
    """The address of a dashboard, with a simulated server as its API."""
    simulator = await start(Settings(tokens_per_second=60, prompt_tokens_per_second=40))
    shown = scene(f"http://127.0.0.1:{simulator.port}/v1")
    dashboard = Dashboard(shown, boot_id="b", version="0.1.0", now=shown.clock, actions=Idle())
    await dashboard.start("127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{dashboard.addresses[0][1]}"
    finally:
        await dashboard.close()
        await simulator.close()


async def picture(browser: Browser, url: str, name: str, theme: str, width: int) -> bytes:
    viewport = {"width": width, "height": SIZES[width]}
    context = await browser.new_context(
        viewport=viewport,  # type: ignore[arg-type]
        color_scheme=theme,  # type: ignore[arg-type]
        reduced_motion="reduce",
        is_mobile=width < 500,
        timezone_id="Europe/Berlin",
    )
    page = await context.new_page()
    await page.goto(url + PAGES[name])
    await page.wait_for_selector(".controls [data-state=on]", state="attached")
    if name == "playground":
        await play(page)
    await page.evaluate("document.fonts.ready")
    image = await page.screenshot()
    await context.close()
    return image


async def play(page: Page) -> None:
    await page.fill("[name=model]", "demo")
    await page.fill("[name=prompt]", "Why is the sky blue? Answer in three sentences.")
    await page.fill("[name=max_tokens]", "90")
    await page.get_by_role("button", name="Send").click()
    await expect(page.locator("[data-try-state]")).to_have_text("complete")


async def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    arguments = ["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"]
    async with async_playwright() as playwright, served() as url:
        browser = await playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=arguments
        )
        for name in PAGES:
            for theme in ("dark", "light"):
                for width in SIZES:
                    path = folder / f"{name}-{width}-{theme}.png"
                    path.write_bytes(await picture(browser, url, name, theme, width))
                    print(path, path.stat().st_size)
        await browser.close()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]) if sys.argv[1:] else ROOT / "docs" / "screenshots"))
