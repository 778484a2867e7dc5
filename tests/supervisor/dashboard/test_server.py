"""The dashboard as a whole: where it listens, how it ends."""

import socket

from dashboard_client import request
from dashboard_scene import Scene

from multiproxy.supervisor.dashboard import Dashboard, server


async def test_a_bound_socket_is_taken_as_it_is():
    listener = socket.create_server(("127.0.0.1", 0))
    dashboard = Dashboard(Scene(), boot_id="b", version="1")
    await dashboard.start(sock=listener)
    assert dashboard.addresses == [listener.getsockname()]
    await dashboard.close()


async def test_further_names_are_answered_to(serve):
    served = await serve(allowed_hosts=["gpu.lan"])
    assert (await served.get("/healthz", host="gpu.lan:8080")).status == 200
    assert (await served.get("/healthz", host="other.lan:8080")).status == 421


async def test_closing_says_goodbye_to_the_streams(serve):
    served = await serve()
    client = await served.connect()
    client.send(request("GET", "/live/overview"))
    await client.head()
    for _ in range(3):
        await client.event()
    await served.dashboard.close()
    assert await client.event() == "event: mp:bye\ndata: {}"


async def test_closing_ends_idle_connections_and_the_listener(serve):
    served = await serve()
    client = await served.connect()
    client.send(request("GET", "/healthz"))
    await client.answer()
    await served.dashboard.close()
    assert await client.at_end()
    try:
        await served.connect()
    except ConnectionRefusedError:
        return
    raise AssertionError("still listening")


async def test_connections_over_the_limit_are_closed_unanswered(serve, monkeypatch):
    monkeypatch.setattr(server, "MAX_CONNECTIONS", 1)
    served = await serve()
    first = await served.connect()
    first.send(request("GET", "/healthz"))
    await first.answer()
    second = await served.connect()
    assert await second.at_end()
