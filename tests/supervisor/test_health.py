import time
from types import SimpleNamespace

import pytest

from multiproxy.config import Backend, Config, Dashboard, Url
from multiproxy.scoreboard import Pressure, Scoreboard, WorkerState
from multiproxy.supervisor.health import STUCK_S, Vitals


@pytest.fixture
def house():
    """Two workers wanted, none of them serving yet; ``view`` is what the dashboard is told."""
    board = Scoreboard.create()
    two = SimpleNamespace(workers=[None, None])
    house = SimpleNamespace(
        board=board,
        workers=SimpleNamespace(generations=[two], serving=lambda: house.serving),
        rollout=SimpleNamespace(current=None, error=""),
        stats=SimpleNamespace(lost=0),
        log=SimpleNamespace(dropped=0),
        serving=0,
    )
    vitals = Vitals(
        board, house.workers, house.rollout, house.stats, house.log,
        "config.yaml", "http://127.0.0.1:8001/v1", time.monotonic() - 100,
    )  # fmt: skip
    house.view = vitals.view
    yield house
    board.close()


def serve(house, index, silent_s=0.0):
    row = house.board.workers[index]
    row.begin(1_000 + index, 1)
    row.state = WorkerState.SERVING
    row.beat(time.monotonic_ns() - int(silent_s * 1e9))
    return row


def test_before_the_first_worker_serves_nothing_is_ready_and_nothing_is_wrong(house):
    view = house.view()
    assert (view.ready, view.workers_serving, view.workers_total) == (False, 0, 2)
    assert (view.loaded_at, view.reload_error, view.problems) == (None, "", ())
    assert (view.config_path, view.api_url) == ("config.yaml", "http://127.0.0.1:8001/v1")
    assert view.uptime_s >= 100


def test_the_slowest_serving_worker_tells_how_late_a_loop_was(house):
    assert house.view().lag_s == 0
    serve(house, 0).lag_ns = 2_000_000
    serve(house, 1).lag_ns = 30_000_000
    assert house.view().lag_s == 0.03
    house.board.workers[1].state = WorkerState.DRAINING
    assert house.view().lag_s == 0.002


def test_one_serving_worker_makes_it_ready(house):
    house.serving = 1
    house.rollout.current = SimpleNamespace(loaded_at=1_000.0, config=Config())
    view = house.view()
    assert (view.ready, view.workers_serving, view.loaded_at) == (True, 1, 1_000.0)


def test_what_is_in_use_is_shown_without_its_secrets(house):
    backend = Backend("gpu-a", Url("http", "10.0.0.1", 80), api_key="sk-backend")
    dashboard = Dashboard(password="open sesame")
    config = Config(backends=(backend,), dashboard=dashboard)
    house.rollout.current = SimpleNamespace(loaded_at=1.0, config=config)
    text = house.view().config_text
    assert "  - id: gpu-a\n" in text and "    url: http://10.0.0.1\n" in text
    assert "api_key: '***'" in text and "password: '***'" in text
    assert "sk-backend" not in text and "sesame" not in text
    assert "# default" not in text
    assert house.view().config_text is text


def test_a_failed_reload_is_shown_until_one_succeeds(house):
    house.rollout.error = "config.yaml: unknown setting 'slot'"
    assert house.view().reload_error == "config.yaml: unknown setting 'slot'"


def test_a_worker_whose_loop_stands_still_is_a_problem(house):
    serve(house, 0)
    serve(house, 1, silent_s=STUCK_S + 20.2)
    assert house.view().problems == ("worker 1 has not answered for 30 s",)


def test_a_worker_that_is_short_of_memory_is_a_problem(house):
    row = serve(house, 0)
    row.memory, row.pressure = 200 << 20, Pressure.CLOSING
    assert house.view().problems == (
        "worker 0 is short of memory (holds 200 MiB): it keeps no idle connections",
    )


@pytest.mark.parametrize("state", [WorkerState.STARTING, WorkerState.DRAINING, WorkerState.FREE])
def test_only_a_serving_worker_can_be_stuck(house, state):
    serve(house, 0, silent_s=STUCK_S + 20).state = state
    assert house.view().problems == ()


def test_lost_records_and_the_log_lines_of_all_processes_are_counted(house):
    serve(house, 0).log_dropped = 30
    serve(house, 1).log_dropped = 4
    house.stats.lost, house.log.dropped = 12, 1
    assert house.view().problems == (
        "12 finished requests were not recorded",
        "35 log lines were dropped: whoever reads the log is too slow",
    )
