"""Requests with mistakes: read as a strict reader does or refused, and the same at every cut.

A short run here, after the committed corpus; ``--full`` makes the million.
"""

import random

import pytest
from _http.damage import damaged
from _http.mutated_requests import SEEDS, SPLICES, corpus, read, strictly

SHORT, FULL = 1_500, 1_000_000


async def check(data: bytes, chance: random.Random) -> str:
    """The verdict on some bytes, which is the same however they come."""
    whole = await read(data)
    cuts = [chance.randrange(len(data) + 1) for _ in range(3)]
    pieces = await read(data, *cuts)
    assert (pieces.verdict, pieces.requests) == (whole.verdict, whole.requests), (data, cuts)
    # Nothing is smuggled: what was accepted is what a strict reader reads, and no more.
    assert whole.requests == strictly(data)[: len(whole.requests)], data
    return whole.verdict


@pytest.mark.parametrize(("verdict", "data"), corpus(), ids=lambda value: None)
async def test_every_way_that_a_request_was_ever_read_is_still_the_same(verdict, data):
    assert await check(data, random.Random(data)) == verdict
    bytewise = await read(data, *range(len(data)))
    assert bytewise.verdict == verdict


async def test_a_damaged_request_is_read_as_a_strict_reader_does_or_not_at_all(full):
    for number in range(FULL if full else SHORT):
        chance = random.Random(number)
        await check(damaged(chance.choice(SEEDS), chance, SPLICES), chance)
