"""Two replicas and four backends, each on a host of its own, when a cable is pulled."""

import asyncio
import contextlib
import random
import socket
import subprocess
import sys
import threading
from collections import Counter

import pytest
from e2e.hosts import start_network
from e2e.raw_client import ask, chat
from multiproxy_process import TRACEBACK, MultiProxyProcess
from waiting import until

REPLICAS = ("replica-1", "replica-2")
ENGINES = ("gpu-1", "gpu-2", "gpu-3", "gpu-4")
PORT = 8080
TOKENS = 60
LONG = "tell me more about it " * 200


def is_open(address):
    with contextlib.suppress(OSError), socket.create_connection((address, PORT)):
        return True


class Cluster:
    """The hosts and what runs on them; clients are on the host of the replica that they ask."""

    def __init__(self):
        self.network = start_network([*REPLICAS, *ENGINES])
        self.replicas = {}
        self._engines = []

    def start(self, folder, tokens_per_second):
        for name in ENGINES:
            self._engines.append(self._start_engine(name, tokens_per_second))
        for name in ENGINES:
            with self.network.on(name):
                until(lambda name=name: is_open(self.network.addresses[name]))
        backends = [
            {"id": name, "url": f"http://{self.network.addresses[name]}:{PORT}"} for name in ENGINES
        ]
        for name in REPLICAS:
            (folder / name).mkdir()
            config = {"backends": backends, "timeouts": {"connect": "500ms", "idle": "2s"}}
            with self.network.on(name):
                self.replicas[name] = MultiProxyProcess(config, folder / name)
                self.replicas[name].wait_until_ready()
        self.until_told("{} is up", *ENGINES)

    def _start_engine(self, name, tokens_per_second):
        command = [sys.executable, "-m", "multiproxy", "simulate", "--port", str(PORT)]
        command += ["--host", self.network.addresses[name], "--slots", "64"]
        command += ["--tps", str(tokens_per_second), "--pps", "0"]
        with self.network.on(name):
            return subprocess.Popen(command, stdout=subprocess.DEVNULL)

    def until_told(self, text, *engines, times=1):
        """Wait until each replica logged it of each engine so often."""
        wanted = [text.format(engine) for engine in engines]
        logs = [replica.log_text for replica in self.replicas.values()]
        until(lambda: all(log().count(each) >= times for log in logs for each in wanted), 40)

    async def at(self, replica, work):
        """Run the clients of a replica: ``work(port)``, in a thread that is on its host."""

        def run():
            with self.network.on(replica):
                return asyncio.run(work(self.replicas[replica].port))

        return await asyncio.to_thread(run)

    def answered(self):
        """The backends of all requests, in the order in which they ended."""
        lines = [line for each in self.replicas.values() for line in each.log_lines()]
        return [line["backend"] for line in lines if line["event"] == "request"]

    def close(self):
        for replica in self.replicas.values():
            replica.end()
        for engine in self._engines:
            engine.kill()
            engine.wait()
        self.network.close()


@pytest.fixture
def cluster(tmp_path, request):
    cluster = Cluster()
    try:
        cluster.start(tmp_path, request.param)
        yield cluster
    finally:
        cluster.close()
    assert not any(TRACEBACK in replica.log_text() for replica in cluster.replicas.values())


def conversation(number):
    return chat(f"{number} {LONG}", max_tokens=2)


@pytest.mark.timeout(200)
@pytest.mark.parametrize("cluster", [0], indirect=True)
async def test_a_conversation_has_the_same_home_through_either_replica(cluster, full):
    numbers = list(range(1000 if full else 150))

    async def homes(replica):
        async def talk(port):
            return [(await ask(port, conversation(number))).outcome for number in numbers]

        before = len(cluster.answered())
        assert set(await cluster.at(replica, talk)) == {"ok"}
        await asyncio.to_thread(cluster.replicas[replica].wait_for_requests, len(numbers))
        found = cluster.replicas[replica].log_lines()
        backends = [line["backend"] for line in found if line["event"] == "request"]
        assert before + len(backends) == len(cluster.answered())
        return dict(zip(numbers, backends, strict=True))

    first = await homes(REPLICAS[0])
    random.Random(7).shuffle(numbers)
    second = await homes(REPLICAS[1])
    same = sum(first[number] == second[number] for number in numbers)
    assert same >= 0.99 * len(numbers)
    assert set(Counter(first.values())) == set(ENGINES)


@pytest.mark.timeout(200)
@pytest.mark.parametrize("cluster", [50], indirect=True)
async def test_a_backend_that_is_cut_off_costs_no_request_and_comes_back(cluster):
    stop = threading.Event()
    served = cluster.answered

    async def keep_streaming(port):
        async def one():
            outcomes = []
            while not stop.is_set():
                body = chat("hi", max_tokens=TOKENS, ignore_eos=True)
                answer = await ask(port, body)
                outcomes.append((answer.outcome, answer.body.count(b'"content":"')))
            return outcomes

        return [each for some in await asyncio.gather(*(one() for _ in range(10))) for each in some]

    async def until_all_have_served(since):
        async with asyncio.timeout(40):
            while not set(served()[since:]) >= set(ENGINES):
                await asyncio.sleep(0.05)

    work = [asyncio.create_task(cluster.at(name, keep_streaming)) for name in REPLICAS]
    await until_all_have_served(0)
    cluster.network.pull("gpu-2")
    await asyncio.to_thread(cluster.until_told, "{} is down", "gpu-2")
    gone = len(served())
    cluster.network.plug("gpu-2")
    await asyncio.to_thread(cluster.until_told, "{} is up", "gpu-2", times=2)
    await until_all_have_served(gone)
    stop.set()
    outcomes = [each for some in await asyncio.gather(*work) for each in some]
    assert set(outcomes) == {("ok", TOKENS)}
    lines = [line for each in cluster.replicas.values() for line in each.log_lines()]
    assert any(line.get("continued") for line in lines), "none was in the middle of its text"


@pytest.mark.timeout(120)
@pytest.mark.parametrize("cluster", [0], indirect=True)
async def test_a_replica_that_is_cut_off_says_so_and_the_other_goes_on(cluster):
    cluster.network.pull("replica-2")
    alone = cluster.replicas["replica-2"]

    def not_ready():
        with cluster.network.on("replica-2"):
            return alone.ask("GET", "/readyz")[0] == 503

    await asyncio.to_thread(until, not_ready, 60)
    answer = await cluster.at("replica-2", lambda port: ask(port, chat("hi", max_tokens=2)))
    assert (answer.status, answer.outcome) == (503, "error-before")
    answer = await cluster.at("replica-1", lambda port: ask(port, chat("hi", max_tokens=2)))
    assert answer.outcome == "ok"
    assert " is down" not in cluster.replicas["replica-1"].log_text()
