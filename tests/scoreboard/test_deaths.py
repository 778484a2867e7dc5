from multiproxy.scoreboard import WORKERS
from multiproxy.scoreboard.layout import DEATHS_KEPT


def test_a_death_that_one_worker_adds_is_read_by_all(board):
    before = board.deaths.version
    board.deaths.add(0, 2**64 - 1, 3, 1_000)
    assert board.deaths.version != before
    board.deaths.add(WORKERS - 1, 7, 255, 2_000)
    assert list(board.deaths.read()) == [(2**64 - 1, 3, 1_000), (7, 255, 2_000)]


def test_the_oldest_makes_room_and_neighbours_are_not_touched(board):
    board.deaths.add(1, 1, 1, 1)
    for number in range(2, DEATHS_KEPT + 5):
        board.deaths.add(0, number, 0, number)
    bodies = sorted(body for body, _, _ in board.deaths.read())
    assert bodies == [1, *range(5, DEATHS_KEPT + 5)]


def test_a_worker_that_died_while_it_wrote_keeps_nobody_from_reading_the_others(board):
    board.deaths.add(0, 5, 0, 5)
    board.deaths.add(1, 6, 0, 6)
    board.deaths._sequences[0] |= 1
    assert list(board.deaths.read()) == [(6, 0, 6)]
    board.deaths.add(0, 7, 0, 7)
    assert (7, 0, 7) in list(board.deaths.read())


def test_what_a_dead_worker_saw_is_still_known(board):
    board.deaths.add(2, 5, 0, 5)
    board.bury(2)
    assert list(board.deaths.read()) == [(5, 0, 5)]


def test_trust_is_a_backend_s_own_and_goes_with_its_row(board):
    board.backends.write_trust(3, 10**18, 5)
    assert [
        (board.backends.rests_until(index), board.backends.ramp_from(index)) for index in (2, 3, 4)
    ] == [(0, 0), (10**18, 5), (0, 0)]
