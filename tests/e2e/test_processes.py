"""Workers that die, reload and drain: what their clients see."""

import asyncio
import os
import re
import signal
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from e2e.raw_client import Client, ask, chat

from multiproxy.simulator import Settings

STEADY = Settings(slots=128, tokens_per_second=50, prompt_tokens_per_second=0)


@pytest.fixture
async def stack():
    """Clients entered here leave after the test."""
    async with AsyncExitStack() as stack:
        yield stack


def connections_of(pid: int, port: int) -> int:
    """How many clients of ``port`` a process holds."""
    inodes = set()
    for fd in Path(f"/proc/{pid}/fd").iterdir():
        try:
            inodes.add(re.sub(r"\D", "", os.readlink(fd)))
        except OSError:
            continue
    lines = Path("/proc/net/tcp").read_text().splitlines()[1:]
    rows = [line.split() for line in lines]
    local = f"0100007F:{port:04X}"
    return sum(row[1] == local and row[3] == "01" and row[9] in inodes for row in rows)


async def test_connections_are_shared_out_between_workers(house, stack):
    place = await house(STEADY, workers=2)
    for _ in range(60):
        await stack.enter_async_context(Client(place.port))
    pids = place.proxy.worker_pids()
    while sum(connections_of(pid, place.port) for pid in pids) < 60:
        await asyncio.sleep(0.01)
    shares = [connections_of(pid, place.port) for pid in pids]
    assert min(shares) >= 24, shares


async def test_a_killed_worker_takes_only_its_own_streams_along(house, stack):
    place = await house(STEADY, workers=2)
    clients = [await stack.enter_async_context(Client(place.port)) for _ in range(100)]
    for client in clients:
        client.send(chat("hi", max_tokens=150, ignore_eos=True))
    for client in clients:
        await client.until_content()
    victim, other = place.proxy.worker_pids()
    lost = connections_of(victim, place.port)
    assert 0 < lost < 100
    answers = [asyncio.create_task(client.receive()) for client in clients]
    os.kill(victim, signal.SIGKILL)
    waiting = [asyncio.create_task(ask(place.port, chat("hi", max_tokens=2))) for _ in range(40)]
    outcomes = [answer.outcome for answer in await asyncio.gather(*answers)]
    assert outcomes.count("cut") == lost, "no error, no success: a transport error"
    assert outcomes.count("ok") == 100 - lost
    assert [answer.outcome for answer in await asyncio.gather(*waiting)] == ["ok"] * 40
    while len(pids := place.proxy.worker_pids()) < 2 or victim in pids:
        await asyncio.sleep(0.02)
    assert other in pids


async def test_reloads_under_load_fail_nothing(house, full):
    """Streams that run go on, keep-alive connections move over, no request is refused."""
    place = await house(STEADY, workers=2)
    stop = asyncio.Event()
    outcomes: list[str] = []

    async def keep_asking() -> None:
        while not stop.is_set():
            async with Client(place.port) as client:
                answer = None
                while not stop.is_set() and (answer is None or b"close" not in answer.head):
                    client.send(chat("hi", max_tokens=3, stream=False))
                    answer = await client.receive()
                    outcomes.append(answer.outcome)

    async def keep_streaming() -> None:
        while not stop.is_set():
            outcomes.append((await ask(place.port, chat("hi", max_tokens=40))).outcome)

    asking = [asyncio.create_task(keep_asking()) for _ in range(8)]
    asking += [asyncio.create_task(keep_streaming()) for _ in range(16)]
    for number in range(1, (100 if full else 5) + 1):
        os.kill(place.proxy.pid, signal.SIGHUP)
        while place.proxy.log_text().count("configuration loaded") < number:
            await asyncio.sleep(0.02)
    stop.set()
    await asyncio.gather(*asking)
    assert set(outcomes) == {"ok"}
    assert len(outcomes) > 50


async def test_a_bad_file_changes_nothing_and_is_reported(house):
    place = await house(STEADY)
    pids = place.proxy.worker_pids()
    place.proxy.write_config("backends:\n  - url: http://127.0.0.1:1\n    slot: 4\n")
    os.kill(place.proxy.pid, signal.SIGHUP)
    while "unknown setting 'slot'" not in place.proxy.log_text():
        await asyncio.sleep(0.02)
    assert (await ask(place.port, chat("hi", max_tokens=2))).outcome == "ok"
    assert place.proxy.worker_pids() == pids


async def test_sigterm_lets_streams_finish_and_a_second_one_does_not(house):
    place = await house(STEADY)
    async with Client(place.port) as client:
        client.send(chat("hi", max_tokens=30, ignore_eos=True))
        await client.until_content()
        os.kill(place.proxy.pid, signal.SIGTERM)
        answer = await client.receive()
        assert answer.outcome == "ok"
    assert await asyncio.to_thread(place.proxy.wait, 10) == 0

    place = await house(STEADY)
    async with Client(place.port) as client:
        client.send(chat("hi", max_tokens=100_000, ignore_eos=True))
        await client.until_content()
        os.kill(place.proxy.pid, signal.SIGTERM)
        while "raining" not in place.proxy.log_text():
            await asyncio.sleep(0.01)
        os.kill(place.proxy.pid, signal.SIGTERM)
        await asyncio.to_thread(place.proxy.wait, 10)
        answer = await client.receive()
        assert answer.outcome in ("cut", "error-after")
