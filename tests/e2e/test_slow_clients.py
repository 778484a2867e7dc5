"""A client that never reads costs a bounded number of bytes, and nobody else anything."""

import asyncio
from contextlib import AsyncExitStack

from e2e.raw_client import Client, ask, chat
from multiproxy_process import memory_of

from multiproxy.simulator import Settings

READERS = 60  # what they all share must not count
MOST = 160 * 1024  # bytes of user space for each: a write buffer's mark and one read


async def test_clients_that_never_read_are_bounded_and_cut_while_others_are_served(house):
    """The backend has many megabytes for each; a pause reaches it through both kernels."""
    fast = Settings(slots=READERS + 4, tokens_per_second=0, prompt_tokens_per_second=0)
    place = await house(fast, timeouts={"write_stall": "3s"})
    (pid,) = place.proxy.worker_pids()
    assert (await ask(place.port, chat("warm", max_tokens=2_000))).outcome == "ok"
    before = memory_of(pid)
    async with AsyncExitStack() as stack:
        for number in range(READERS):
            client = await stack.enter_async_context(Client(place.port))
            client.writer.transport.pause_reading()
            client.send(chat(f"never read {number}", max_tokens=1_000_000, ignore_eos=True))
        most = 0
        while len([line for line in place.proxy.log_lines() if line.get("status") == 499]) < (
            READERS
        ):
            most = max(most, memory_of(pid))
            assert (await ask(place.port, chat("others", max_tokens=20))).outcome == "ok"
            await asyncio.sleep(0.05)
    assert (most - before) / READERS < MOST
    while any(each.engine.running for each in place.simulators):
        await asyncio.sleep(0.02)
