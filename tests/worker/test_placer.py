"""Slots given, waited for and given back, on a real scoreboard."""

import asyncio

import pytest
from worker.workplace import row

from multiproxy.errors import BackendDied, NoBackend, Overloaded
from multiproxy.routing.placement import Reason
from multiproxy.routing.table import Route
from multiproxy.scoreboard import BackendState, Choice, Scoreboard
from multiproxy.worker.placer import Placer

DEMO = Route("demo", (0, 1))


class Desk:
    """A placer of worker 0 with two backends of one slot each."""

    def __init__(self, *, queue_limit: int = 3, queue_s: float = 60, slots: int = 1) -> None:
        self.board = Scoreboard.create()
        for index in (0, 1):
            self.board.backends.write(index, row(slots=slots))
        self.placer = Placer(self.board, 0, {0: 1, 1: 1}, queue_limit=queue_limit, queue_s=queue_s)
        self.placer.slots = {0: slots, 1: slots}

    @property
    def load(self) -> list[int]:
        return [self.board.load.in_flight(index) for index in (0, 1)]

    def state(self, index: int, state: BackendState, checked_ns: int = 1) -> None:
        self.board.backends.write(index, row(state, 1, checked_ns))

    async def wait(self, route: Route = DEMO, tried: tuple[int, ...] = ()) -> asyncio.Task:
        """A request that has begun to wait."""
        task = asyncio.create_task(self.placer.place(route, tried))
        await asyncio.sleep(0)
        return task


async def test_a_lease_is_counted_until_it_is_released_and_only_once():
    desk = Desk()
    lease = await desk.placer.place(DEMO, ())
    assert sum(desk.load) == 1
    lease.release()
    lease.release()
    assert desk.load == [0, 0]


async def test_requests_spread_over_free_slots():
    desk = Desk()
    leases = [await desk.placer.place(DEMO, ()) for _ in range(2)]
    assert {lease.backend for lease in leases} == {0, 1}
    assert desk.load == [1, 1]


async def test_other_workers_requests_count_too():
    desk = Desk(slots=3)
    desk.board.load.add(7, 0, 2)
    leases = [await desk.placer.place(DEMO, ()) for _ in range(2)]
    assert [lease.backend for lease in leases] == [1, 1]


async def test_what_was_tried_is_not_tried_again():
    desk = Desk(slots=9)
    assert {(await desk.placer.place(DEMO, {0})).backend for _ in range(5)} == {1}
    with pytest.raises(NoBackend):
        await desk.placer.place(DEMO, {0, 1})


async def test_who_waits_is_served_in_order():
    desk = Desk()
    first = [await desk.placer.place(DEMO, ()) for _ in range(2)]
    waiting = [await desk.wait() for _ in range(3)]
    assert (desk.placer.waiting, desk.board.workers[0].waiting) == (3, 3)
    order = []
    for task in waiting:
        task.add_done_callback(order.append)
    for lease in first:
        lease.release()
    assert desk.load == [1, 1]  # given on at once: nobody can come between
    for _ in range(3):
        await asyncio.sleep(0)
    assert order == waiting[:2]
    waiting[0].result().release()
    await waiting[2]
    assert (desk.placer.waiting, desk.load) == (0, [1, 1])


async def test_nobody_overtakes_who_waits():
    desk = Desk()
    leases = [await desk.placer.place(DEMO, ()) for _ in range(2)]
    early = await desk.wait()
    desk.board.load.add(0, leases[0].backend, -1)  # a slot is free, and nobody was woken yet
    late = await desk.wait()
    assert not late.done() and desk.placer.waiting == 2
    desk.placer.wake()
    await early
    assert not late.done()
    late.cancel()


async def test_a_slot_that_another_worker_frees_is_found():
    desk = Desk()
    desk.board.load.add(7, 0, 1)
    desk.board.load.add(7, 1, 1)
    task = await desk.wait()
    desk.board.load.add(7, 1, -1)
    assert (await task).backend == 1


async def test_a_full_queue_is_overloaded():
    desk = Desk(queue_limit=2)
    for _ in range(2):
        await desk.placer.place(DEMO, ())
    waiting = [await desk.wait() for _ in range(2)]
    with pytest.raises(Overloaded):
        await desk.placer.place(DEMO, ())
    assert desk.placer.waiting == 2
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    assert (desk.placer.waiting, desk.board.workers[0].waiting, desk.load) == (0, 0, [1, 1])


@pytest.mark.parametrize("queue_s", [0, 0.01])
async def test_a_wait_that_is_too_long_is_overloaded(queue_s):
    desk = Desk(queue_s=queue_s)
    for _ in range(2):
        await desk.placer.place(DEMO, ())
    with pytest.raises(Overloaded) as error:
        await desk.placer.place(DEMO, ())
    assert error.value.retry_after_s == 5
    assert (desk.placer.waiting, desk.load) == (0, [1, 1])


async def test_who_is_cancelled_in_the_turn_it_is_served_leaks_no_slot():
    desk = Desk()
    leases = [await desk.placer.place(DEMO, ()) for _ in range(2)]
    task = await desk.wait()
    leases[0].release()  # the slot is the task's now, which has not run yet
    assert sum(desk.load) == 2
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert sum(desk.load) == 1


async def test_backends_that_are_down_serve_nobody():
    desk = Desk()
    desk.state(0, BackendState.DOWN)
    assert (await desk.placer.place(DEMO, ())).backend == 1
    desk.state(1, BackendState.DRAINING)
    with pytest.raises(NoBackend) as error:
        await desk.placer.place(DEMO, ())
    assert error.value.retry_after_s == 2


async def test_a_sleeping_backend_serves():
    desk = Desk()
    desk.state(0, BackendState.SLEEPING)
    desk.state(1, BackendState.DOWN)
    assert (await desk.placer.place(DEMO, ())).backend == 0


@pytest.mark.parametrize("state", [BackendState.LOADING, BackendState.UNCHECKED])
async def test_a_backend_that_comes_up_is_waited_for(state):
    desk = Desk()
    desk.state(0, state)
    desk.state(1, BackendState.DOWN)
    task = await desk.wait()
    desk.state(0, BackendState.UP)
    desk.placer.wake()
    assert (await task).backend == 0


async def test_who_waits_is_told_when_the_last_backend_goes_down():
    desk = Desk()
    for _ in range(2):
        await desk.placer.place(DEMO, ())
    waiting = [await desk.wait() for _ in range(2)]
    for index in (0, 1):
        desk.state(index, BackendState.DOWN)
    desk.placer.wake()
    for task in waiting:
        with pytest.raises(NoBackend):
            await task
    assert desk.placer.waiting == 0


async def test_a_backend_that_just_failed_is_passed_over_while_there_is_another():
    desk = Desk(slots=9)
    desk.placer.trusted.failed(0, BackendDied(""))
    assert {(await desk.placer.place(DEMO, ())).backend for _ in range(5)} == {1}
    task = await desk.wait(tried=(1,))
    assert task.result().backend == 0  # at once: better than none
    assert desk.board.load.failures(0)[1] == 1


async def test_a_newer_probe_clears_the_suspicion():
    desk = Desk(slots=9)
    desk.board.load.add(7, 1, 5)
    desk.placer.trusted.failed(0, BackendDied(""))
    assert (await desk.placer.place(DEMO, ())).backend == 1
    desk.state(0, BackendState.UP, checked_ns=2**62)
    assert (await desk.placer.place(DEMO, ())).backend == 0


async def test_a_suspicion_ends_by_itself(monkeypatch):
    desk = Desk(slots=9)
    desk.board.load.add(7, 1, 5)
    desk.placer.trusted.failed(0, BackendDied(""))
    desk.placer.trusted._suspects[0] -= int(1.1e9)
    assert (await desk.placer.place(DEMO, ())).backend == 0


async def test_who_waits_for_another_backend_does_not_hold_up_those_behind_it():
    desk = Desk()
    leases = {lease.backend: lease for lease in [await desk.placer.place(DEMO, ()) for _ in "ab"]}
    picky = await desk.wait(tried=(0,))
    other = await desk.wait()
    leases[0].release()
    assert (await other).backend == 0
    assert not picky.done()
    leases[1].release()
    assert (await picky).backend == 1


async def test_a_lease_tells_why_its_backend_was_chosen():
    desk = Desk(slots=4)
    desk.board.load.add(7, 0, 3)
    desk.board.load.add(7, 1, 1)
    least_busy = await desk.placer.place(DEMO, ())
    assert (least_busy.backend, least_busy.choice) == (1, Choice(Reason.LEAST_BUSY, 1, 4, 2, 2))
    failover = await desk.placer.place(DEMO, (1,))
    assert (failover.backend, failover.choice) == (0, Choice(Reason.ONLY_READY, 3, 4, 1, 2))
    only = await desk.placer.place(Route("demo", (1,)), ())
    assert only.choice == Choice(Reason.ONLY_CANDIDATE, 2, 4, 1, 1)


async def test_who_waits_is_told_its_place_and_how_long_it_may_take():
    desk = Desk()
    for _ in range(2):
        await desk.placer.place(DEMO, ())
    for index in (0, 1):
        desk.placer.wishes.recall.pace(index).held(4.0, 0.0)
    told: dict[str, tuple[int, float]] = {}
    waiting = [
        asyncio.create_task(
            desk.placer.place(
                DEMO, (), owner=owner, told=lambda *where, name=name: told.update({name: where})
            )
        )
        for owner, name in (("a", "a1"), ("a", "a2"), ("b", "b1"))
    ]
    await asyncio.sleep(0)
    desk.placer.tell_line()
    assert told == {"a1": (1, 2.0), "b1": (2, 4.0), "a2": (3, 6.0)}  # two slots of 4 s each
    desk.board.workers[7].waiting = 3  # another worker's
    desk.placer.tell_line()
    assert told["b1"] == (4, 8.0)
    for task in waiting:
        task.cancel()


async def test_owners_take_turns_for_slots_that_become_free():
    desk = Desk(queue_limit=9)
    leases = [await desk.placer.place(DEMO, ()) for _ in range(2)]
    order: list[str] = []

    async def wait(owner: str, priority: int = 1) -> None:
        lease = await desk.placer.place(DEMO, (), owner=owner, priority=priority)
        order.append(owner)
        lease.release()

    tasks = [asyncio.create_task(wait(*who)) for who in (("a",), ("a",), ("b",), ("c", 0))]
    await asyncio.sleep(0)
    leases[0].release()
    await asyncio.gather(*tasks)
    assert order == ["c", "a", "b", "a"]
    leases[1].release()


async def test_the_time_to_come_back_follows_from_how_long_answers_take():
    desk = Desk(queue_limit=3)
    for _ in range(2):
        await desk.placer.place(DEMO, ())
    for index in (0, 1):
        desk.placer.wishes.recall.pace(index).held(60.0, 0.0)
    waiting = [await desk.wait() for _ in range(3)]
    with pytest.raises(Overloaded) as error:
        await desk.placer.place(DEMO, ())
    assert error.value.retry_after_s == 60  # two of the line, at one each 30 s
    for task in waiting:
        task.cancel()


async def test_a_slot_is_left_to_who_waits_longer_at_another_worker():
    desk = Desk()
    leases = [await desk.placer.place(DEMO, ()) for _ in range(2)]
    task = await desk.wait()
    row = desk.board.workers[7]
    row.waits_since_ns = 1  # since this machine was started
    leases[0].release()
    await asyncio.sleep(0)
    assert not task.done()
    desk.board.load.add(7, leases[0].backend, +1)  # it took it
    row.waits_since_ns = 0
    leases[1].release()
    assert (await task).backend == leases[1].backend


async def test_courtesy_ends_after_some_polls():
    desk = Desk()
    leases = [await desk.placer.place(DEMO, ()) for _ in range(2)]
    task = await desk.wait()
    desk.board.workers[7].waits_since_ns = 1  # it waits for something else
    leases[0].release()
    await task
    assert desk.board.workers[0].waits_since_ns == 0


async def test_a_backend_that_is_made_to_rest_is_passed_over_from_the_next_placement_on():
    desk = Desk(slots=9)
    for backend in (0, 1):
        lease = await desk.placer.place(DEMO, ())
        desk.board.backends.write_trust(backend, 2**63, 0)
        assert {(await desk.placer.place(DEMO, ())).backend for _ in range(4)} == {1 - backend}
        desk.board.backends.write_trust(backend, 0, 0)
        lease.release()
