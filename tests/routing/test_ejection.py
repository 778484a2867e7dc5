"""Failures in a row, rests, trials, and coming back."""

import random

import pytest

from multiproxy.routing.ejection import Ejection, Trust, Turn, admitted

S = 10**9


class Chance(random.Random):
    def uniform(self, a, b):
        return b


class Bench:
    """A backend whose workers report; ``now`` is in seconds."""

    def __init__(self, failures=0):
        self.ejection = Ejection(Chance(), failures)
        self.failures, self.failed, self.succeeded = failures, 0, 0

    def fail(self, now, times=1):
        self.failures, self.failed = (self.failures + times) % 2**32, int(now * S)
        return self.look(now)

    def succeed(self, now):
        self.succeeded = int(now * S)
        return self.look(now)

    def look(self, now):
        return self.ejection.look(self.failures, self.failed, self.succeeded, int(now * S))

    @property
    def rests_until(self):
        return self.ejection.trust.rests_until_ns / S


def test_three_failures_in_a_row_eject():
    bench = Bench()
    assert [bench.fail(now) for now in (1, 2, 3)] == [None, None, Turn.EJECTED]
    assert bench.rests_until == 8


def test_a_success_between_failures_begins_the_count_again():
    bench = Bench()
    for now in (1, 2, 4, 5):
        assert bench.fail(now) is None
        bench.succeed(now + 0.5) if now == 2 else None
    assert bench.fail(6) is Turn.EJECTED


def test_a_success_between_two_looks_counts_as_well():
    bench = Bench()
    bench.fail(1, times=2)
    bench.succeeded = int(1.5 * S)  # then it failed again before anybody looked
    assert bench.fail(2) is None
    assert bench.ejection.in_a_row == 1


def test_failures_that_come_together_are_all_counted():
    assert Bench().fail(1, times=3) is Turn.EJECTED


def test_old_failures_and_a_count_that_wraps_are_nothing_new():
    bench = Bench(failures=2**32 - 1)
    assert bench.look(1) is None
    assert [bench.fail(now) for now in (2, 3)] == [None, None]
    assert bench.fail(4) is Turn.EJECTED


def test_each_rest_is_twice_as_long_up_to_a_minute():
    bench, now, rests = Bench(), 1.0, []
    bench.fail(now, times=3)
    for _ in range(6):
        rests.append(bench.rests_until - now)
        now = bench.rests_until + 1
        assert bench.fail(now) is Turn.EJECTED, "one failure on trial is enough"
    assert rests == [5, 10, 20, 40, 60, 60]


def test_a_rest_is_never_shortened_by_what_still_fails_or_succeeds():
    bench = Bench()
    bench.fail(1, times=3)
    assert [bench.fail(2, times=9), bench.succeed(3), bench.fail(4)] == [None] * 3
    assert bench.rests_until == 6


def test_rests_have_jitter_but_are_never_longer():
    ends = set()
    for seed in range(50):
        ejection = Ejection(random.Random(seed))
        ejection.look(3, S, 0, S)
        ends.add(ejection.trust.rests_until_ns)
    assert len(ends) == 50 and 5.5 * S <= min(ends) and max(ends) <= 6 * S


def test_one_success_on_trial_brings_it_back_with_a_share_that_grows():
    bench = Bench()
    bench.fail(1, times=3)
    assert bench.look(7) is None and bench.rests_until == 6, "on trial, not back"
    assert bench.succeed(8) is Turn.RETURNED
    trust = bench.ejection.trust
    shares = [trust.share(int(now * S)) for now in (8, 9, 13, 17, 18, 99)]
    assert shares == [0.1, 0.1, 0.5, 0.9, 1.0, 1.0]


def test_after_a_good_minute_the_next_rest_is_a_first_one():
    bench = Bench()
    bench.fail(1, times=3)
    bench.succeed(7)
    bench.fail(8, times=3)
    assert bench.rests_until == 18, "the second in a row"
    bench.succeed(20)
    bench.succeed(81)
    bench.fail(82, times=3)
    assert bench.rests_until == 87


def test_another_process_starts_slowly_and_without_a_past():
    bench = Bench()
    bench.fail(1, times=3)
    bench.ejection.restarted(3 * S)
    assert bench.ejection.trust == Trust(0, 3 * S)
    assert bench.fail(4, times=3) is Turn.EJECTED and bench.rests_until == 9


class Fleet:
    def __init__(self, resting=(), trial=(), busy=()):
        self.until = dict.fromkeys(resting, 100) | dict.fromkeys(trial, 10)
        self.busy = busy

    def rests_until(self, index):
        return self.until.get(index, 0)

    def in_flight(self, index):
        return int(index in self.busy)


@pytest.mark.parametrize(
    ("fleet", "expected"),
    [
        (Fleet(), [0, 1, 2, 3]),
        (Fleet(busy=(1,)), [0, 1, 2, 3]),
        (Fleet(resting=(1,)), [0, 2, 3]),
        (Fleet(resting=(1, 2)), [0, 3]),
        (Fleet(resting=(1, 2, 3)), [0, 1, 2, 3]),  # more than half: nobody is believed to rest
        (Fleet(trial=(1,)), [0, 1, 2, 3]),
        (Fleet(trial=(1,), busy=(0, 1)), [0, 2, 3]),  # one request at a time
    ],
)
def test_who_may_get_a_request(fleet, expected):
    assert list(admitted([0, 1, 2, 3], fleet, 50)) == expected


def test_the_last_backend_is_never_ejected():
    assert admitted([1], Fleet(resting=(1,)), 50) == [1]
    assert list(admitted([0, 1], Fleet(resting=(1,)), 50)) == [0]
    assert admitted([0, 1], Fleet(resting=(0, 1)), 50) == [0, 1]
