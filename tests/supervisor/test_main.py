"""The whole supervisor with stand-in workers: real processes, real signals, no proxy."""

import asyncio
import contextlib
import json
import os
import signal
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from certificates import pair
from supervisor.log_lines import LogLines

import multiproxy
from multiproxy.config import Address, load
from multiproxy.scoreboard import BackendState, Finished, WorkerState
from multiproxy.supervisor.descriptors import CannotListen, bound_address, listen
from multiproxy.supervisor.main import Supervisor, worker_count
from multiproxy.supervisor.simulated import COMMAND as SIMULATE

STAND_IN = Path(__file__).with_name("stand_in_worker.py")
CONFIG = """
listen: 127.0.0.1:0
dashboard: 127.0.0.1:0
workers: 2
timeouts: {drain: 5s}
backends:
  - {id: gpu-a, url: "http://127.0.0.1:1"}
"""


class Bench:
    def __init__(self, folder, mode, text, is_watched=False):
        self.target = folder / "real.yaml"
        self.target.write_text(text)
        self.path = folder / "config.yaml"
        self.path.symlink_to(self.target)
        self.log = LogLines()
        self.supervisor = Supervisor(
            load(self.path),
            str(self.path),
            lambda: load(self.path),
            self.log,
            ((sys.executable, str(STAND_IN), mode), SIMULATE),
            is_watched=is_watched,
        )
        self.board = self.supervisor._board

    async def ask(self):
        """What one worker says of itself."""
        address = self.supervisor.api_address
        reader, writer = await asyncio.open_connection(address.host, address.port)
        answer = await reader.read()
        writer.close()
        await writer.wait_closed()
        return json.loads(answer)

    async def until(self, condition):
        async with asyncio.timeout(60):
            while not condition():
                await asyncio.sleep(0.01)

    async def serving(self, generation, count=2):
        def rows():
            rows = (self.board.workers[index] for index in range(64))
            return sum(
                row.state is WorkerState.SERVING and row.generation == generation for row in rows
            )

        await self.until(lambda: rows() == count)

    def signal(self, number):
        os.kill(os.getpid(), number)


@pytest.fixture
def start(tmp_path, monkeypatch):
    # A checkout that is not installed: the stand-in's own folder is not the package's.
    monkeypatch.setenv("PYTHONPATH", str(Path(multiproxy.__file__).parent.parent))

    @contextlib.asynccontextmanager
    async def run(mode="serve", more="dashboard: 127.0.0.1:0", is_watched=False):
        text = CONFIG.replace("dashboard: 127.0.0.1:0", more)
        bench = Bench(tmp_path, mode, text, is_watched)
        task = bench.task = asyncio.create_task(bench.supervisor.run())
        try:
            yield bench
        finally:
            if not task.done():
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task

    return run


async def test_workers_get_the_socket_the_scoreboard_and_the_config(start):
    async with start() as bench:
        await bench.serving(1)
        told = await bench.ask()
        assert told["pid"] == bench.board.workers[told["index"]].pid
    assert (told["generation"], told["workers"]) == (1, 2)
    assert (told["backends"], told["urls"]) == ({"gpu-a": 0}, {})


async def test_sigterm_drains_and_everything_is_gone_after(start):
    async with start() as bench:
        await bench.serving(1)
        address = bench.supervisor.api_address
        bench.signal(signal.SIGTERM)
        assert await bench.task == 0
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection(address.host, address.port)


async def test_a_second_signal_stops_workers_that_do_not_end(start):
    async with start("linger") as bench:
        await bench.serving(1)
        bench.signal(signal.SIGINT)
        await bench.until(
            lambda: all(bench.board.workers[i].state is WorkerState.DRAINING for i in (0, 1))
        )
        bench.signal(signal.SIGINT)
        assert await bench.task == 130


async def test_a_killed_worker_is_replaced_and_its_numbers_survive(start):
    async with start() as bench:
        await bench.serving(1)
        victim = (await bench.ask())["pid"]
        index = next(i for i in (0, 1) if bench.board.workers[i].pid == victim)
        bench.board.load.add(index, 0, +7)
        bench.board.ring(index).append(
            Finished("a" * 12, "", "", True, 200, "--", "", "", "", 0, 1, "", "", "", "", 0)
        )
        os.kill(victim, signal.SIGKILL)
        await bench.until(lambda: bench.board.workers[index].pid not in (0, victim))
        await bench.serving(1)
        assert bench.board.load.in_flight(0) == 0
        await bench.until(lambda: bench.supervisor._stats.total == 1)
    assert f"worker {index} died (signal 9); starting another" in bench.log.lines


async def test_sighup_starts_new_workers_and_only_then_ends_the_old_ones(start):
    async with start() as bench:
        await bench.serving(1)
        old = {bench.board.workers[i].pid for i in (0, 1)}
        bench.path.write_text(CONFIG + '  - {id: gpu-b, url: "http://127.0.0.1:2"}\n')
        bench.signal(signal.SIGHUP)
        await bench.serving(2)
        await bench.until(lambda: len(bench.supervisor._workers.generations) == 1)
        told = await bench.ask()
        assert (told["generation"], told["backends"]) == (2, {"gpu-a": 0, "gpu-b": 1})
        assert told["pid"] not in old
        assert [row.id for row in bench.supervisor._rows.current()] == ["gpu-a", "gpu-b"]
    assert "configuration loaded: 2 backends" in bench.log.lines


async def test_no_connection_fails_while_generations_change(start):
    async with start() as bench:
        await bench.serving(1)
        answered = []

        async def ask_on():
            while answered[-1:] != [4]:
                answered.append((await bench.ask())["generation"])

        asking = asyncio.create_task(ask_on())
        for generation in (2, 3, 4):
            bench.signal(signal.SIGHUP)
            await bench.serving(generation)
            await bench.until(lambda: len(bench.supervisor._workers.generations) == 1)
        await asking  # a refused, reset or empty answer would have raised
    assert set(answered) == {1, 2, 3, 4}


async def test_a_bad_file_changes_nothing_and_is_reported(start):
    async with start() as bench:
        await bench.serving(1)
        bench.path.write_text(CONFIG + "  - {id: gpu-b, url: 7}\nslot: 3\n")
        bench.signal(signal.SIGHUP)
        await bench.until(lambda: bench.supervisor._rollout.error)
        assert (await bench.ask())["generation"] == 1
        health = bench.supervisor._provider.health()
        assert health.reload_error.startswith(f"{bench.path}: ")
        assert any("config.yaml:9:1: unknown setting" in line for line in bench.log.lines)
        assert sum(line.startswith("reload: ") for line in bench.log.lines) == 2
        bench.path.write_text(CONFIG)
        bench.signal(signal.SIGHUP)
        await bench.serving(2)
        await bench.until(lambda: not bench.supervisor._rollout.error)


async def test_a_watched_file_is_loaded_when_what_its_link_leads_to_changes(start):
    async with start(is_watched=True) as bench:
        await bench.serving(1)
        bench.target.write_text(CONFIG + "  - {id: gpu-b, url: 'http://127.0.0.1:2'}\n")
        await bench.serving(2)
        while (told := await bench.ask())["generation"] != 2:  # an old one, not drained yet
            pass
        assert told["backends"] == {"gpu-a": 0, "gpu-b": 1}
        bench.target.write_text("backends: [")
        await bench.until(lambda: any("reload: " in line for line in bench.log.lines))
        assert (await bench.ask())["generation"] == 2


async def test_what_dns_says_while_it_drains_starts_no_new_workers(start, monkeypatch):
    async with start("linger") as bench:
        await bench.until(lambda: bench.supervisor._rollout.current is not None)
        bench.signal(signal.SIGTERM)
        await bench.until(
            lambda: all(bench.board.workers[i].state is WorkerState.DRAINING for i in (0, 1))
        )
        ticks = []
        monkeypatch.setattr(bench.supervisor, "_draw", ticks.append)
        bench.supervisor._discovery.has_changed = True
        await bench.until(lambda: len(ticks) > 2)
        assert bench.supervisor._rollout._numbers == 1  # generations so far


async def test_a_reload_cannot_take_the_keys_from_an_address_that_others_reach(start):
    async with start() as bench:
        await bench.serving(1)
        supervisor = bench.supervisor
        # As if it had been started with --listen: the file itself speaks of loopback.
        reloads = supervisor._reloads
        reloads._first = replace(reloads._first, listen=Address("0.0.0.0", 8001))
        bench.signal(signal.SIGHUP)
        await bench.until(lambda: supervisor._rollout.error)
        assert "can be reached by other machines" in supervisor._rollout.error
        assert (await bench.ask())["generation"] == 1
        bench.path.write_text(CONFIG + "keys: [{name: ann, key: sk-ann-0123}]\n")
        bench.signal(signal.SIGHUP)
        await bench.serving(2)


async def test_a_reload_with_a_certificate_that_is_none_changes_nothing(start):
    async with start() as bench:
        await bench.serving(1)
        bench.path.write_text(CONFIG + "tls: {cert: nowhere.pem, key: nowhere.key}\n")
        bench.signal(signal.SIGHUP)
        await bench.until(lambda: bench.supervisor._rollout.error)
        assert f"{bench.path.parent}/nowhere.pem" in bench.supervisor._rollout.error
        assert (await bench.ask())["generation"] == 1
        cert, key = pair("first")
        bench.path.write_text(CONFIG + f"tls: {{cert: {cert}, key: {key}}}\n")
        bench.signal(signal.SIGHUP)
        await bench.serving(2)


async def test_a_dashboard_with_a_link_writes_it_to_the_log(start):
    async with start(more="dashboard: {listen: '127.0.0.1:0', auth: token}") as bench:
        await bench.serving(1)
        port = bench.supervisor.dashboard_address.port
        wanted = f"dashboard: sign in at http://127.0.0.1:{port}/login?token="
        assert any(line.startswith(wanted) for line in bench.log.lines)
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert (await reader.readline()).startswith(b"HTTP/1.1 401 ")
        writer.close()
        await writer.wait_closed()


async def test_new_workers_that_cannot_start_leave_the_old_ones_serving(start):
    async with start("die-later") as bench:
        await bench.serving(1)
        bench.signal(signal.SIGHUP)
        await bench.until(lambda: bench.supervisor._rollout.error)
        assert (await bench.ask())["generation"] == 1
    assert "reload: the new workers did not start; the old ones go on" in bench.log.lines


async def test_a_changed_address_needs_a_restart_and_the_rest_is_taken_over(start):
    async with start() as bench:
        await bench.serving(1)
        moved = CONFIG.replace("listen: 127.0.0.1:0", "listen: 127.0.0.1:9")
        bench.path.write_text(moved.replace("workers: 2", "workers: 1"))
        bench.signal(signal.SIGHUP)
        await bench.serving(2, count=1)
        await bench.until(lambda: len(bench.supervisor._workers.generations) == 1)
        assert (await bench.ask())["workers"] == 1
    assert "reload: 'listen' changed; that needs a restart, the old value stays" in bench.log.lines


async def test_simulated_servers_have_an_address_at_once_and_live_on_over_a_reload(start):
    async with start() as bench:
        await bench.serving(1)
        bench.path.write_text(CONFIG + "  - simulate: {model: m, slots: 3}\n")
        bench.signal(signal.SIGHUP)
        await bench.serving(2)
        await bench.until(lambda: bench.board.backends.state(1) is BackendState.UP)
        server = bench.supervisor._simulated._servers[1]
        pid = server.process.pid
        bench.signal(signal.SIGHUP)
        await bench.serving(3)
        await bench.until(lambda: len(bench.supervisor._workers.generations) == 1)
        told = await bench.ask()
        assert told["urls"] == {"simulated-1": f"http://127.0.0.1:{server.sock.getsockname()[1]}"}
        assert server.process.pid == pid
        os.kill(pid, signal.SIGKILL)
        await bench.until(lambda: server.process is not None and server.process.pid != pid)
        bench.path.write_text(CONFIG)
        bench.signal(signal.SIGHUP)
        await bench.until(lambda: 1 not in bench.supervisor._simulated._servers)
        await bench.until(lambda: server.process is None)
        assert bench.board.backends.state(1) is BackendState.UNCHECKED


async def test_the_dashboard_answers_and_shows_the_backend(start):
    async with start() as bench:
        await bench.serving(1)
        await bench.until(lambda: bench.board.backends.state(0) is BackendState.DOWN)
        address = bench.supervisor.dashboard_address
        reader, writer = await asyncio.open_connection(address.host, address.port)
        writer.write(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        page = await reader.read()
        writer.close()
        assert page.startswith(b"HTTP/1.1 200")
        assert b"gpu-a" in page
        (view,) = bench.supervisor._provider.backends()
        assert (view.id, view.address, view.state) == ("gpu-a", "127.0.0.1:1", "down")
        assert view.reason == "connection refused to 127.0.0.1:1"


async def test_an_error_inside_a_tick_is_logged_and_the_workers_go_on(start, monkeypatch):
    async with start() as bench:
        await bench.serving(1)
        collect = bench.supervisor._stats.collect
        monkeypatch.setattr(bench.supervisor._stats, "collect", lambda: 1 // 0)
        await bench.until(lambda: any("ZeroDivisionError" in line for line in bench.log.lines))
        bench.supervisor._stats.collect = collect
        assert (await bench.ask())["generation"] == 1


def test_a_taken_dashboard_address_is_an_error_and_frees_the_other(tmp_path):
    with listen(Address("127.0.0.1", 0), "somebody") as holder:
        path = tmp_path / "config.yaml"
        path.write_text(
            CONFIG.replace("dashboard: 127.0.0.1:0", f"dashboard: {bound_address(holder)}")
        )
        with pytest.raises(CannotListen, match="the dashboard cannot listen"):
            Supervisor(load(path), str(path), lambda: load(path), LogLines())


def test_auto_leaves_a_core_to_the_others(monkeypatch, tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text("backends: [{simulate: true}]\n")
    config = load(path)
    counts = []
    for cores in (1, 2, 3, 5, 64):
        monkeypatch.setattr(os, "sched_getaffinity", lambda pid, n=cores: set(range(n)))
        counts.append(worker_count(config))
    assert counts == [1, 1, 2, 4, 4]
