"""B6: a thousand connections of Debian's slowhttptest, and what everyone else notices of them.

The long form, where that program is installed. L3 is tests/e2e/test_slow_clients.py.
"""

import asyncio
import contextlib
import math
import shutil
import time

import pytest
from e2e.raw_client import Client, chat

pytestmark = [pytest.mark.usefixtures("only_full"), pytest.mark.timeout(900)]
CONNECTIONS = 1_000
PER_S = 25  # healthy requests, asked when they are due, whatever became of those before
QUIET_S, ATTACK_S = 20, 60
JSON = ("-f", "application/json")
KINDS = {
    "slow heads": ("-H", "-i", "2", "-x", "24"),
    "slow bodies": ("-B", "-i", "2", "-x", "16", "-s", "65536", *JSON),
    "ranges": ("-R", "-a", "10", "-b", "3000"),
    "slow reads": ("-X", "-w", "1", "-y", "2", "-n", "5", "-z", "1", "-k", "8"),
}


@pytest.fixture(autouse=True)
def _is_installed():
    if shutil.which("slowhttptest") is None:
        pytest.skip("slowhttptest is not installed")


async def one(port: int, number: int, due: float) -> tuple[str, float]:
    """Ask a stream; returns what came of it, and how long after it was due."""
    async with asyncio.timeout(30), Client(port) as client:
        client.send(chat(f"@echo healthy{number} 5"))
        answer = await client.receive()
    return answer.outcome, time.monotonic() - due


async def healthy(port: int, seconds: float) -> tuple[list[str], list[float]]:
    """The outcomes and the sorted seconds of healthy clients over some time."""
    began, running = time.monotonic(), []
    for number in range(int(seconds * PER_S)):
        due = began + number / PER_S
        await asyncio.sleep(max(0.0, due - time.monotonic()))
        running.append(asyncio.create_task(one(port, number, due)))
    done = await asyncio.gather(*running)
    return [outcome for outcome, _ in done], sorted(seconds for _, seconds in done)


def p99(seconds: list[float]) -> float:
    return seconds[math.ceil(0.99 * len(seconds)) - 1]


@pytest.mark.parametrize("kind", KINDS)
async def test_a_thousand_slow_connections_are_no_healthy_clients_trouble(arena, seed, tell, kind):
    """Quiet before and behind the attack is measured too: the machine has its own moods."""
    arena.injector.start()
    proxy = await asyncio.to_thread(arena.serve, workers=2)
    is_body = kind == "slow bodies"
    path = "/v1/chat/completions" if is_body else "/v1/models"
    outcomes, before = await healthy(proxy.port, QUIET_S)
    attack = await asyncio.create_subprocess_exec(
        "slowhttptest", *KINDS[kind], "-c", str(CONNECTIONS), "-r", "50", "-l", str(ATTACK_S),
        "-p", "30", "-t", "POST" if is_body else "GET", "-u", f"http://127.0.0.1:{proxy.port}{path}",
        stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    try:
        more, during = await healthy(proxy.port, ATTACK_S - 10)
    finally:
        with contextlib.suppress(ProcessLookupError):
            attack.terminate()
        await attack.wait()
    rest, behind = await healthy(proxy.port, QUIET_S)
    outcomes += more + rest
    quiet = sorted(before + behind)
    tell(
        f"{kind}: {outcomes.count('ok')} of {len(outcomes)} healthy ok, p99 "
        f"{1000 * p99(during):.0f} ms beside {CONNECTIONS} connections, {1000 * p99(quiet):.0f} ms "
        f"in quiet ({1000 * p99(before):.0f} before, {1000 * p99(behind):.0f} behind)"
    )
    assert set(outcomes) == {"ok"}
    assert p99(during) <= 2 * p99(quiet)
