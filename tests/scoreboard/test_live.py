import dataclasses

import pytest

from multiproxy.scoreboard import BAR_NS, Phase, Running, Scoreboard, layout

ROW = Running(
    request_id="9f2c60abcdef",
    phase=Phase.PREFILL,
    phase_since_ns=3_000,
    started_unix_ns=1_790_000_000_000_000_000,
    started_ns=2_000,
    endpoint="chat_completions",
    dialect="openai",
    stream=True,
    model_asked="gpt-4o",
    model_served="qwen3-32b",
    key="alice",
    client="127.0.0.1:50000",
    backend=17,
    prompt_total=900,
    prompt_cached=500,
    prompt_processed=100,
    attempts=2,
    queue_position=3,
    queue_wait_ms=4_500,
    copy_of="0123456789ab",
)


@pytest.fixture
def table():
    board = Scoreboard.create()
    yield board.live[2]
    board.close()


def test_a_row_comes_back_as_it_went_in_and_leaves_when_released(table):
    slot = table.claim()
    assert table.rows() == []
    table.write(slot, ROW)
    assert table.rows() == [dataclasses.replace(ROW, bars=bytes(60))]
    assert table.running == 1
    table.release(slot)
    assert (table.rows(), table.running) == ([], 0)


def test_update_moves_the_phase_and_leaves_the_rest(table):
    slot = table.claim()
    table.write(slot, ROW)
    table.update(slot, Running("other", Phase.DECODING, 9_000, 1, 1, backend=18))
    (row,) = table.rows()
    assert (row.phase, row.phase_since_ns, row.backend) == (Phase.DECODING, 9_000, 18)
    assert (row.request_id, row.model_asked, row.prompt_total) == ("9f2c60abcdef", "gpt-4o", 0)


def test_count_adds_tokens_to_the_bar_of_the_moment(table):
    slot = table.claim()
    table.write(slot, ROW)
    start = 1_000 * BAR_NS
    for bar, tokens in [(0, 1), (0, 2), (1, 4), (5, 7)]:
        table.count(slot, tokens, start + bar * BAR_NS + 5)
    (row,) = table.rows()
    assert row.tokens == 14
    assert row.bar_at == 1_005
    assert list(row.bars[-7:]) == [0, 3, 4, 0, 0, 0, 7]
    assert sum(row.bars) == 14


def test_a_bar_that_comes_round_again_starts_empty(table):
    slot = table.claim()
    table.write(slot, ROW)
    for bar in range(60):
        table.count(slot, 9, bar * BAR_NS)
    table.count(slot, 1, 62 * BAR_NS)
    (row,) = table.rows()
    assert list(row.bars) == [9] * 57 + [0, 0, 1]
    table.count(slot, 300, 500 * BAR_NS)
    assert list(table.rows()[0].bars) == [0] * 59 + [255]


def test_the_next_exchange_in_a_row_inherits_no_tokens(table):
    slot = table.claim()
    table.write(slot, ROW)
    table.count(slot, 5, 10 * BAR_NS)
    table.release(slot)
    assert table.claim() == slot
    table.write(slot, ROW)
    assert (table.rows()[0].tokens, table.rows()[0].bars) == (0, bytes(60))


def test_a_full_table_counts_what_it_cannot_show(table):
    slots = [table.claim() for _ in range(layout.LIVE_ROWS)]
    assert (sorted(slots), table.dropped) == (list(range(layout.LIVE_ROWS)), 0)
    assert table.claim() is None
    assert table.claim() is None
    assert table.dropped == 2
    table.release(7)
    assert table.claim() == 7


def test_a_row_whose_writer_died_inside_is_left_out_and_freed_by_reset(table):
    slots = table.claim(), table.claim()
    for slot in slots:
        table.write(slot, ROW)
    table._stamps[table._at(slots[0]) // 8] |= 1
    assert len(table.rows()) == 1
    table.reset()
    assert (table.rows(), table.used) == ([], 0)
    table.write(table.claim(), ROW)
