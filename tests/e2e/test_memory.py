"""A real worker's memory does not grow with what it has served."""

import asyncio
import random

import pytest
from e2e.raw_client import Client
from e2e.sdk_house import SCRIPTS
from e2e.sdk_questions import DIALECTS, ENDLESS, said
from multiproxy_process import memory_of

from multiproxy.simulator import Settings

PATHS = {
    "chat": "/v1/chat/completions",
    "messages": "/v1/messages",
    "responses": "/v1/responses",
}
FAST = {"tokens_per_second": 0, "prompt_tokens_per_second": 0, "context_size": 2048}
WORDS = [*(f"@script {name}" for name in SCRIPTS), "a word", ENDLESS]
MOST = 3 << 20  # bytes for all of them: with --full some 300 for each
AT_A_TIME = 8


async def one(port: int, chance: random.Random) -> None:
    """Ask for anything, streamed or not; every fifth leaves soon."""
    dialect = chance.choice(DIALECTS)
    question = said(dialect, chance.choice(WORDS), stream=chance.random() < 0.5, store=False)
    async with Client(port) as client:
        client.send(question, PATHS[dialect])
        if chance.random() < 0.2:
            await asyncio.sleep(chance.random() * 0.01)
            client.reset()
        else:
            await client.until_error_or_end()


async def crowd(port: int, count: int, chance: random.Random) -> None:
    async def some() -> None:
        for _ in range(count // AT_A_TIME):
            await one(port, chance)

    async with asyncio.TaskGroup() as group:
        for _ in range(AT_A_TIME):
            group.create_task(some())


@pytest.mark.timeout(300)
async def test_a_worker_is_as_small_after_10000_exchanges_as_before(house, full):
    # A second try comes after a pause.
    place = await house(Settings(scripts=SCRIPTS, **FAST), retry={"attempts": 1})
    (pid,) = place.proxy.worker_pids()
    chance = random.Random(5)
    await crowd(place.port, 800, chance)
    before = memory_of(pid)
    await crowd(place.port, 10_000 if full else 1_600, chance)
    assert memory_of(pid) - before < MOST
    for each in place.simulators:
        while each.engine.running:
            await asyncio.sleep(0.02)
