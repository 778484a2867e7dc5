"""The life of a server, told by a clock of its own: no process, no board."""

from dataclasses import replace

import pytest

from multiproxy.scoreboard import BackendState
from multiproxy.supervisor.server_life import (
    GRACE_S,
    KILL_S,
    LINGER_S,
    LONGEST_PAUSE_S,
    PATIENCE_S,
    STEADY_S,
    Life,
    Order,
    Scene,
    Stage,
)
from multiproxy.supervisor.verdict import Standing

UP = Standing(BackendState.UP)
REFUSED = Standing(BackendState.DOWN, "connection refused", misses=1)
NO_KEY = Standing(BackendState.DOWN, "it refuses our api_key (status 401)")


class Story:
    """A life and what is so around it; ``after`` lets time pass."""

    def __init__(self, **scene):
        self.scene = Scene(1000.0, **scene)
        self.life = Life(1000.0)

    def after(self, seconds, **changes):
        self.scene = replace(self.scene, now=self.scene.now + seconds, **changes)
        return self.life.tick(self.scene)

    def exited(self, reason="its command ended with status 1", **seen):
        self.life.exited(self.scene.now, reason, **seen)

    def started(self):
        assert self.after(0, is_wanted=True) is Order.START
        self.after(1, is_wanted=False, is_ready=True)
        assert self.life.stage is Stage.RUNNING
        return self

    @property
    def state(self):
        return self.life.overrule(REFUSED).state


def test_it_starts_when_a_request_wants_it_and_not_before():
    story = Story()
    assert story.after(3600) is Order.NOTHING
    assert story.state is BackendState.STOPPED
    assert story.after(1, is_wanted=True) is Order.START
    assert story.after(1) is Order.NOTHING, "once"
    assert story.state is BackendState.LOADING, "a refused connection is no death yet"
    story.after(1, is_ready=True)
    assert (story.life.stage, story.life.overrule(UP)) == (Stage.RUNNING, UP)


def test_one_that_always_runs_needs_no_request_and_one_that_is_held_does_not_start():
    story = Story(is_always=True, is_held=True, is_wanted=True)
    assert story.after(1) is Order.NOTHING
    assert story.after(1, is_held=False) is Order.START
    assert Story(is_always=True, is_retired=True).after(1) is Order.NOTHING


def test_without_a_ttl_it_stays_and_with_one_it_ends_when_idle_for_so_long():
    story = Story().started()
    assert story.after(86400) is Order.NOTHING
    story = Story(ttl_s=60).started()
    story.after(50, is_busy=True)
    story.after(50, is_busy=False)
    story.after(9)
    assert story.life.stage is Stage.RUNNING
    story.after(1)
    assert (story.life.stage, story.state) == (Stage.LEAVING, BackendState.STOPPED)
    assert story.after(GRACE_S / 2) is Order.NOTHING, "workers may have to see it first"
    assert story.after(GRACE_S) is Order.TERMINATE
    story.exited("its command ended with status 0")
    assert (story.life.stage, story.life.reason, story.life.deaths) == (Stage.STOPPED, "", 0)


@pytest.mark.parametrize("crossing", [{"is_busy": True}, {"is_wanted": True}])
def test_a_request_that_crosses_the_ttl_keeps_it(crossing):
    story = Story(ttl_s=60).started()
    story.after(60)
    assert story.life.stage is Stage.LEAVING
    assert story.after(0.1, **crossing) is Order.NOTHING
    assert story.life.stage is Stage.RUNNING


@pytest.mark.parametrize("why", [{"is_held": True}, {"is_retired": True}, {"rival_since": 1.0}])
def test_it_makes_way_when_its_requests_have_ended(why):
    story = Story().started()
    story.after(PATIENCE_S - 2, is_busy=True, **why)
    assert story.life.stage is Stage.RUNNING
    story.after(LINGER_S / 2, is_busy=False)
    assert story.life.stage is Stage.RUNNING, "its client may ask at once again"
    story.after(LINGER_S)
    assert story.life.stage is Stage.LEAVING
    assert story.after(GRACE_S) is Order.TERMINATE


def test_a_busy_one_makes_way_after_a_while_and_finishes_what_it_has():
    story = Story().started()
    story.after(0, is_busy=True, rival_since=story.scene.now)
    story.after(PATIENCE_S)
    assert (story.life.stage, story.state) == (Stage.LEAVING, BackendState.STOPPED)
    assert story.after(3600) is Order.NOTHING, "its last request runs"
    assert story.after(0, is_busy=False, is_wanted=True) is Order.NOTHING
    assert story.after(GRACE_S) is Order.TERMINATE, "who wants it now waits for its next turn"


def test_a_rival_that_waited_for_long_does_not_take_the_turn_of_who_just_came_up():
    story = Story(rival_since=1.0).started()
    story.after(0.1, is_busy=True)
    assert story.life.stage is Stage.RUNNING


def test_nobody_starts_where_another_one_runs():
    story = Story(may_start=False, is_wanted=True)
    assert story.after(1) is Order.NOTHING
    assert story.after(1, may_start=True) is Order.START


def test_a_command_that_fails_is_told_and_tried_again_at_longer_and_longer_intervals():
    story = Story(is_wanted=True)
    pauses = []
    for _ in range(9):
        assert story.after(0) is Order.START
        story.exited()
        assert story.state is BackendState.DOWN
        began = story.scene.now
        while story.life.stage is Stage.BROKEN:
            assert story.after(0.5) is Order.NOTHING
        pauses.append(story.scene.now - began)
    assert pauses == [1, 2, 4, 8, 16, 32, LONGEST_PAUSE_S, LONGEST_PAUSE_S, LONGEST_PAUSE_S]
    assert story.life.overrule(REFUSED).state is BackendState.STOPPED
    assert story.life.reason == "its command ended with status 1", "until it runs"
    story.after(0)
    story.after(1, is_ready=True)
    assert story.life.reason == ""


def test_a_failed_command_that_nobody_wants_is_left_alone_and_one_that_always_runs_is_not():
    story = Story(is_wanted=True)
    story.after(0)
    story.exited()
    story.after(5, is_wanted=False)
    assert story.after(5) is Order.NOTHING
    story = Story(is_always=True)
    story.after(0)
    story.exited()
    assert story.after(5) is Order.START


@pytest.mark.parametrize("was_ready", [True, False])
def test_one_that_dies_before_a_tick_saw_it_ready_is_started_again_and_one_that_never_was_is_not(
    was_ready,
):
    story = Story()
    assert story.after(0, is_wanted=True) is Order.START
    story.exited("its command was ended by signal 9", was_ready=was_ready)
    assert story.life.stage is Stage.BROKEN
    orders = [story.after(1, is_wanted=False), story.after(1)]
    assert orders.count(Order.START) == was_ready
    assert story.life.stage is (Stage.STARTING if was_ready else Stage.STOPPED)


def test_one_that_dies_is_started_again_at_once_and_its_requests_wait():
    story = Story().started()
    story.after(STEADY_S)
    story.exited("its command was ended by signal 9")
    assert story.state is BackendState.LOADING
    assert story.after(0) is Order.START
    story.after(1, is_ready=True)
    assert (story.life.starts, story.life.deaths) == (2, 1)


def test_one_that_dies_again_and_again_is_down_between_its_starts():
    story = Story().started()
    story.after(STEADY_S)
    states, waits = [], []
    for _ in range(5):
        story.exited()
        states.append(story.state)
        began = story.scene.now
        while story.after(0.5) is not Order.START:
            pass
        waits.append(story.scene.now - began)
        story.after(0, is_ready=True)
        story.after(1, is_ready=False)
    assert states[:2] == [BackendState.LOADING] * 2
    assert set(states[2:]) == {BackendState.DOWN}
    assert waits == [0.5, 2, 4, 8, 16]


def test_one_that_died_and_cannot_be_started_waits_for_the_next_request():
    story = Story().started()
    story.after(STEADY_S)
    story.exited()
    for _ in range(3):
        while story.life.stage is Stage.BROKEN:
            story.after(1)
        if story.life.stage is Stage.STARTING:
            story.exited()
    assert story.life.stage is Stage.STOPPED
    assert story.after(3600) is Order.NOTHING


def test_a_model_that_does_not_load_in_time_is_given_up():
    story = Story(is_wanted=True, load_s=30)
    story.after(0)
    assert story.after(29) is Order.NOTHING
    assert story.state is BackendState.LOADING
    assert story.after(1) is Order.TERMINATE
    assert story.state is BackendState.DOWN, "before it has ended"
    story.exited("its command was ended by signal 15")
    assert (story.life.stage, story.state) == (Stage.BROKEN, BackendState.DOWN)
    assert story.life.reason == "its command was not ready within 30 s: connection refused"


def test_one_that_answers_and_refuses_us_is_not_waited_for():
    story = Story(is_wanted=True)
    story.after(0)
    loading = Standing(BackendState.LOADING, "loading its model")
    assert story.life.overrule(loading) == loading
    assert story.life.overrule(Standing()).state is BackendState.LOADING
    assert story.life.overrule(NO_KEY) == NO_KEY


def test_who_does_not_end_is_killed():
    story = Story().started()
    story.after(0, is_held=True)
    story.after(LINGER_S)
    assert story.after(GRACE_S) is Order.TERMINATE
    assert story.after(KILL_S - 1) is Order.NOTHING
    assert story.after(1) is Order.KILL
    assert story.after(1) is Order.NOTHING
    assert story.after(KILL_S) is Order.KILL


def test_a_model_that_loads_while_it_is_drained_is_not_waited_for():
    story = Story(is_wanted=True)
    story.after(0)
    assert story.after(1, is_held=True) is Order.TERMINATE
    story.exited()
    assert (story.life.stage, story.life.deaths) == (Stage.STOPPED, 0)


def test_whoever_is_dismissed_ends_from_every_stage():
    assert Story().life.dismiss(1001) is Order.NOTHING
    for seconds in (0, 1):
        story = Story(is_wanted=True)
        story.after(0)
        story.after(seconds, is_ready=bool(seconds))
        assert story.life.dismiss(story.scene.now) is Order.TERMINATE
        assert story.life.dismiss(story.scene.now) is Order.NOTHING
        assert story.life.has_process
        story.exited()
        assert story.life.stage is Stage.STOPPED
