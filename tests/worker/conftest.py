"""Workplaces with simulated backends, and a socket to accept on; ended after each test."""

import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterator
from typing import Any

import pytest
from worker.workplace import Workplace

from multiproxy.simulator import Server, Settings, start

Staff = Callable[..., Awaitable[tuple[Workplace, list[Server]]]]


@pytest.fixture
async def staff() -> AsyncIterator[Staff]:
    """``workplace, servers = await staff(2, config={...}, slots=1)``: that many simulators."""
    opened: list[tuple[Workplace, list[Server]]] = []

    async def begin(
        count: int = 1,
        *,
        config: dict[str, Any] | None = None,
        native: Collection[int] = (),
        **settings: Any,
    ) -> tuple[Workplace, list[Server]]:
        fast = {"tokens_per_second": 0, "prompt_tokens_per_second": 0} | settings
        servers = [await start(Settings(**fast)) for _ in range(count)]
        workplace = Workplace(*(server.port for server in servers), config=config, native=native)
        opened.append((workplace, servers))
        return workplace, servers

    yield begin
    for workplace, servers in opened:
        workplace.close()
        for server in servers:
            await server.close()


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as opened:
        yield opened
