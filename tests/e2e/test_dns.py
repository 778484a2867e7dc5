"""Backends found by DNS: a real name server changes its mind while streams run."""

import asyncio
import contextlib
import os
import shutil
import signal
import socket
import subprocess

import pytest
from e2e.raw_client import ask, chat
from multiproxy_process import free_port
from waiting import until

from multiproxy import simulator
from multiproxy.simulator import Settings

SETTINGS = Settings(slots=128, tokens_per_second=50, prompt_tokens_per_second=0)


class NameServer:
    """dnsmasq, which knows one name: ``gpu.test``."""

    def __init__(self, folder, port):
        self._hosts = folder / "hosts"
        self._hosts.write_text("")
        self._process = subprocess.Popen(
            [
                "dnsmasq", "--no-daemon", "--conf-file=/dev/null", f"--port={port}", "--no-resolv",
                "--listen-address=127.0.0.1", "--bind-interfaces", "--no-hosts", "--local-ttl=1",
                f"--addn-hosts={self._hosts}", "--user=", "--pid-file=",
            ],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip

    def says(self, addresses):
        self._hosts.write_text("".join(f"{each} gpu.test\n" for each in addresses))
        self._process.send_signal(signal.SIGHUP)

    def close(self):
        self._process.terminate()
        self._process.wait(10)


def is_open(port):
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
        return True


@pytest.fixture
def dns(tmp_path, monkeypatch):
    if not shutil.which("dnsmasq"):
        if "MULTIPROXY_SKIP_NOTHING" in os.environ:
            pytest.fail("there is no dnsmasq here")
        pytest.skip("there is no dnsmasq here")
    port = free_port()
    resolv = tmp_path / "resolv.conf"
    resolv.write_text(f"nameserver 127.0.0.1#{port}\nsearch test\n")
    monkeypatch.setenv("MULTIPROXY_RESOLV_CONF", str(resolv))
    server = NameServer(tmp_path, port)
    until(lambda: is_open(port))
    yield server
    server.close()


@pytest.fixture
async def engines():
    """Four simulators at addresses of their own and one port, as the pods of a service are."""
    first = await simulator.start(SETTINGS, "127.0.1.1")
    others = [await simulator.start(SETTINGS, f"127.0.1.{n}", first.port) for n in (2, 3, 4)]
    yield [first, *others]
    for each in (first, *others):
        await each.close()


async def until_logged(proxy, text):
    async with asyncio.timeout(40):
        while text not in proxy.log_text():
            await asyncio.sleep(0.05)


async def test_servers_come_and_go_under_streams_and_no_request_fails(
    dns, engines, multiproxy_process, full
):
    dns.says([each.host for each in engines[:2]])
    proxy = await asyncio.to_thread(
        multiproxy_process,
        {"backends": [{"id": "gpu", "url": f"dns+http://gpu:{engines[0].port}"}]},
        workers=2,
    )
    stop = asyncio.Event()
    outcomes: list[str] = []

    async def keep_streaming() -> None:
        while not stop.is_set():
            outcomes.append((await ask(proxy.port, chat("hi", max_tokens=100))).outcome)

    streams = [asyncio.create_task(keep_streaming()) for _ in range(200 if full else 40)]
    await until_logged(proxy, "gpu is 2 servers: 127.0.1.1, 127.0.1.2")
    for count in (4, 1):
        dns.says([each.host for each in engines[:count]])
        await until_logged(proxy, f"configuration loaded: {count} backend")

    async def another_round() -> None:
        served = engines[0].facts.generations
        while engines[0].facts.generations < served + len(streams):
            await asyncio.sleep(0.05)

    await another_round()  # what the draining workers had accepted already
    gone = [each.facts.generations for each in engines[1:]]
    await another_round()
    stop.set()
    await asyncio.gather(*streams)
    assert set(outcomes) == {"ok"}
    assert all(gone), "each of the four had some of the work"
    assert [each.facts.generations for each in engines[1:]] == gone, "and none once it was gone"


async def test_a_name_server_that_is_gone_takes_no_server_along(dns, engines, multiproxy_process):
    dns.says([engines[0].host])
    proxy = await asyncio.to_thread(
        multiproxy_process, {"backends": [{"url": f"dns+http://gpu.test:{engines[0].port}"}]}
    )
    dns.close()
    await until_logged(proxy, "cannot resolve gpu.test")
    assert (await ask(proxy.port, chat("hi", max_tokens=3))).outcome == "ok"
