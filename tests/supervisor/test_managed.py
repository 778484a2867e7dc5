"""Commands as real processes, on a real scoreboard; what whole proxies do is in e2e."""

import asyncio
import os
import signal
import sys
import time

import pytest
from supervisor.log_lines import LogLines

from multiproxy.config import Backend, Variable
from multiproxy.scoreboard import BackendState, Scoreboard
from multiproxy.supervisor.backend_rows import Row
from multiproxy.supervisor.children import Children
from multiproxy.supervisor.managed import ManagedServers
from multiproxy.supervisor.server_life import Stage
from multiproxy.supervisor.watch import Watch

SLEEP = ("sh", "-c", "echo port ${PORT} $WORD; exec sleep 600")


class Bench:
    """Servers whose checks never run: the test says who is ready."""

    def __init__(self):
        self.log = LogLines()
        self.board = Scoreboard.create()
        self.children = Children()
        self.watch = Watch(self.board, self.log)
        self.servers = ManagedServers(self.board, self.children, self.watch, self.log)
        self.retired = set()

    def add(self, index, command=SLEEP, **settings):
        row = Row(index, Backend(f"s{index}", command=tuple(command), **settings))
        url = self.servers.url_of(row)
        server = self.servers.get(index)
        self.watch.start(row, url, server.life)
        self.watch._tasks.pop(index).cancel()
        return server

    def want(self, index):
        self.board.load.want(0, index, time.monotonic_ns())

    def ready(self, server):
        probe = self.watch.get(server.row.index)
        probe.standing = probe.standing._replace(state=BackendState.UP)

    async def until(self, condition):
        async with asyncio.timeout(20):
            while not condition():
                self.children.reap()
                self.servers.tick(self.retired)
                await asyncio.sleep(0.01)

    async def running(self, server):
        self.want(server.row.index)
        await self.until(lambda: server.life.stage is Stage.STARTING)
        self.ready(server)
        await self.until(lambda: server.life.stage is Stage.RUNNING)


@pytest.fixture
async def bench():
    bench = Bench()
    yield bench
    await bench.servers.close()
    bench.children.kill_all()
    assert len(bench.children) == 0
    await bench.watch.close()
    bench.board.close()


def state(bench, server):
    return bench.board.backends.state(server.row.index)


async def test_a_wish_starts_it_with_its_port_and_its_environment(bench):
    server = bench.add(0, env=(Variable("WORD", "is ${PORT}"),))
    assert bench.servers.url_of(server.row).port == server.port, "the same each time"
    bench.servers.tick(set())
    assert server.process is None
    bench.want(0)
    await bench.until(lambda: server.output.last.startswith("port"))
    assert server.output.last == f"port {server.port} is {server.port}"
    assert (server.life.stage, state(bench, server)) == (Stage.STARTING, BackendState.LOADING)
    assert f"s0: started {server.shown}" in bench.log.lines


async def test_no_secret_is_in_its_lines_wherever_it_was_given(bench):
    code = "echo $HF_TOKEN $2 $3 $WORD"
    command = ("sh", "-c", code, "sh", "--api-key", "cmd-secret", "{cfg-secret}", "${PORT}")
    env = (Variable("HF_TOKEN", "env-secret"), Variable("WORD", "plain"))
    server = bench.add(0, command, env=env, api_key="cfg-secret")
    bench.want(0)
    await bench.until(lambda: server.life.stage is Stage.BROKEN)
    shown = [line.text for line in server.output.lines]
    assert "*** *** {***} plain" in shown
    assert "-secret" not in " ".join([*shown, *bench.log.lines, server.life.reason, server.shown])


async def test_a_wish_that_is_not_renewed_is_forgotten(bench):
    server = bench.add(0)
    bench.board.load.want(0, 0, time.monotonic_ns() - 2 * 10**9)
    bench.servers.tick(set())
    assert server.life.stage is Stage.STOPPED


async def test_its_last_words_are_its_reason_and_leftovers_are_ended(bench):
    left = "sleep 600 & echo left $!; echo cannot; exit 7"
    server = bench.add(0, ("sh", "-c", left, "${PORT}"))
    bench.want(0)
    await bench.until(lambda: server.life.stage is Stage.BROKEN)
    assert server.life.reason == "its command ended with status 7: cannot"
    assert state(bench, server) is BackendState.DOWN
    pid = next(int(line.text[5:]) for line in server.output.lines if line.text[:4] == "left")
    await bench.until(lambda: is_gone(pid))
    assert server.pipe == -1


def is_gone(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


@pytest.mark.parametrize(
    ("program", "reason"),
    [
        ("/no/such/program", "its command '/no/such/program' cannot be run: No such file"),
        (os.path.dirname(__file__), "cannot be run: Permission denied"),
        ("a\0b", "cannot be run: embedded null byte"),
    ],
)
async def test_what_cannot_be_run_is_told_and_leaves_no_descriptor(bench, program, reason):
    server = bench.add(0, (program, "${PORT}"))
    before = os.listdir("/proc/self/fd")
    bench.want(0)
    bench.servers.tick(set())
    assert (server.life.stage, state(bench, server)) == (Stage.BROKEN, BackendState.DOWN)
    assert reason in server.life.reason
    assert os.listdir("/proc/self/fd") == before


async def test_a_port_that_somebody_else_took_is_told(bench):
    server = bench.add(0)
    other = await asyncio.start_server(lambda *_: None, "127.0.0.1", server.port)
    bench.want(0)
    bench.servers.tick(set())
    assert f"port {server.port} is taken by another program" in server.life.reason
    other.close()
    await other.wait_closed()


async def test_one_that_dies_is_started_again(bench):
    server = bench.add(0)
    await bench.running(server)
    first = server.process.pid
    os.killpg(first, signal.SIGKILL)
    await bench.until(lambda: server.process is not None and server.process.pid != first)
    assert state(bench, server) is BackendState.LOADING, "its requests wait"
    assert "s0: its command was ended by signal 9: port" in "\n".join(bench.log.lines)


async def test_requests_keep_it_even_those_that_no_tick_has_seen(bench):
    server = bench.add(0, ttl=0.2)
    await bench.running(server)
    for _ in range(20):
        bench.board.load.succeeded(3, 0, time.monotonic_ns())  # it began and ended in between
        bench.servers.tick(set())
        await asyncio.sleep(0.02)
    assert server.life.stage is Stage.RUNNING
    bench.board.load.add(5, 0, +1)
    await asyncio.sleep(0.3)
    bench.servers.tick(set())
    assert server.life.stage is Stage.RUNNING
    bench.board.load.add(5, 0, -1)
    await bench.until(lambda: server.life.stage is Stage.STOPPED)
    assert state(bench, server) is BackendState.STOPPED


async def test_of_those_that_exclude_each_other_who_waits_longest_is_next(bench):
    a, b, c = (bench.add(index, exclusive="gpu") for index in range(3))
    free = bench.add(3)
    await bench.running(a)
    bench.want(2)
    bench.servers.tick(set())
    bench.want(1)
    bench.want(3)
    bench.servers.tick(set())
    assert [each.process is not None for each in (a, b, c, free)] == [True, False, False, True]

    def waiting():
        bench.want(1)
        bench.want(2)
        return c.process is not None

    await bench.until(waiting)
    assert a.process is None, "idle: it made way"
    assert b.process is None


async def test_an_heir_waits_until_the_one_before_it_has_ended(bench):
    old = bench.add(0)
    await bench.running(old)
    heir = bench.add(1)
    heir.row.backend = Backend("s0", command=SLEEP)
    bench.board.load.add(0, 0, +1)
    bench.retired = {0}
    bench.want(1)
    bench.servers.tick(bench.retired)
    assert heir.process is None
    bench.board.load.add(0, 0, -1)

    def heir_runs():
        bench.want(1)
        return heir.process is not None

    await bench.until(heir_runs)
    assert old.process is None


async def test_a_row_that_is_given_back_takes_its_server_along(bench):
    server = bench.add(0)
    await bench.running(server)
    bench.servers.stop(0)
    bench.servers.stop(0)
    assert bench.servers.get(0) is None
    await bench.until(lambda: server.process is None)
    bench.servers.tick(set())
    assert not bench.servers._dismissed


async def test_at_the_end_whoever_does_not_end_is_killed(bench, monkeypatch):
    monkeypatch.setattr("multiproxy.supervisor.managed.CLOSE_S", 0.05)
    code = "import signal, time; signal.signal(15, signal.SIG_IGN); print('up', flush=True)"
    server = bench.add(0, (sys.executable, "-c", f"{code}; time.sleep(600)", "${PORT}"))
    bench.want(0)
    await bench.until(lambda: server.output.last == "up")
    process = server.process
    await bench.servers.close()
    assert process.returncode == -signal.SIGKILL
