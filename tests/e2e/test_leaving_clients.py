"""A client that leaves stops its backend, whatever phase it leaves in, FIN or RST."""

import asyncio
import random
from dataclasses import replace

import pytest
from e2e.raw_client import Client, chat

from multiproxy.simulator import Settings


async def quiet(place) -> None:
    """Wait until no backend works for anybody."""
    for each in place.simulators:
        while each.engine.running or each.engine.waiting:
            await asyncio.sleep(0.005)


@pytest.mark.parametrize("reset", [False, True], ids=["FIN", "RST"])
@pytest.mark.parametrize("phase", ["prefill", "decode"])
async def test_a_leaving_client_frees_its_slot(house, phase, reset):
    slow = Settings(slots=1, prompt_tokens_per_second=20, tokens_per_second=50)
    place = await house(slow)
    async with Client(place.port) as client:
        client.send(chat("hi", max_tokens=100_000, ignore_eos=True))
        while not place.generations:
            await asyncio.sleep(0.005)
        if phase == "decode":
            await client.until_content()
        if reset:
            client.reset()
    await quiet(place)
    assert place.simulators[0].facts.aborted == 1
    (line,) = await place.logged(1)
    assert (line["status"], line["end"]) == (499, "CW" if phase == "prefill" else "CD")


async def test_a_client_that_leaves_the_queue_never_reaches_a_backend(house):
    place = await house(Settings(slots=1, tokens_per_second=50))
    async with Client(place.port) as first:
        first.send(chat("first", max_tokens=100_000, ignore_eos=True))
        await first.until_content()
        async with Client(place.port) as second:
            second.send(chat("second"))
            second.send(chat("behind it"))  # pipelined bytes hide no EOF
        (line,) = await place.logged(1)
        assert (line["status"], line["end"]) == (499, "CQ")
    await quiet(place)
    assert place.generations == 1


async def test_a_client_that_leaves_before_an_answer_that_is_not_streamed_stops_it(house):
    place = await house(Settings(slots=1, tokens_per_second=50))
    async with Client(place.port) as client:
        client.send(chat("hi", stream=False, max_tokens=100_000, ignore_eos=True))
        while not place.generations:
            await asyncio.sleep(0.005)
    (line,) = await place.logged(1)
    assert line["status"] == 499
    assert line["end"] in ("CW", "CD")  # its first tokens may have been folded already
    await quiet(place)


async def test_no_slot_is_lost_to_clients_that_leave_at_any_moment(house, full):
    """Afterwards every slot answers: no lease, connection or generation was forgotten."""
    count = 1_000 if full else 200
    chance = random.Random(7)
    fast = Settings(slots=4, prompt_tokens_per_second=2_000, tokens_per_second=200)
    place = await house(fast, replace(fast, faults=[]), workers=2)
    room = asyncio.Semaphore(32)

    async def come_and_go() -> None:
        async with room, Client(place.port) as client:
            client.send(chat("x" * chance.randrange(400), max_tokens=50))
            try:
                await asyncio.wait_for(client.receive(), chance.random() * 0.3)
            except TimeoutError:
                if chance.random() < 0.5:
                    client.reset()

    await asyncio.gather(*(come_and_go() for _ in range(count)))
    await quiet(place)
    lines = await place.logged(count)
    assert len(lines) == count
    assert {line["status"] for line in lines} <= {200, 499}
    assert sum(line["status"] == 499 for line in lines) > count / 10
    async with Client(place.port) as client:
        for _ in range(16):
            client.send(chat("hi", max_tokens=2))
            assert (await client.receive()).outcome == "ok"
