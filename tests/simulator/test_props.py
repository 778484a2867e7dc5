"""Information routes: recorded shapes, and numbers that move."""

import re

import pytest

NAMES = """
lora-adapters metrics.fresh models.v1 slots.fresh
""".split()


@pytest.mark.parametrize("name", NAMES)
async def test_information_has_the_recorded_bytes(name, replay):
    assert await replay.simulated(name) == replay.recorded(name)


async def test_metrics_and_slots_count_what_was_generated(simulate, client):
    server = await simulate(slots=2)
    async with client(server.port) as connection:
        await connection.ask({"messages": [{"role": "user", "content": "@tokens 7"}]})
        metrics = await connection.answer(b"GET /metrics HTTP/1.1\r\n\r\n")
        slots = await connection.answer(b"GET /slots HTTP/1.1\r\n\r\n")
    assert re.search(rb"^llamacpp:tokens_predicted_total 8$", metrics, re.MULTILINE)
    assert slots.count(b'"is_processing":false') == 2
    assert slots.count(b'"next_token":[') == 1
