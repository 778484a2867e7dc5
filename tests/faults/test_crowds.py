"""L1 and L4, the long forms: idle streams by the thousand, large bodies all at once.

L3 is tests/e2e/test_slow_clients.py, L7 is tests/e2e/test_queueing.py.
"""

import asyncio
import contextlib
import subprocess
import sys
import time
from pathlib import Path

import pytest
from asking import ask
from e2e.raw_client import Client
from faults.arena import ENVIRONMENT
from faults.books import cpu_ticks, metrics, settled_sockets, sockets
from multiproxy_process import memory_of
from waiting import until

pytestmark = [pytest.mark.usefixtures("only_full"), pytest.mark.timeout(1800)]
MIB = 1 << 20
KIB = 1 << 10
SLOTS = 512  # of a backend; more cost a simulated one more time than its tokens
STALL = "stall:path=/v1/chat/completions,match=idle,after_events=5"
IDLE_S = 30.0  # three signs of life for each stream


def descriptors(pid):
    return sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir())


def test_ten_thousand_streams_on_which_nothing_moves_cost_kilobytes_each(arena, seed, tell):
    """L1. Each has its first token, and waits for the second one."""
    streams = 10_000
    for _ in range(-(-streams // SLOTS)):
        arena.injector.start([[STALL]], settings={"slots": SLOTS})
    proxy = arena.serve(
        workers=2,
        limits={"connections": 2 * streams, "queue": streams},
        timeouts={"idle": "1h"},
    )
    workers = proxy.worker_pids()
    # What all streams share, such as code that is loaded for the first one, must not count.
    arena.load(proxy.port, requests=100, seed=seed, leaving=1.0).report().check("left", "ok")
    before = settled_sockets(proxy, sockets(proxy))
    memory = [memory_of(pid) for pid in workers]
    crowd = subprocess.Popen(
        [sys.executable, "-m", "faults.idle_crowd", str(proxy.port), str(streams)],
        env=ENVIRONMENT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with crowd:
        try:
            assert crowd.stdout.readline() == f"open {streams}\n"
            held = [descriptors(pid) for pid in workers]
            ticks, began = sum(map(cpu_ticks, workers)), time.monotonic()
            time.sleep(IDLE_S)
            busy = (sum(map(cpu_ticks, workers)) - ticks) / (time.monotonic() - began)
            grown = [memory_of(pid) - was for pid, was in zip(workers, memory, strict=True)]
            assert ask(proxy.url, "GET", "/v1/models")[0] == 200
            crowd.stdin.close()
            assert crowd.stdout.readline() == "ended 0\n"
        finally:
            crowd.kill()
    until(lambda: all(b <= a for a, b in zip(before, sockets(proxy), strict=True)), 60)
    until(lambda: metrics(proxy)["multiproxy_requests_running"] == 0, 60)
    assert sum(grown) / streams < 18 * KIB
    assert sum(grown) + sum(memory) < 256 * MIB
    tell(
        f"{streams} idle streams: {sum(grown) / streams / KIB:.1f} KiB each, "
        f"{(sum(grown) + sum(memory)) / MIB:.0f} MiB in all, {held} descriptors, "
        f"{busy:.0f} % of a core; all gone afterwards"
    )


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
