import time
from types import SimpleNamespace

import pytest

from multiproxy.config import Backend, Url
from multiproxy.scoreboard import (
    BackendRow,
    BackendState,
    Finished,
    Phase,
    Running,
    Scoreboard,
)
from multiproxy.supervisor.backend_rows import BackendRows
from multiproxy.supervisor.dashboard import views
from multiproxy.supervisor.log import Event, Level
from multiproxy.supervisor.provider import Provider
from multiproxy.supervisor.stats import Stats

SECOND = 1_000_000_000
GPU_A = Backend(id="gpu-a", url=Url("http", "10.0.0.1", 8080, ""))
GPU_B = Backend(id="gpu-b", url=Url("http", "10.0.0.2", 8080, ""))


@pytest.fixture
def house():
    """A provider over an empty board and the rows of gpu-a (0) and gpu-b (1)."""
    board = Scoreboard.create()
    rows = BackendRows()
    stats = Stats(board, rows.name_of)
    rows.make_current(rows.assign([GPU_A, GPU_B], 1), 1)
    probes, log = {}, SimpleNamespace(events=[])
    provider = Provider(
        board, rows, SimpleNamespace(get=probes.get, is_panic=False), stats, log, lambda: None
    )
    yield SimpleNamespace(
        watch=provider._watch,
        board=board,
        rows=rows,
        stats=stats,
        probes=probes,
        log=log,
        provider=provider,
    )
    board.close()


def probe(url, *, since_s=5.0, reason=""):
    return SimpleNamespace(
        url=url,
        since_ns=time.monotonic_ns() - int(since_s * SECOND),
        facts={"models": [{"id": "qwen"}, {"id": "embed"}], "build": "b6500"},
        standing=SimpleNamespace(reason=reason),
        resting=SimpleNamespace(is_resting=False),
        failed=0,
    )


def write(house, index, state, **numbers):
    fields = dict.fromkeys(BackendRow._fields, 0) | {"state": state} | numbers
    house.board.backends.write(index, BackendRow(**fields))


def test_a_backend_without_a_probe_is_being_checked(house):
    assert [(view.id, view.address, view.state) for view in house.provider.backends()] == [
        ("gpu-a", "", views.BackendState.CHECKING),
        ("gpu-b", "", views.BackendState.CHECKING),
    ]


def test_a_backend_has_the_numbers_of_its_row_and_the_words_of_its_probe(house):
    house.probes[0] = probe(GPU_A.url, reason="answers slowly")
    checked_ns = time.monotonic_ns() - 2 * SECOND
    write(
        house, 0, BackendState.UP, slots=4, n_ctx=8_192, checked_ns=checked_ns, check_us=1_500
    )  # fmt: skip
    house.board.load.add(0, 0, +2)
    house.board.load.add(7, 0, +1)
    view = house.provider.backends()[0]
    assert (view.id, view.address, view.state) == ("gpu-a", "10.0.0.1:8080", "up")
    assert (view.slots_busy, view.slots_total, view.context_size) == (3, 4, 8_192)
    assert (view.models, view.detail, view.reason) == (("qwen", "embed"), "b6500", "answers slowly")
    assert view.last_check_s == 0.0015
    assert time.time() - view.last_check_at == pytest.approx(2, abs=1)
    assert time.time() - view.since == pytest.approx(5, abs=1)


def test_a_backend_that_rests_is_shown_as_down_with_its_reason_unless_most_do(house):
    found = house.probes[0] = probe(GPU_A.url)
    write(house, 0, BackendState.UP)
    since_ns = time.monotonic_ns() - SECOND
    found.resting = SimpleNamespace(
        is_resting=True, since_ns=since_ns, reason=lambda now_ns: "its connections failed"
    )
    view = house.provider.backends()[0]
    assert (view.state, view.reason) == ("down", "its connections failed")
    assert time.time() - view.since == pytest.approx(1, abs=0.5)
    house.watch.is_panic = True
    assert house.provider.backends()[0].state == "up"


def test_what_a_backend_did_not_tell_is_none(house):
    house.probes[0] = probe(GPU_A.url)
    write(house, 0, BackendState.DOWN)
    view = house.provider.backends()[0]
    assert (view.slots_total, view.context_size) == (None, None)
    assert (view.last_check_at, view.last_check_s) == (None, None)


@pytest.mark.parametrize("state", BackendState)
def test_every_state_has_a_word(house, state):
    house.probes[0] = probe(GPU_A.url)
    write(house, 0, state)
    word = "checking" if state is BackendState.UNCHECKED else state.name.lower()
    assert house.provider.backends()[0].state == word


def test_a_backend_that_left_the_config_is_draining_and_comes_last(house):
    house.probes |= {0: probe(GPU_A.url), 1: probe(GPU_B.url)}
    write(house, 0, BackendState.UP)
    write(house, 1, BackendState.UP)
    house.rows.make_current(house.rows.assign([GPU_B], 2), 2)
    assert [(view.id, view.state) for view in house.provider.backends()] == [
        ("gpu-b", "up"),
        ("gpu-a", "draining"),
    ]


def test_what_runs_in_all_workers_is_in_the_order_of_its_starts(house):
    for worker, name, started_s, backend in ((5, "b", 2, 1), (0, "c", 3, -1), (0, "a", 1, 0)):
        table = house.board.live[worker]
        row = Running(name, Phase.DECODING, 0, 0, started_s * SECOND, backend=backend)
        table.write(table.claim(), row)
    shown = [(view.id, view.backend) for view in house.provider.running()]
    assert shown == [("a", "gpu-a"), ("b", "gpu-b"), ("c", "")]


@pytest.fixture
def ended(house):
    """Requests that ended 10, 20 and 30 seconds ago, collected."""
    now = int(time.time())
    for name, ago_s, backend in (("old", 30, 0), ("middle", 20, 1), ("new", 10, 200)):
        started_ns = (now - ago_s) * SECOND
        house.board.ring(3).append(
            Finished(
                name,
                "chat",
                "openai",
                True,
                200,
                "--",
                "",
                "m",
                "m",
                backend,
                1,
                "",
                "",
                "",
                "stop",
                started_ns,
                total_ns=0,
            )  # fmt: skip
        )
    house.stats.collect()
    return lambda *limits: [
        (view.id, view.backend) for view in house.provider.finished(*limits)
    ]  # fmt: skip


def test_what_ended_is_told_newest_first_within_its_limits(ended):
    assert ended(10, 100) == [("new", ""), ("middle", "gpu-b"), ("old", "gpu-a")]
    assert ended(2, 100) == [("new", ""), ("middle", "gpu-b")]
    assert ended(10, 25) == [("new", ""), ("middle", "gpu-b")]
    assert ended(10, 5) == []


def test_the_log_becomes_events_with_a_colour(house):
    house.log.events += [
        Event(1, 10.0, Level.INFO, "gpu-a is up"),
        Event(2, 11.0, Level.WARNING, "gpu-a is down", "gpu-a down"),
        Event(3, 12.0, Level.ERROR, "worker 1 died"),
    ]
    assert house.provider.events() == [
        views.EventView(1, 10.0, "ok", "gpu-a is up"),
        views.EventView(2, 11.0, "warn", "gpu-a is down", "gpu-a down"),
        views.EventView(3, 12.0, "err", "worker 1 died"),
    ]
