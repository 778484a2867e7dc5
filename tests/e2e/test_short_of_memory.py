"""A worker that is short of memory says so with 503 until there is some again."""

import asyncio
from contextlib import AsyncExitStack

from asking import ask as ask_json
from e2e.raw_client import Client, ask, chat

from multiproxy.simulator import Settings
from multiproxy.worker.pressure import LEAST_ROOM

SIZE = 8 << 20  # of a body


async def test_requests_are_refused_while_uploads_fill_the_memory_and_served_behind_them(house):
    """The least setting leaves a worker ``LEAST_ROOM`` above what it began with."""
    place = await house(Settings(tokens_per_second=0), limits={"memory": "1MiB"})
    head = b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n"
    upload = head % SIZE + b" " * (SIZE - 1)
    assert (await ask(place.port, chat("before", max_tokens=5))).outcome == "ok"
    async with AsyncExitStack() as stack:
        for _ in range(LEAST_ROOM // SIZE - 1):
            client = await stack.enter_async_context(Client(place.port))
            client.writer.write(upload)
            await client.writer.drain()
        await asyncio.to_thread(
            place.proxy.wait_for_log, lambda line: "refuses requests" in line.get("text", "")
        )
        status, answer = await asyncio.to_thread(
            ask_json, place.proxy.url, "POST", "/v1/chat/completions", {"messages": []}
        )
        assert (status, answer["error"]["code"]) == (503, "overloaded")
        assert "short of memory" in answer["error"]["message"]
        assert (await asyncio.to_thread(ask_json, place.proxy.url, "GET", "/v1/models"))[0] == 200
    await asyncio.to_thread(
        place.proxy.wait_for_log, lambda line: "has memory again" in line.get("text", "")
    )
    assert (await ask(place.port, chat("behind", max_tokens=5))).outcome == "ok"
