"""The worst lateness of the loop: seen, kept for a while, and then forgotten."""

from multiproxy.worker.lag import LoopLag

MS = 1_000_000


def test_a_clock_that_is_never_late_says_nothing():
    lag = LoopLag(0.2)
    assert [lag.tick(1 + turn * 200 * MS) for turn in range(100)] == [0] * 100


def test_one_stall_is_told_for_ten_to_twenty_seconds():
    lag = LoopLag(0.2)
    now, told = 1, []
    for turn in range(200):
        now += (230 if turn == 30 else 200) * MS
        told.append((now, lag.tick(now)))
    stalled = 31 * 200 * MS + 30 * MS
    seen = [at for at, worst in told if worst == 30 * MS]
    assert seen[0] - stalled < MS
    assert 10_000 * MS <= seen[-1] - seen[0] <= 20_000 * MS
    assert told[-1][1] == 0


def test_the_worst_of_several_counts():
    lag = LoopLag(0.2)
    moments = [1, 201 * MS, 450 * MS, 655 * MS]
    assert [lag.tick(now) // MS for now in moments] == [0, 0, 49, 49]
