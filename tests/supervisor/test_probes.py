import asyncio
import contextlib
import json
import socket

import pytest
from supervisor.log_lines import LogLines

from multiproxy.config import Backend, Url
from multiproxy.scoreboard import BackendState
from multiproxy.simulator import Settings
from multiproxy.simulator import start as start_simulator
from multiproxy.supervisor import probes
from multiproxy.supervisor.backend_rows import Row
from multiproxy.supervisor.probes import Probe, span
from multiproxy.supervisor.watch import Watch

SECOND = 1_000_000_000


@contextlib.asynccontextmanager
async def simulated(settings):
    server = await start_simulator(settings)
    try:
        yield server
    finally:
        await server.close()


class Clock:
    now = 1_000 * SECOND

    def __call__(self):
        return self.now


@pytest.fixture
def probe(board):
    def make(port, **settings):
        backend = Backend("gpu-a", Url("http", "127.0.0.1", port), **settings)
        return Probe(Row(7, backend), backend.url, board, LogLines(), Clock())

    return make


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


async def test_a_simulated_llama_server_is_found_and_written_down(board, probe):
    async with simulated(Settings(model="qwen", slots=3, context_size=512)) as server:
        found = probe(server.port)
        await found.probe()
    row = board.backends.read(7)
    assert (row.state, row.slots, row.n_ctx, row.port) == (
        BackendState.UP,
        3,
        512,
        server.port,
    )
    facts = json.loads(board.backends.facts(7))
    assert (facts["kind"], facts["router"], facts["slots"]) == ("llama.cpp", False, 3)
    assert [model["id"] for model in facts["models"]] == ["qwen"]
    assert found._log.lines == ["gpu-a is up: qwen, 3 slots, 512 tokens each"]


async def test_the_configured_slots_and_context_override_what_is_reported(board, probe):
    async with simulated(Settings(slots=3, context_size=512)) as server:
        await probe(server.port, slots=9, context_size=100).probe()
    row = board.backends.read(7)
    facts = json.loads(board.backends.facts(7))
    assert (row.slots, row.n_ctx, facts["slots"], facts["n_ctx"]) == (9, 100, 9, 100)


async def test_a_loading_server_is_loading(board, probe):
    async with simulated(Settings(load_time=60)) as server:
        await probe(server.port).probe()
    assert board.backends.state(7) is BackendState.LOADING


async def test_a_dead_server_is_reported_once_and_then_less_and_less_often(board, probe):
    dead = probe(free_port())
    clock = dead._clock_ns
    began = clock.now
    reported = []
    for second in range(0, 1_000, 10):
        clock.now = began + second * SECOND
        known = len(dead._log.lines)
        await dead.probe()
        reported += [second] * (len(dead._log.lines) - known)
    assert board.backends.state(7) is BackendState.DOWN
    assert reported == [0, 60, 120, 240, 480, 960]
    port = dead.url.port
    assert dead._log.lines[0] == f"gpu-a is down: connection refused to 127.0.0.1:{port}"
    assert dead._log.lines[-1].startswith("gpu-a is still down, 16 m: connection refused")


async def test_coming_back_tells_how_long_it_was_away(board, probe):
    back = probe(free_port())
    await back.probe()
    back._clock_ns.now += 840 * SECOND
    async with simulated(Settings()) as server:
        back.url = Url("http", "127.0.0.1", server.port)
        await back.probe()
    assert back._log.lines[1] == "gpu-a is up again after 14 m: demo, 4 slots, 8,192 tokens each"
    assert back._log.marks == ["gpu-a down", "gpu-a up"]
    assert board.backends.read(7).since_ns == back._clock_ns.now


async def test_facts_survive_while_a_server_is_down(board, probe):
    async with simulated(Settings(model="qwen")) as server:
        gone = probe(server.port)
        await gone.probe()
    gone.url = Url("http", "127.0.0.1", free_port())
    await gone.probe()
    assert board.backends.state(7) is BackendState.DOWN
    assert json.loads(board.backends.facts(7))["models"][0]["id"] == "qwen"


async def test_silence_is_forgiven_while_workers_see_events(board, probe, monkeypatch):
    monkeypatch.setattr(probes, "TIMEOUT_S", 0.02)
    with socket.create_server(("127.0.0.1", 0)) as server:
        silent = probe(server.getsockname()[1])
        silent.standing = silent.standing._replace(state=BackendState.UP)
        board.load.succeeded(2, 7, silent._clock_ns.now)
        for _ in range(5):
            await silent.probe()
        assert board.backends.state(7) is BackendState.UP
        silent._clock_ns.now += 11 * SECOND
        await silent.probe()
        assert board.backends.state(7) is BackendState.DOWN


async def test_a_failure_that_a_worker_reports_is_probed_at_once(board, monkeypatch):
    monkeypatch.setattr(probes, "interval_s", lambda standing: 3600.0)
    monkeypatch.setattr(probes, "LEAST_PAUSE_S", 0.0)
    watch = Watch(board, LogLines())
    async with simulated(Settings()) as server:
        url = Url("http", "127.0.0.1", server.port)
        watch.start(Row(7, Backend("gpu-a", url)), url)
        first = await checked(board)
        board.load.failed(3, 7, 5)
        watch.tick()
        await checked(board, after_ns=first)
    await watch.close()


async def checked(board, after_ns=0):
    """Wait until the backend was checked, or checked again; returns when that was."""
    async with asyncio.timeout(10):
        while (at := board.backends.read(7).checked_ns) <= after_ns:
            await asyncio.sleep(0.005)
    return at


async def test_a_row_that_is_no_longer_watched_is_clean_for_the_next_backend(board):
    watch = Watch(board, LogLines())
    async with simulated(Settings()) as server:
        url = Url("http", "127.0.0.1", server.port)
        row = Row(7, Backend("gpu-a", url))
        watch.start(row, url)
        await checked(board)
        watch.stop(row)
        watch.stop(row)
    assert board.backends.state(7) is BackendState.UNCHECKED
    assert (board.backends.facts(7), watch.get(7)) == (b"", None)
    await watch.close()


@pytest.mark.parametrize(
    ("seconds", "text"), [(8.2, "8 s"), (59, "59 s"), (61, "1 m"), (11_100, "3 h 05 m")]
)
def test_a_span_is_told_for_people(seconds, text):
    assert span(seconds) == text


async def test_a_backend_that_was_down_comes_back_slowly_and_a_new_one_does_not(board, probe):
    async with simulated(Settings()) as server:
        found = probe(server.port)
        await found.probe()
        assert (board.backends.rests_until(7), board.backends.ramp_from(7)) == (0, 0)
    found._clock_ns.now += SECOND
    await found.probe()
    assert board.backends.state(7) is BackendState.DOWN
    async with simulated(Settings()) as server:
        found.url = Url("http", "127.0.0.1", server.port)
        found._clock_ns.now += SECOND
        await found.probe()
    assert (board.backends.rests_until(7), board.backends.ramp_from(7)) == (0, found._clock_ns.now)
