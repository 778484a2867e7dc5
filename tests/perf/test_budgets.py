"""Each path keeps to its budget, and what is over one is told."""

import asyncio

import pytest

from micro import budgets, counting
from micro.paths import PATHS
from multiproxy._http import serializer

BUDGETS = budgets.read()
COST = {
    "instructions": 1000,
    "writes": 2.0,
    "kept_blocks": 0.0,
    "peak_bytes": 5000,
    "by_function": {"a:f": 500, "a:g": 200},
}


@pytest.mark.skipif(
    budgets.VERSION not in BUDGETS, reason=f"no budgets for Python {budgets.VERSION}"
)
@pytest.mark.parametrize("path", PATHS)
async def test_every_path_keeps_to_its_budget(path):
    over = budgets.excesses(await budgets.cost_of(path), BUDGETS[budgets.VERSION][path])
    assert not over, "faster code, or perf/micro/budgets.py --write and a reason in the commit"


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ({}, []),
        ({"instructions": 1021}, []),
        ({"instructions": 1023}, ["instructions 1023, budget 1000"]),
        ({"writes": 3.0}, ["writes 3.0, budget 2.0"]),
        ({"kept_blocks": 1.0}, ["kept_blocks 1.0, budget 0.0"]),
        ({"peak_bytes": 5200}, ["peak_bytes 5200, budget 5000"]),
        ({"by_function": {"a:f": 520}}, ["instructions of a:f 520, budget 500"]),
        ({"by_function": {"b:h": 40}}, ["instructions of b:h 40, budget 10"]),
        ({"by_function": {}}, []),
    ],
)
def test_what_is_over_its_budget_is_told(more, told):
    assert budgets.excesses(COST | more, COST) == told


def test_instructions_of_our_own_functions_are_counted_and_no_others():
    with counting.Instructions() as counted:
        for _ in range(3):
            serializer.chunk(b"x" * len("pytest"))
            asyncio.isfuture(print)
            sorted([3, 2], key=lambda number: -number)
    found = counted.by_function(3)
    assert list(found) == ["_http/serializer:chunk"]
    assert found["_http/serializer:chunk"] > 1


async def test_what_a_step_keeps_and_what_it_has_at_a_time_are_counted():
    kept = []

    async def step():
        kept.append(object())
        bytes(100_000)

    assert 0.9 < await counting.kept_blocks(step, 100) < 1.5
    assert 100_000 < await counting.peak_bytes(step) < 110_000
