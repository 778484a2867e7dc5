"""The table of where prompts went: found again, bounded, and never half of two writes."""

from random import Random

import pytest

from multiproxy.scoreboard import Memory, Scoreboard, Trace
from multiproxy.scoreboard.memory import MAX_TOKENS, WAYS

KEY = 0xFEDC_BA98_7654_3210


def memory(buckets: int = 4) -> Memory:
    return Memory(memoryview(bytearray(buckets * WAYS * 16)))


@pytest.mark.parametrize(
    "trace",
    [Trace(0, 1, 0.1), Trace(4095, MAX_TOKENS, 26_843_545.5, True), Trace(7, 1234, 99.5, True)],
)
def test_what_was_written_is_found(trace):
    table = memory()
    table.note(KEY, *trace)
    assert table.find(KEY) == [trace]
    assert table.find(KEY + 1) == table.find(KEY + 4) == []


def test_one_prefix_may_be_at_several_backends_and_each_is_told_once():
    table = memory()
    for backend in (3, 5, 3):
        table.note(KEY, backend, 10 + backend, 1.0)
    table.note(KEY, 5, 99, 2.0, True)
    assert sorted(table.find(KEY)) == [Trace(3, 13, 1.0), Trace(5, 99, 2.0, True)]


def test_a_forgotten_trace_is_gone_and_its_neighbours_are_not():
    table = memory()
    for backend in (1, 2):
        table.note(KEY, backend, 10, 1.0)
    table.note(KEY + 4, 1, 10, 1.0)  # the same bucket
    table.forget(KEY, 1)
    table.forget(KEY, 9)
    assert table.find(KEY) == [Trace(2, 10, 1.0)]
    assert table.find(KEY + 4) == [Trace(1, 10, 1.0)]


def test_a_full_bucket_loses_what_was_seen_least_recently():
    table = memory(buckets=1)
    for number in range(WAYS):
        table.note(number + 1, 0, 10, 100.0 - number)
    table.note(99, 0, 10, 101.0)
    assert table.find(WAYS) == []  # seen at 93
    assert [len(table.find(key)) for key in (*range(1, WAYS), 99)] == [1] * WAYS


def test_numbers_beyond_their_room_are_cut():
    table = memory()
    table.note(KEY, 1, MAX_TOKENS + 5, 1.0)
    assert table.find(KEY)[0].tokens == MAX_TOKENS
    table.note(KEY, 1, 0, 1.0)
    assert table.find(KEY)[0].tokens == 1


def test_two_writes_that_mix_are_no_trace():
    """Every word of one writer beside every word of another: found whole or not at all."""
    chance = Random(5)
    for _ in range(200):
        keys = [chance.getrandbits(64) | 1 for _ in range(2)]
        traces = [Trace(chance.randrange(4096), chance.randrange(1, 9999), 5.0) for _ in keys]
        tables = [memory(buckets=1) for _ in keys]
        for table, key, trace in zip(tables, keys, traces, strict=True):
            table.note(key, *trace)
        tables[0]._words[0] = tables[1]._words[0]
        assert tables[0].find(keys[0]) == tables[0].find(keys[1]) == []


def test_all_processes_share_one():
    board = Scoreboard.create()
    other = Scoreboard.attach(board.fd)
    board.memory.note(KEY, 3, 77, 5.0)
    assert other.memory.find(KEY) == [Trace(3, 77, 5.0)]
