from types import SimpleNamespace

import pytest

from multiproxy.scoreboard import Pressure, Scoreboard, WorkerState
from multiproxy.supervisor.pressure_watch import PressureWatch, problem

MIB = 1 << 20


@pytest.fixture
def house():
    """One serving worker; ``house.lines`` are those of the log so far."""
    board = Scoreboard.create()
    lines = []
    log = SimpleNamespace(
        warning=lambda text: lines.append(f"warning: {text}"),
        info=lambda text: lines.append(f"info: {text}"),
    )
    row = board.workers[3]
    row.begin(pid=1, generation=1)
    row.state = WorkerState.SERVING
    row.memory = 310 * MIB
    watch = PressureWatch(board, log)

    def look(pressure):
        row.pressure = pressure
        lines.clear()
        watch.tick()
        return list(lines)

    yield SimpleNamespace(row=row, look=look)
    board.close()


def test_each_step_up_is_told_once_and_the_way_down_at_its_end(house):
    short = "warning: worker 3 is short of memory (holds 310 MiB): "
    assert house.look(Pressure.NONE) == []
    assert house.look(Pressure.CLOSING) == [short + "it keeps no idle connections"]
    assert house.look(Pressure.REFUSING) == [short + "it refuses requests while others run"]
    for pressure in (Pressure.CLOSING, Pressure.REFUSING, Pressure.REFUSING):
        assert house.look(pressure) == []
    assert house.look(Pressure.NONE) == ["info: worker 3 has memory again"]
    assert house.look(Pressure.NONE) == []


def test_a_worker_that_ends_is_short_of_nothing(house):
    house.look(Pressure.CUTTING)
    house.row.state = WorkerState.DRAINING
    assert house.look(Pressure.CUTTING) == ["info: worker 3 has memory again"]


def test_a_worker_with_memory_is_no_problem(house):
    assert problem(house.row) == ""
    house.row.pressure = Pressure.CUTTING
    assert problem(house.row).endswith("and cuts clients that do not take their answers")
