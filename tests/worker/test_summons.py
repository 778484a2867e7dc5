"""Which server a waiting request has started, on a real scoreboard."""

import asyncio

import pytest
from worker.workplace import row

from multiproxy.errors import NotStarted, Overloaded
from multiproxy.routing.table import Route
from multiproxy.scoreboard import BackendState, Scoreboard
from multiproxy.worker.placer import Placer
from multiproxy.worker.summons import FULL_S, Summons

ROUTE = Route("demo", (0, 1, 2))
UP, STOPPED, LOADING = BackendState.UP, BackendState.STOPPED, BackendState.LOADING
DOWN, SLEEPING, DRAINING = BackendState.DOWN, BackendState.SLEEPING, BackendState.DRAINING


class Desk:
    """Three backends, all of them with a command unless ``groups`` says otherwise."""

    def __init__(self, *states, groups=None, queue_s=60.0):
        self.board = Scoreboard.create()
        self.groups = {0: "", 1: "", 2: ""} if groups is None else groups
        self.states(*states)
        self.summons = Summons(self.board, 0, self.groups)
        self.learnt = []
        self.placer = Placer(
            self.board, 0, {0: 1, 1: 1, 2: 1}, queue_limit=9, queue_s=queue_s, groups=self.groups,
            learn=lambda: self.learnt.append(self.board.backends.version),
        )  # fmt: skip
        self.placer.slots = {0: 1, 1: 1, 2: 1}

    def states(self, *states):
        for index, state in enumerate(states):
            self.board.backends.write(index, row(state, 1))

    @property
    def wanted(self):
        return [index for index in range(3) if self.board.load.last_wanted(index)]


@pytest.mark.parametrize(
    ("states", "waited_s", "wanted"),
    [
        ((STOPPED, STOPPED, STOPPED), 0, [0]),
        ((DOWN, STOPPED, STOPPED), 0, [1]),
        ((DRAINING, DOWN, STOPPED), 0, [2]),
        ((STOPPED, LOADING, DOWN), 9, []),
        ((BackendState.UNCHECKED, STOPPED, STOPPED), 9, []),
        ((UP, STOPPED, STOPPED), 0, []),
        ((UP, STOPPED, STOPPED), FULL_S, [1]),
        ((SLEEPING, UP, STOPPED), FULL_S, [2]),
        ((UP, UP, UP), 9, []),
    ],
)
def test_the_first_that_does_not_run_is_wanted_unless_another_one_comes(states, waited_s, wanted):
    desk = Desk(*states)
    desk.summons.call(ROUTE, (), waited_s)
    assert desk.wanted == wanted


def test_what_was_tried_is_not_wanted_and_does_not_count_as_running():
    desk = Desk(UP, STOPPED, STOPPED)
    desk.summons.call(ROUTE, {0, 1}, 0)
    assert desk.wanted == [2]


def test_one_that_would_only_replace_a_running_one_is_not_wanted():
    desk = Desk(UP, STOPPED, STOPPED, groups={0: "gpu", 1: "gpu", 2: ""})
    desk.summons.call(ROUTE, (), FULL_S)
    assert desk.wanted == [2]
    desk = Desk(DOWN, STOPPED, STOPPED, groups={0: "gpu", 1: "gpu", 2: ""})
    desk.summons.call(ROUTE, (), 0)
    assert desk.wanted == [1]


async def test_a_request_that_waits_says_so_again_and_again_and_one_that_left_does_not():
    desk = Desk(STOPPED, DOWN, DOWN)
    task = asyncio.create_task(desk.placer.place(ROUTE, ()))
    await asyncio.sleep(0)
    first = desk.board.load.last_wanted(0)
    assert first > 0
    desk.placer.tell_line()
    second = desk.board.load.last_wanted(0)
    assert second > first
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    desk.placer.tell_line()
    assert desk.board.load.last_wanted(0) == second


async def test_the_time_of_loading_is_no_time_in_the_queue():
    desk = Desk(STOPPED, DOWN, DOWN, queue_s=0.2)
    task = asyncio.create_task(desk.placer.place(ROUTE, ()))
    await asyncio.sleep(0)
    [[ticket]] = desk.placer._queue.lines()
    before = ticket.limit.when()
    desk.placer.tell_line()
    assert ticket.limit.when() == before, "nobody has started it yet"
    desk.states(LOADING)
    desk.placer.tell_line()
    assert ticket.limit.when() > before
    desk.states(UP)
    lease = await task
    assert lease.backend == 0
    assert desk.learnt, "who is up now has slots of which nobody knew"
    lease.release()


async def test_a_server_that_is_not_started_in_time_is_no_endless_wait():
    desk = Desk(STOPPED, DOWN, DOWN, queue_s=0.01)
    with pytest.raises(Overloaded):
        await desk.placer.place(ROUTE, ())


async def test_a_server_that_cannot_be_started_is_told_to_those_who_wait():
    desk = Desk(STOPPED, DOWN, DOWN)
    task = asyncio.create_task(desk.placer.place(ROUTE, ()))
    await asyncio.sleep(0)
    desk.states(DOWN)
    with pytest.raises(NotStarted, match="'demo' could not be started"):
        await task
    with pytest.raises(NotStarted):
        await desk.placer.place(ROUTE, ())
