"""A backend that breaks connection after connection, seen by two workers."""

import asyncio

from e2e.raw_client import ask, chat

from multiproxy.simulator import Settings

FAST = {"tokens_per_second": 500.0, "prompt_tokens_per_second": 100_000.0, "slots": 16}


async def test_a_flapping_backend_rests_at_every_worker_and_comes_back(house):
    place = await house(Settings(**FAST), Settings(**FAST), workers=2)
    flapping, good = place.simulators
    flapping.set_faults(["cut"])

    async def one(number):
        return (await ask(place.port, chat(f"number {number}", max_tokens=3))).outcome

    asked = 0
    while "sim-0 rests: " not in place.proxy.log_text():
        assert await one(asked) == "ok", "each failure is hidden"
        asked += 1
        assert asked < 500
    before = flapping.facts.requests["POST /v1/chat/completions"]
    outcomes = await asyncio.gather(*(one(asked + number) for number in range(200)))
    assert set(outcomes) == {"ok"}
    assert flapping.facts.requests["POST /v1/chat/completions"] == before, "it rests"
    flapping.set_faults([])
    while "sim-0 answers again" not in place.proxy.log_text():
        assert await one(asked) == "ok"
        asked += 1


async def test_retries_are_a_fifth_of_all_when_half_of_the_answers_fail(house):
    place = await house(Settings(**FAST), Settings(**FAST), workers=1)
    for each in place.simulators:
        each.set_faults(["status:status=500"])
    count = 200
    answers = [await ask(place.port, chat(f"number {number}")) for number in range(count)]
    assert {answer.status for answer in answers} == {502}
    tried = sum(each.facts.requests["POST /v1/chat/completions"] for each in place.simulators)
    bank, trickle = 16, 0.3 * 60
    assert count <= tried <= 1.2 * count + bank + trickle


async def test_when_every_backend_flaps_some_are_asked_all_the_same(house):
    place = await house(Settings(**FAST), Settings(**FAST), workers=1)
    for each in place.simulators:
        each.set_faults(["cut"])
    while "more than half of the backends keep failing" not in place.proxy.log_text():
        assert (await ask(place.port, chat("hi"))).status == 502
    for each in place.simulators:
        each.set_faults([])
    while (await ask(place.port, chat("hi", max_tokens=2))).outcome != "ok":
        await asyncio.sleep(0.02)
