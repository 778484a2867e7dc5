"""A real dashboard on a free port, over a scene of plain values."""

from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from dashboard_client import BOOT, Served
from dashboard_scene import Scene, busy

from multiproxy.supervisor.dashboard import Dashboard

Serve = Callable[..., Awaitable[Served]]


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    """Starts a dashboard over a scene: ``await serve(scene, allowed_hosts=...)``."""
    started: list[Served] = []

    async def start(scene: Scene | None = None, **options: object) -> Served:
        scene = scene or busy()
        dashboard = Dashboard(
            scene,
            boot_id=BOOT,
            version="0.1.0",
            now=scene.clock,
            tick_s=0.01,
            **options,  # type: ignore[arg-type]
        )
        await dashboard.start("127.0.0.1", 0)
        served = Served(dashboard, scene, dashboard.addresses[0][1])
        started.append(served)
        return served

    yield start
    for served in started:
        for client in served.clients:
            client.close()
        await served.dashboard.close()
