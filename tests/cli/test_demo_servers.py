"""The demo's servers, and what the flaky one does."""

import asyncio
import random
import socket

import pytest

from multiproxy.cli import demo_servers
from multiproxy.cli.demo_servers import FAULTS, FLAKY, SERVERS, misbehave, open_servers
from multiproxy.simulator import Settings
from multiproxy.simulator.faults import Fault


@pytest.mark.parametrize("values", FAULTS, ids=lambda values: values["kind"])
def test_every_fault_is_one_of_the_simulators(values):
    assert Fault.of(values).kind == values["kind"]


@pytest.mark.parametrize("name", SERVERS)
def test_every_server_is_one_the_simulator_can_be(name):
    assert Settings(**SERVERS[name]).model


async def test_servers_answer_on_the_sockets_they_were_given():
    sock = socket.create_server(("127.0.0.1", 0))
    port = sock.getsockname()[1]
    opened = await open_servers({FLAKY: sock.detach()})
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET /health HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
    assert (await reader.read()).startswith(b"HTTP/1.1 200 ")
    writer.close()
    await opened[FLAKY].close()


async def test_the_flaky_one_misbehaves_again_and_again(monkeypatch):
    monkeypatch.setattr(demo_servers, "FAULT_S", 0.0)
    done = asyncio.Event()
    faults = []

    class Server:
        def set_faults(self, wanted):
            faults.append(wanted)
            if len(faults) == 20:
                done.set()

    task = asyncio.create_task(misbehave(Server(), random.Random(1)))
    async with asyncio.timeout(20):
        await done.wait()
    task.cancel()
    assert {fault["kind"] for (fault,) in faults[:20]} == {each["kind"] for each in FAULTS}
    assert all(fault is not each for (fault,) in faults for each in FAULTS)
