import pytest

from multiproxy.scoreboard import Scoreboard
from multiproxy.scoreboard.layout import KEYS
from multiproxy.supervisor.key_rows import KeyRows, TooManyKeys


@pytest.fixture
def usage():
    board = Scoreboard.create()
    yield board.keys
    board.close()


@pytest.fixture
def rows(usage):
    return KeyRows(usage)


def test_a_key_keeps_its_row_and_its_counts_over_a_reload(rows, usage):
    assert rows.assign(["ann", "bob"], 1) == {"ann": 0, "bob": 1}
    usage.count_tokens(0, 1, 10, 1, 500)
    assert rows.assign(["bob", "cleo"], 2) == {"bob": 1, "cleo": 2}
    rows.release(1)
    assert rows.assign(["bob", "dan"], 3) == {"bob": 1, "dan": 0}
    assert usage.tokens_of_day(1, 1) == 500


def test_a_row_is_emptied_before_another_key_gets_it(rows, usage):
    rows.assign(["ann"], 1)
    usage.count_tokens(0, 0, 10, 1, 500)
    rows.release(1)
    assert usage.tokens_of_day(0, 1) == 500
    assert rows.assign(["bob"], 2) == {"bob": 0}
    assert usage.tokens_of_day(0, 1) == 0


def test_when_all_rows_are_taken_nothing_changes(rows):
    many = [f"k{number}" for number in range(KEYS)]
    rows.assign(many[1:], 1)
    with pytest.raises(TooManyKeys):
        rows.assign(["ann", "bob"], 2)
    rows.release(2)
    assert rows.assign([many[0]], 3) == {"k0": KEYS - 1}


def test_among_replicas_a_row_s_counts_have_a_name_that_no_other_row_had(rows, usage):
    rows.assign(["ann", "bob"], 1)
    before = rows.replica_of
    rows.assign(["bob"], 2)
    rows.release(1)
    rows.assign(["ann", "bob"], 3)
    assert rows.replica_of["bob"] == before["bob"]
    assert rows.replica_of["ann"] != before["ann"]
    other = KeyRows(usage)
    other.assign(["bob"], 1)
    assert other.replica_of["bob"] != before["bob"]


def test_what_a_key_used_before_the_start_is_added_where_the_key_is_known(rows, usage):
    rows.assign(["ann"], 1)
    usage.count_tokens(0, 0, 10, 7, 1)
    rows.restore_day(7, {"ann": 500, "bob": 9})
    assert (usage.tokens_of_day(0, 7), usage.tokens_of_day(0, 8)) == (501, 0)
    rows.release(1)
    rows.assign(["bob"], 2)
    assert usage.tokens_of_day(0, 7) == 0
