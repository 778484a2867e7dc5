"""Many clients, few slots: nobody fails, nobody is forgotten, and keys get equal shares."""

import asyncio
import random
import re
from collections import Counter
from time import monotonic

import pytest
from e2e.raw_client import Client, chat

from multiproxy.simulator import Settings

KEYS = {"ann": 0.6, "bob": 0.25, "cat": 0.15}  # each one's share of the clients
SLOTS, BACKENDS, WORKERS = 2, 2, 2


def secret(name: str) -> str:
    return f"sk-{name}-12345678"


@pytest.mark.timeout(180)
async def test_300_clients_on_4_slots(house, full):
    """In the short form 60 clients for some seconds; ``--full`` is the real crowd."""
    clients, seconds = (300, 60.0) if full else (60, 5.0)
    fast = Settings(slots=SLOTS, tokens_per_second=400, prompt_tokens_per_second=0)
    keys = [{"name": name, "key": secret(name), "max_concurrent": 1000} for name in KEYS]
    place = await house(*[fast] * BACKENDS, workers=WORKERS, keys=keys)
    chance = random.Random(3)
    until = monotonic() + seconds
    served: Counter[str] = Counter()
    outcomes: Counter[str] = Counter()
    most = 0

    async def come_again(name: str) -> None:
        while monotonic() < until:
            async with Client(place.port) as client:
                client.send(chat("hello", max_tokens=16), key=secret(name))
                if chance.random() < 0.1:
                    await asyncio.sleep(chance.random() * 0.2)
                    outcomes["left"] += 1
                    continue
                answer = await client.receive()
                outcomes[answer.outcome] += 1
                served[name] += monotonic() < until

    async def watch() -> None:
        nonlocal most
        while True:
            for each in place.simulators:
                most = max(most, len(each.engine.running) + len(each.engine.waiting))
            await asyncio.sleep(0.002)

    watching = asyncio.create_task(watch())
    names = [name for name, share in KEYS.items() for _ in range(round(clients * share))]
    await asyncio.gather(*map(come_again, names))
    watching.cancel()
    assert outcomes.keys() <= {"ok", "left"}, outcomes
    assert most <= SLOTS + WORKERS - 1
    equal = sum(served.values()) / len(KEYS)
    assert equal > 10 * seconds
    # On a busy machine a key with few clients is held back by them, too. First come, first served
    # would give it less than half of an equal part.
    assert all(abs(count / equal - 1) < (0.10 if full else 0.35) for count in served.values()), (
        served
    )


async def test_waiters_that_leave_are_gone_at_once(house, full):
    place = await house(Settings(slots=1, tokens_per_second=50))
    async with Client(place.port) as first:
        first.send(chat("first", max_tokens=100_000, ignore_eos=True))
        await first.until_content()
        waiting = [Client(place.port) for _ in range(40)]
        for client in waiting:
            await client.__aenter__()
            client.send(chat("waits"))
        await asyncio.sleep(0.1)
        left = monotonic()
        for client in waiting:
            client.reset()
        lines = await place.logged(40)
        assert {(line["status"], line["end"]) for line in lines} == {(499, "CQ")}
        if full:  # a busy machine has its own idea of time
            assert monotonic() - left < 0.25
    assert place.generations == 1


async def test_conversations_meet_the_backend_that_has_their_prompt(house):
    """Over two workers and four backends: whatever comes second finds its cache."""
    fast = Settings(slots=4, tokens_per_second=0, prompt_tokens_per_second=0)
    place = await house(*[fast] * 4, workers=2)
    asked: list[list[str]] = []
    for number in range(8):
        asked.append([])
        turns = [{"role": "user", "content": f"{number} {'tell me more ' * 300}"}]
        for _ in range(4):
            async with Client(place.port) as client:  # each time perhaps another worker
                client.send({"model": "demo", "messages": turns, "max_tokens": 4})
                answer = await client.receive()
                assert answer.outcome == "ok"
                asked[-1].append(re.findall(rb"X-Request-Id: (\S+)", answer.head)[0].decode())
            turns = [*turns, {"role": "assistant", "content": "well"}, *turns[:1]]
    where = {line["request_id"]: line["backend"] for line in await place.logged(32)}
    met = [{where[each] for each in turns} for turns in asked]
    assert all(len(backends) == 1 for backends in met), met
    assert len(set.union(*met)) >= 3  # and not all conversations at one
