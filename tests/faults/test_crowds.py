"""L4, the long form: large bodies all at once.

L3 is tests/e2e/test_slow_clients.py, L7 is tests/e2e/test_queueing.py.
"""

import asyncio
import contextlib

import pytest
from asking import ask
from e2e.raw_client import Client
from multiproxy_process import memory_of
from waiting import until

pytestmark = [pytest.mark.usefixtures("only_full"), pytest.mark.timeout(600)]
MIB = 1 << 20


async def test_large_bodies_at_once_cost_what_they_hold(arena, seed, tell):
    """L4. 64 uploads of 8 MiB, each but for its last byte; then their clients leave."""
    uploads, size = 64, 8 * MIB
    arena.injector.start()
    proxy = await asyncio.to_thread(arena.serve)
    (pid,) = proxy.worker_pids()
    before = memory_of(pid)
    head = b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n"
    data = head % size + b"x" * (size - 1)
    async with contextlib.AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(Client(proxy.port)) for _ in range(uploads)]
        for client in clients:
            client.writer.write(data)
        for client in clients:
            await client.writer.drain()
        await asyncio.to_thread(until, lambda: memory_of(pid) - before > uploads * size * 0.99, 60)
        most = max(memory_of(pid) - before for _ in range(50))
    await asyncio.to_thread(until, lambda: memory_of(pid) - before < uploads * MIB, 30)
    assert most < uploads * 10 * MIB
    left = memory_of(pid) - before
    assert ask(proxy.url, "GET", "/v1/models")[0] == 200
    tell(f"{uploads} bodies of 8 MiB: {most / MIB:.0f} MiB at most, {left / MIB:.0f} MiB behind")
