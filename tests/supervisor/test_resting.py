"""Rests as the supervisor sees them: two workers' reports in, trust and words out."""

import pytest

from multiproxy.config import Backend, Url
from multiproxy.scoreboard import Scoreboard
from multiproxy.supervisor.backend_rows import Row
from multiproxy.supervisor.resting import Resting
from multiproxy.supervisor.watch import Watch

S = 10**9


class Log:
    def __init__(self):
        self.lines = []

    def info(self, text):
        self.lines.append(text)

    warning = error = info


@pytest.fixture
def board():
    board = Scoreboard.create()
    yield board
    board.close()


@pytest.fixture
def log():
    return Log()


def test_failures_of_two_workers_together_eject_for_both(board, log):
    resting = Resting(board, 7, "gpu-a", log)
    for worker, now in ((0, 1), (1, 2)):
        board.load.failed(worker, 7, now * S)
        resting.tick(now * S)
    assert not resting.is_resting
    board.load.failed(0, 7, 3 * S)
    resting.tick(3 * S)
    until, ramp = board.backends.trust(7)
    assert resting.is_resting and 7.5 * S <= until <= 8 * S and ramp == 0
    assert log.lines == [
        "gpu-a rests: its connections failed 3 times in a row; no requests for 5 s"
    ]
    assert resting.reason(9 * S) == "its connections kept failing; one request at a time tries it"
    board.load.succeeded(1, 7, 10 * S)
    resting.tick(10 * S)
    assert board.backends.trust(7) == (0, 10 * S) and resting.reason(11 * S) == ""
    assert log.lines[1] == "gpu-a answers again and gets its share back little by little"


def test_what_failed_under_an_earlier_supervision_is_not_counted(board, log):
    for now in (1, 2, 3):
        board.load.failed(0, 7, now * S)
    resting = Resting(board, 7, "gpu-a", log)
    resting.tick(4 * S)
    assert not resting.is_resting and board.backends.trust(7) == (0, 0)


def test_a_restart_ends_a_rest(board, log):
    resting = Resting(board, 7, "gpu-a", log)
    for _ in range(3):
        board.load.failed(0, 7, 1 * S)
    resting.tick(1 * S)
    resting.restarted(2 * S)
    assert board.backends.trust(7) == (0, 2 * S) and not resting.is_resting


async def test_when_more_than_half_rest_the_watch_says_so_once(board, log):
    watch = Watch(board, log)
    for index in range(3):
        url = Url("http", "127.0.0.1", 1)
        watch.start(Row(index, Backend(f"gpu-{index}", url)), url)
    for index in (0, 1):
        watch.tick()
        assert watch.panic == ""
        for _ in range(3):
            board.load.failed(0, index, 2**62)
    watch.tick()
    watch.tick()
    assert "requests go to them all the same" in watch.panic
    assert log.lines.count(watch.panic) == 1
    for index in (0, 1):
        watch.get(index).resting.restarted(1)
    watch.tick()
    assert watch.panic == "" and log.lines[-1] == "most backends answer again"
    await watch.close()
