import os
import signal

import pytest
from supervisor.log_lines import LogLines

from multiproxy.scoreboard import Scoreboard, WorkerState
from multiproxy.supervisor.workers import (
    FAILED_STARTS,
    KILL_GRACE_S,
    START_S,
    NoFreeRows,
    Stage,
    Workers,
)

DRAIN_S = 60.0


class Process:
    """What ``Children.start`` would give; ``signals`` is what it was sent."""

    def __init__(self, command, on_exit):
        self.command = command
        self.index = int(command[command.index("--index") + 1])
        self.end = on_exit
        self.signals = []

    def terminate(self):
        self.signals.append(signal.SIGTERM)

    def kill(self):
        self.signals.append(signal.SIGKILL)


class Children:
    def __init__(self):
        self.started = []
        self.is_full = False

    def start(self, command, inherit, on_exit):
        if self.is_full:
            raise OSError(11, "Resource temporarily unavailable")
        assert all(os.fstat(fd) for fd in inherit)
        process = Process(command, on_exit)
        process.snapshot = os.pread(int(command[command.index("--snapshot") + 1]), 100, 0)
        self.started.append(process)
        return process


class Bench:
    """``Workers`` with processes and a clock that the test moves by hand."""

    def __init__(self):
        self.board = Scoreboard.create()
        self.children = Children()
        self.log = LogLines()
        self.now = 1_000.0
        self.workers = Workers(
            self.board, self.children, self.log, 0, 1, ("worker",), lambda: self.now
        )

    def start(self, number, count=2, snapshot=b"config"):
        return self.workers.start(number, count, snapshot, DRAIN_S)

    def serve(self, generation):
        for worker in generation.workers:
            row = self.board.workers[worker.index]
            row.begin(4_000 + worker.index, generation.number)
            row.state = WorkerState.SERVING
        self.workers.tick()

    def tick(self, seconds=0.0):
        self.now += seconds
        self.workers.tick()


@pytest.fixture
def bench():
    bench = Bench()
    yield bench
    bench.board.close()


def test_a_generation_serves_when_all_of_its_workers_do(bench):
    generation = bench.start(1, snapshot=b"the config")
    assert [process.snapshot for process in bench.children.started] == [b"the config"] * 2
    bench.board.workers[0].begin(1, 1)
    bench.board.workers[0].state = WorkerState.SERVING
    bench.tick()
    assert generation.stage is Stage.STARTING
    bench.serve(generation)
    assert (generation.stage, bench.workers.serving()) == (Stage.SERVING, 2)


def test_a_dead_worker_is_buried_and_replaced_in_its_row_at_once(bench):
    bench.serve(bench.start(1))
    bench.board.load.add(1, 5, +3)
    bench.now += 100
    bench.children.started[1].end(-9)
    assert bench.board.load.in_flight(5) == 0
    assert bench.board.workers[1].state is WorkerState.FREE
    bench.tick()
    assert [process.index for process in bench.children.started] == [0, 1, 1]
    assert bench.log.lines == ["worker 1 died (signal 9); starting another"]


def test_a_worker_that_dies_again_and_again_is_started_less_and_less_often(bench):
    bench.serve(bench.start(1, count=1))
    waits = []
    for _ in range(9):
        bench.children.started[-1].end(1)
        died = bench.now
        while bench.children.started[-1].end and len(bench.children.started) < len(waits) + 2:
            bench.tick(0.25)
        waits.append(bench.now - died)
    assert waits == [0.25, 0.25, 0.5, 1.0, 2.0, 4.0, 5.0, 5.0, 5.0]
    bench.now += 100  # it lived well for a while
    bench.children.started[-1].end(1)
    bench.tick()
    assert len(bench.children.started) == 11


def test_a_system_without_room_for_processes_is_asked_again_later(bench):
    bench.children.is_full = True
    bench.start(1, count=1)
    assert "cannot be started: [Errno 11]" in bench.log.lines[0]
    bench.children.is_full = False
    bench.tick(1)
    assert bench.children.started == []
    bench.tick(5)
    assert len(bench.children.started) == 1


def test_drained_workers_are_not_replaced_and_the_generation_ends_with_the_last(bench):
    generation = bench.start(1)
    bench.serve(generation)
    bench.workers.drain(generation)
    first, second = bench.children.started
    assert first.signals == second.signals == [signal.SIGTERM]
    first.end(0)
    bench.tick()
    assert (generation.stage, len(bench.children.started)) == (Stage.DRAINING, 2)
    second.end(0)
    bench.tick()
    assert (generation.stage, bench.workers.generations) == (Stage.ENDED, [])
    assert bench.log.lines == []


def test_a_worker_that_does_not_end_is_killed_when_drain_and_grace_are_over(bench):
    generation = bench.start(1, count=1)
    bench.serve(generation)
    bench.workers.drain(generation)
    (process,) = bench.children.started
    bench.tick(DRAIN_S + KILL_GRACE_S - 1)
    assert process.signals == [signal.SIGTERM]
    bench.tick(1)
    bench.tick(1)
    assert process.signals == [signal.SIGTERM, signal.SIGKILL]
    process.end(-9)
    bench.tick()
    assert bench.workers.generations == []


def test_draining_twice_sends_one_signal_and_hurry_another(bench):
    generation = bench.start(1, count=1)
    bench.workers.drain(generation)
    bench.workers.drain_all()
    assert bench.children.started[0].signals == [signal.SIGTERM]
    bench.workers.hurry()
    assert bench.children.started[0].signals == [signal.SIGTERM] * 2


def test_generations_side_by_side_use_rows_of_their_own(bench):
    old = bench.start(1)
    bench.serve(old)
    new = bench.start(2)
    assert [worker.index for worker in old.workers + new.workers] == [0, 1, 2, 3]
    bench.workers.drain(old)
    for process in bench.children.started[:2]:
        process.end(0)
    bench.tick()
    assert [worker.index for worker in bench.start(3).workers] == [0, 1]


def test_a_generation_without_free_rows_is_refused(bench):
    bench.start(1, count=63)
    with pytest.raises(NoFreeRows, match="63 workers of earlier configurations still run"):
        bench.start(2, count=2)
    assert len(bench.workers.generations) == 1


def test_a_new_generation_that_keeps_dying_is_given_up_and_the_old_one_stays(bench):
    old = bench.start(1, count=1)
    bench.serve(old)
    new = bench.start(2, count=1)
    for _ in range(FAILED_STARTS):
        bench.children.started[-1].end(1)
        bench.tick(1)
    assert new.stage in (Stage.FAILED, Stage.ENDED)
    bench.children.started[-1].end(-15)
    bench.tick(100)
    assert (old.stage, new.stage) == (Stage.SERVING, Stage.ENDED)
    assert bench.workers.generations == [old]


def test_a_new_generation_that_never_serves_is_given_up_in_time(bench):
    bench.serve(bench.start(1, count=1))
    new = bench.start(2, count=1)
    bench.tick(START_S - 1)
    assert new.stage is Stage.STARTING
    bench.tick(1)
    assert (new.stage, bench.children.started[-1].signals) == (Stage.FAILED, [signal.SIGTERM])


def test_the_only_generation_is_never_given_up(bench):
    only = bench.start(1, count=1)
    for _ in range(5):
        bench.children.started[-1].end(1)
        bench.tick(20)
    assert only.stage is Stage.STARTING
    bench.serve(only)
    assert only.stage is Stage.SERVING
