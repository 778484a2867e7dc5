import dataclasses
import os
import struct

import pytest

from multiproxy.scoreboard import TRIES, UNKNOWN, Choice, Finished, Try, layout

RECORD = Finished(
    request_id="9f2c60abcdef",
    endpoint="chat_completions",
    dialect="openai",
    stream=True,
    status=200,
    termination="--",
    error="",
    model_asked="gpt-4o",
    model_served="qwen3-32b",
    backend=17,
    attempts=2,
    key="alice",
    client="[2001:db8::1]:50000",
    user_agent="OpenAI/Python 2.0",
    finish_reason="stop",
    started_unix_ns=1_790_000_000_123_456_789,
    queue_ns=1,
    connect_ns=2_000,
    prefill_ns=UNKNOWN,
    first_event_ns=310_000_000,
    last_event_ns=6_800_000_000,
    total_ns=6_900_000_000,
    prompt_tokens=2_118,
    cached_tokens=1_673,
    output_tokens=402,
    bytes_in=9_000,
    bytes_out=123_456_789_012,
    chosen_ns=1_500,
    choice=Choice(2, 1, 4, 2, 3),
    tries=(Try(3, Choice(3, 0, 4, 2, 3), "backend_disconnected", 10_000, UNKNOWN, 1_800_000_000),),
    broke_at=1026,
    broke_tokens=131_072,
    split="assistant",
    copy_of="0123456789ab",
    trace=bytes(range(25)),
)


def numbered(number):
    return dataclasses.replace(RECORD, total_ns=number)


def test_a_record_comes_back_as_it_went_in(board):
    ring = board.ring(0)
    ring.append(RECORD)
    assert ring.read(0) == ([RECORD], 1, 0)
    assert ring.read(1) == ([], 1, 0)
    assert board.ring(1).read(0) == ([], 0, 0)


def test_times_of_tries_are_kept_to_ten_microseconds_and_a_late_one_is_the_latest(board):
    choice = Choice(255, 2**32 - 1, 2**32 - 1, 2**32 - 1, 2**32 - 1)
    tries = tuple(Try(255, choice, "x" * 30, n, UNKNOWN, 10**15) for n in range(TRIES))
    board.ring(0).append(dataclasses.replace(RECORD, tries=tries))
    read = board.ring(0).read(0)[0][0].tries
    latest = (2**32 - 2) * 10_000  # 11.9 hours
    assert read == (Try(255, choice, "x" * 24, 0, UNKNOWN, latest),) * TRIES


@pytest.mark.parametrize(
    ("model", "read"),
    [("x" * 70, "x" * 64), ("x" * 63 + "é", "x" * 63), ("日" * 30, "日" * 21), ("a\ud800", "a?")],
)
def test_a_long_text_is_cut_at_a_whole_character(board, model, read):
    board.ring(0).append(dataclasses.replace(RECORD, model_asked=model))
    assert board.ring(0).read(0)[0][0].model_asked == read


def test_a_reader_that_was_away_gets_the_newest_and_the_number_it_missed(board):
    ring = board.ring(0)
    total = layout.RING_RECORDS + 500
    for number in range(total):
        ring.append(numbered(number))
    records, cursor, lost = ring.read(10, limit=layout.RING_RECORDS)
    # One slot is always in danger of the record that is written next.
    assert [r.total_ns for r in records] == list(range(501, total))
    assert (cursor, lost) == (total, 501 - 10)


def test_a_large_backlog_is_read_in_portions_without_loss(board):
    ring = board.ring(0)
    for number in range(2_500):
        ring.append(numbered(number))
    cursor, seen, lost = 0, [], 0
    while cursor < ring.published:
        records, cursor, missed = ring.read(cursor, limit=1_000)
        seen += [r.total_ns for r in records]
        lost += missed
    assert (seen, lost) == (list(range(2_500)), 0)


def test_a_record_that_is_overwritten_while_it_is_read_counts_as_lost(board):
    ring = board.ring(0)
    for number in range(layout.RING_RECORDS):
        ring.append(numbered(number))
    copy = ring._copy

    def overtaken(number):  # the writer laps the reader between two of its copies
        fields = copy(number)
        if number == 5:
            for _ in range(8):
                ring.append(numbered(-7))
        return fields

    ring._copy = overtaken
    records, cursor, lost = ring.read(1, limit=20)
    assert [r.total_ns for r in records] == list(range(9, 21))
    assert (cursor, lost) == (21, 8)


def test_a_torn_record_is_recognised_by_its_two_numbers(board):
    ring = board.ring(0)
    ring.append(numbered(0))
    ring.append(numbered(1))
    struct.pack_into("=Q", board._memory, layout.RING.at(0) + layout.LINE, 99)
    records, cursor, lost = ring.read(0)
    assert ([r.total_ns for r in records], cursor, lost) == ([1], 2, 1)


def test_a_writer_killed_inside_a_record_publishes_nothing_and_its_successor_goes_on(board):
    ring = board.ring(4)
    ring.append(numbered(0))
    child = os.fork()
    if child == 0:
        half = layout.RING.at(4) + layout.LINE + layout.RECORD_SIZE
        board._memory[half : half + 100] = b"\xff" * 100
        os._exit(9)
    os.waitpid(child, 0)
    assert [r.total_ns for r in ring.read(0)[0]] == [0]
    ring.append(numbered(1))
    assert [r.total_ns for r in ring.read(0)[0]] == [0, 1]


def test_a_record_without_a_trace_has_none_where_another_had_one(board):
    ring = board.ring(0)
    for _ in range(layout.RING_RECORDS):
        ring.append(RECORD)
    ring.append(dataclasses.replace(RECORD, trace=b""))
    records, _, _ = ring.read(ring.published - 2)
    assert [record.trace for record in records] == [RECORD.trace, b""]
    assert [record.tries for record in records] == [RECORD.tries, RECORD.tries]
