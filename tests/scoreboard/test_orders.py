from multiproxy.scoreboard import Scoreboard
from multiproxy.scoreboard.orders import ORDERS


def test_an_order_is_read_once_and_only_by_its_worker(board):
    board.orders.give(2, "0123456789ab")
    assert board.orders.read(2, 0) == (["0123456789ab"], 1)
    assert board.orders.read(2, 1) == ([], 1)
    assert board.orders.read(1, 0) == ([], 0)


def test_another_process_sees_the_order(board):
    other = Scoreboard.attach(board.fd)
    board.orders.give(0, "a" * 12)
    assert other.orders.read(0, other.orders.given(0) - 1) == (["a" * 12], 1)


def test_a_worker_that_was_away_gets_the_newest_orders(board):
    for number in range(ORDERS + 3):
        board.orders.give(0, f"{number:012x}")
    ids, cursor = board.orders.read(0, 0)
    assert ids == [f"{number:012x}" for number in range(3, ORDERS + 3)]
    assert cursor == ORDERS + 3
