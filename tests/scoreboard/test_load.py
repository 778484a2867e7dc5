import pytest

from multiproxy.scoreboard import BACKENDS, WORKERS, Scoreboard


@pytest.fixture
def load():
    board = Scoreboard.create()
    yield board.load
    board.close()


def test_in_flight_is_the_sum_over_all_workers(load):
    load.add(0, 5, +3)
    load.add(63, 5, +2)
    load.add(1, 6, +9)
    load.add(0, 5, -1)
    assert load.in_flight(5) == 4
    assert load.in_flight(6) == 9


def test_every_cell_is_its_own(load):
    for worker in range(WORKERS):
        for backend in range(BACKENDS):
            load.add(worker, backend, worker + backend)
    for backend in range(BACKENDS):
        assert load.in_flight(backend) == sum(worker + backend for worker in range(WORKERS))


def test_a_count_below_zero_is_a_bug_and_changes_nothing(load):
    load.add(0, 5, +1)
    with pytest.raises(AssertionError, match="worker 1 ended more requests"):
        load.add(1, 5, -1)
    assert load.in_flight(5) == 1


def test_mirrored_requests_are_counted_apart_and_go_with_their_worker(load):
    load.add(0, 5, +1)
    load.add_copy(0, 5, +2)
    load.add_copy(1, 5, +1)
    assert (load.in_flight(5), load.copies(5), load.copies(6)) == (1, 3, 0)
    load.reset(0)
    assert (load.in_flight(5), load.copies(5)) == (0, 1)


def test_last_opened_leaves_out_the_asking_worker(load):
    load.opened(0, 5, 1_000)
    load.opened(1, 5, 900)
    load.opened(1, 6, 2_000)
    assert load.last_opened(5, besides=0) == 900
    assert load.last_opened(5, besides=1) == 1_000
    assert load.last_opened(7, besides=0) == 0
    assert (load.last_opened_of(0, 5), load.last_opened_of(1, 5)) == (1_000, 900)


def test_failures_tell_the_newest_moment_and_the_number(load):
    assert load.failures(5) == (0, 0)
    load.failed(0, 5, 1_000)
    load.failed(2, 5, 800)
    load.failed(2, 5, 900)
    load.failed(2, 6, 5_000)
    assert load.failures(5) == (1_000, 3)


def test_last_succeeded_is_the_newest_of_all_workers(load):
    load.succeeded(0, 5, 1_000)
    load.succeeded(9, 5, 700)
    assert load.last_succeeded(5) == 1_000
    assert load.last_succeeded(6) == 0


def test_reset_takes_only_the_dead_workers_requests(load):
    load.add(0, 5, +3)
    load.add(1, 5, +2)
    load.failed(0, 5, 1_000)
    load.reset(0)
    assert load.in_flight(5) == 2
    assert load.failures(5) == (1_000, 1)


def test_a_backend_that_takes_over_a_row_inherits_no_stamps(load):
    for backend in (5, 6):
        load.opened(0, backend, 1)
        load.failed(3, backend, 2)
        load.succeeded(63, backend, 3)
    load.forget_backend(5)
    assert (load.last_opened(5, 9), load.failures(5), load.last_succeeded(5)) == (0, (0, 0), 0)
    assert (load.last_opened(6, 9), load.failures(6), load.last_succeeded(6)) == (1, (2, 1), 3)
