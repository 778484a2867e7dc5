"""The demo's clients: which there are, and what they send."""

import asyncio
import json
import random

from multiproxy.cli.demo_servers import SERVERS
from multiproxy.cli.demo_traffic import AGENTS, Request, send, some_request


def sample(count=600):
    chance = random.Random(1)
    return [some_request(chance) for _ in range(count)]


def body_of(request):
    return request.raw.partition(b"\r\n\r\n")[2]


def test_every_kind_of_client_comes():
    requests = sample()
    paths = {request.raw.split(b" ")[1] for request in requests}
    assert paths == {
        b"/v1/chat/completions", b"/v1/messages", b"/v1/responses", b"/v1/messages/count_tokens",
    }  # fmt: skip
    whole = b"".join(request.raw for request in requests)
    assert all(agent.encode() in whole for agent in AGENTS.values())
    assert b'"gpt-5-nano"' in whole  # nobody serves that
    assert any(request.leaves_after is not None for request in requests)
    assert any(len(request.raw) > 150_000 for request in requests)


def test_what_is_sent_is_http_and_but_for_the_mistake_json():
    for request in sample():
        length = int(request.raw.partition(b"Content-Length: ")[2].split(b"\r\n")[0])
        body = body_of(request)
        assert len(body) == length
        if b"curl" not in request.raw:
            assert json.loads(body)["model"]


def test_every_server_is_asked_by_somebody():
    asked = b"".join(request.raw for request in sample(3000))
    for settings in SERVERS.values():
        assert f'"{settings["model"]}"'.encode() in asked


async def test_a_leaver_leaves_after_its_bytes():
    left = asyncio.Event()

    async def serve(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        try:
            while True:
                writer.write(b"x" * 1000)
                await writer.drain()
                await asyncio.sleep(0)
        except OSError:
            left.set()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        await send("127.0.0.1", port, Request("/", b"", "a", 3000))
        async with asyncio.timeout(20):
            await left.wait()


async def test_nobody_at_the_address_is_no_mistake():
    server = await asyncio.start_server(lambda r, w: None, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    server.close()
    await send("127.0.0.1", port, Request("/", b"", "a", None))
