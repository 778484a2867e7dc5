"""The clock, on a loop whose time stands still until it is moved."""

import pytest

from multiproxy.simulator.clock import BUDGET, Clock


class Loop:
    """A loop's time and its one timer."""

    def __init__(self) -> None:
        self.now = 100.0
        self.timers = []

    def time(self):
        return self.now

    def call_at(self, due, callback):
        self.timers.append((due, callback))
        return self

    def call_soon(self, callback):
        return self.call_at(self.now, callback)

    def cancel(self):
        self.timers.pop()

    def advance(self, seconds):
        """Move the time and run what is due, once each."""
        self.now += seconds
        due = [callback for when, callback in self.timers if when <= self.now]
        self.timers = [timer for timer in self.timers if timer[0] > self.now]
        for callback in due:
            callback()


@pytest.fixture
def loop():
    return Loop()


def test_a_late_loop_runs_every_step_it_missed_at_its_own_time(loop):
    clock, seen = Clock(loop), []
    clock.at(101.0, lambda due: seen.append(due) or due + 0.25)
    loop.advance(2.0)
    assert seen == [101.0, 101.25, 101.5, 101.75, 102.0]


def test_steps_run_in_the_order_of_their_times_on_one_timer(loop):
    clock, seen = Clock(loop), []
    for due in (103.0, 101.0, 102.0):
        clock.at(due, seen.append)
    assert [due for due, _ in loop.timers] == [101.0]
    loop.advance(5.0)
    assert seen == [101.0, 102.0, 103.0]
    assert loop.timers == []


def test_a_step_may_plan_another_one_earlier_than_the_rest(loop):
    clock, seen = Clock(loop), []
    clock.at(109.0, seen.append)
    clock.at(101.0, lambda due: clock.at(due + 1, seen.append))
    loop.advance(1.0)
    assert [due for due, _ in loop.timers] == [102.0]


def test_steps_without_a_rate_take_turns_and_leave_the_loop_its_turn(loop):
    clock, seen = Clock(loop), []
    for name in "ab":
        clock.at(100.0, lambda due, name=name: seen.append(name) or due)
    loop.advance(0.0)
    assert "".join(seen) == "ab" * (BUDGET // 2)
    assert len(loop.timers) == 1
