"""Rests as the supervisor sees them: two workers' reports in, trust and words out."""

import pytest
from supervisor.log_lines import LogLines

from multiproxy.supervisor.resting import Resting

S = 10**9


@pytest.fixture
def log():
    return LogLines()


def trust(board):
    return board.backends.rests_until(7), board.backends.ramp_from(7)


def test_failures_of_two_workers_together_eject_for_both(board, log):
    resting = Resting(board, 7, "gpu-a", log)
    for worker, now in ((0, 1), (1, 2)):
        board.load.failed(worker, 7, now * S)
        resting.tick(now * S)
    assert not resting.is_resting
    board.load.failed(0, 7, 3 * S)
    resting.tick(3 * S)
    until, ramp = trust(board)
    assert resting.is_resting and 7.5 * S <= until <= 8 * S and ramp == 0
    assert log.lines == [
        "gpu-a rests: its connections failed 3 times in a row; no requests for 5 s"
    ]
    assert resting.reason(9 * S) == "its connections kept failing; one request at a time tries it"
    board.load.succeeded(1, 7, 10 * S)
    resting.tick(10 * S)
    assert trust(board) == (0, 10 * S) and resting.reason(11 * S) == ""
    assert log.lines[1] == "gpu-a answers again and gets its share back little by little"


def test_what_failed_under_an_earlier_supervision_is_not_counted(board, log):
    for now in (1, 2, 3):
        board.load.failed(0, 7, now * S)
    resting = Resting(board, 7, "gpu-a", log)
    resting.tick(4 * S)
    assert not resting.is_resting and trust(board) == (0, 0)


def test_a_restart_ends_a_rest(board, log):
    resting = Resting(board, 7, "gpu-a", log)
    for _ in range(3):
        board.load.failed(0, 7, 1 * S)
    resting.tick(1 * S)
    resting.restarted(2 * S)
    assert trust(board) == (0, 2 * S) and not resting.is_resting
