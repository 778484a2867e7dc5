"""What keys used: many writers, one sum, and no count in the wrong minute."""

import pytest

from multiproxy.scoreboard import WORKERS
from multiproxy.scoreboard.layout import KEYS


@pytest.fixture
def keys(board):
    return board.keys


def test_the_sum_is_over_all_workers_and_of_one_key(keys):
    for worker in (0, 1, WORKERS - 1):
        keys.add(worker, 7, +2)
        keys.count_request(worker, 7, 100)
        keys.count_tokens(worker, 7, 100, 20_000, 30)
    keys.add(1, 7, -1)
    keys.add(0, 8, +9)
    keys.count_request(0, KEYS - 1, 100)
    assert (keys.running(7), keys.running(8)) == (5, 9)
    assert (keys.requests(7, 100), keys.requests(KEYS - 1, 100)) == (3, 1)
    assert (keys.tokens(7, 100), keys.tokens_of_day(7, 20_000)) == (90, 90)
    assert (keys.requests(6, 100), keys.tokens(8, 100)) == (0, 0)


def test_the_minute_before_is_still_known_and_older_ones_count_no_more(keys):
    for minute in (10, 10, 11):
        keys.count_request(0, 1, minute)
    assert [keys.requests(1, minute) for minute in (9, 10, 11, 12)] == [0, 2, 1, 0]
    keys.count_request(0, 1, 12)
    assert [keys.requests(1, minute) for minute in (10, 11, 12)] == [0, 1, 1]


def test_a_worker_that_idled_for_an_hour_adds_nothing_to_the_present_minute(keys):
    keys.count_tokens(0, 1, 10, 1, 500)
    keys.count_tokens(1, 1, 70, 1, 3)
    assert (keys.tokens(1, 70), keys.tokens(1, 10), keys.tokens_of_day(1, 1)) == (3, 500, 503)


def test_a_new_day_begins_with_nothing(keys):
    keys.count_tokens(0, 1, 10, 1, 500)
    assert keys.tokens_of_day(1, 2) == 0
    keys.count_tokens(0, 1, 11, 2, 1)
    assert (keys.tokens_of_day(1, 1), keys.tokens_of_day(1, 2)) == (0, 1)


def test_a_count_never_runs_over_into_its_minute(keys):
    for _ in range(3):
        keys.count_tokens(0, 1, 10, 1, 2**40 - 2)
    assert keys.tokens(1, 10) == 2**40 - 1


def test_a_dead_worker_runs_nothing_but_what_it_used_is_used(board, keys):
    keys.add(3, 1, +4)
    keys.add(4, 1, +1)
    keys.count_tokens(3, 1, 10, 1, 500)
    board.bury(3)
    assert (keys.running(1), keys.tokens(1, 10), keys.tokens_of_day(1, 1)) == (1, 500, 500)


def test_a_row_is_empty_before_its_next_owner(keys):
    for key in (1, 2):
        keys.add(3, key, +4)
        keys.count_request(3, key, 10)
        keys.count_tokens(3, key, 10, 1, 500)
    keys.forget_key(1)
    assert (keys.running(1), keys.requests(1, 10), keys.tokens_of_day(1, 1)) == (0, 0, 0)
    assert (keys.running(2), keys.requests(2, 10), keys.tokens_of_day(2, 1)) == (4, 1, 500)


def test_more_ends_than_beginnings_are_a_bug_and_change_nothing(keys):
    keys.add(0, 1, +1)
    with pytest.raises(AssertionError, match="worker 1 ended more generations"):
        keys.add(1, 1, -1)
    assert keys.running(1) == 1
