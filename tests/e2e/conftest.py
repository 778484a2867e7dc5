"""Simulated backends in the test's own loop, and a real MultiProxy in front of them."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

import pytest
from multiproxy_process import MultiProxyProcess

from multiproxy import simulator
from multiproxy.simulator import Settings

StartHouse = Callable[..., Coroutine[Any, Any, "House"]]


class House:
    """Some simulators and the MultiProxy before them."""

    def __init__(self, simulators: list[Any], proxy: MultiProxyProcess) -> None:
        self.simulators = simulators
        self.proxy = proxy
        self.port = proxy.port

    @property
    def generations(self) -> int:
        return sum(each.facts.generations for each in self.simulators)

    async def logged(self, count: int) -> list[dict[str, Any]]:
        """The access log's lines, once there are ``count`` of them."""
        while True:
            lines = [line for line in self.proxy.log_lines() if line["event"] == "request"]
            if len(lines) >= count:
                return lines
            await asyncio.sleep(0.05)


@pytest.fixture
async def house(multiproxy_process: Callable[..., MultiProxyProcess]) -> AsyncIterator[StartHouse]:
    """``await house(Settings(...), Settings(...), workers=2, timeouts={...})``."""
    running: list[Any] = []

    async def start(*settings: Settings, workers: int = 1, **config: Any) -> House:
        mine = [await simulator.start(each) for each in settings]
        running.extend(mine)
        backends = [
            {"id": f"sim-{number}", "url": f"http://127.0.0.1:{each.port}"}
            for number, each in enumerate(mine)
        ]
        proxy = await asyncio.to_thread(
            multiproxy_process, {"backends": backends, **config}, workers=workers
        )
        while not all(f"sim-{number} is up" in proxy.log_text() for number in range(len(mine))):
            await asyncio.sleep(0.02)
        return House(mine, proxy)

    yield start
    for each in running:
        await each.close()
