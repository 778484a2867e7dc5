"""What the fragments of the first page are told."""

import pytest
from dashboard_scene import NOW, Scene, backend, busy, finished, running

from multiproxy.supervisor.dashboard import overview
from multiproxy.supervisor.dashboard.feed import Look
from multiproxy.supervisor.dashboard.snapshot import Snapshot
from multiproxy.supervisor.dashboard.views import BackendState, HealthView, Phase

OVERVIEW = Look("overview")
DOWN = {"state": BackendState.DOWN, "reason": "connection refused"}


def snapshot(**lists: object) -> Snapshot:
    return Snapshot(Scene(**lists), NOW)  # type: ignore[arg-type]


def test_a_sleeping_backend_serves_and_a_loading_one_does_not():
    states = [BackendState.UP, BackendState.SLEEPING, BackendState.LOADING, BackendState.DOWN]
    rows = [backend(state=state) for state in states]
    assert overview.head(snapshot(backend_list=rows)) == {
        "serving": 2,
        "configured": 4,
        "running": 0,
    }


def test_a_healthy_system_has_no_banner():
    assert overview.banner(snapshot(backend_list=[backend()]))["banners"] == []


def test_a_backend_that_is_down_for_a_while_gets_a_banner_with_its_cause():
    rows = [backend(), backend("gpu-c", since=NOW - 130, **DOWN)]
    [banner] = overview.banner(snapshot(backend_list=rows))["banners"]
    assert banner.title == "gpu-c is not answering."
    assert banner.text == "Connection refused for 2 min; new requests skip it."


def test_a_blip_gets_none():
    rows = [backend(), backend("gpu-c", since=NOW - 4, **DOWN)]
    assert overview.banner(snapshot(backend_list=rows))["banners"] == []


def test_the_worst_two_are_shown_and_the_others_counted():
    rows = [backend(name, since=NOW - 60, **DOWN) for name in ("a", "b", "c")]
    state = HealthView(1.0, 1, 1, reload_error="line 4: unknown setting 'slot'")
    data = overview.banner(snapshot(backend_list=rows, state=state))
    assert [banner.title for banner in data["banners"]] == [
        "No backend is serving.",
        "The configuration was not reloaded.",
    ]
    assert data["more"] == 3


def test_percentiles_need_enough_streams():
    few = [finished(ttft_s=1.0) for _ in range(5)]
    data = overview.kpis(snapshot(finished_list=few), OVERVIEW)
    assert (data["total"].ttft_p50, data["total"].ttft_p95) == (1.0, None)


def test_slots_of_serving_backends_are_added_up():
    rows = [
        backend("a", slots_busy=3, slots_total=4),
        backend("b", slots_busy=1, slots_total=2),
        backend("c", slots_total=8, **DOWN),
    ]
    data = overview.kpis(
        snapshot(backend_list=rows, running_list=[running(phase=Phase.PREFILL)]), OVERVIEW
    )
    assert (data["busy"], data["slots"]) == (4, 6)
    assert data["pips"] == ["decode"] * 3 + ["prefill"] + ["free"] * 2


def test_more_slots_than_can_be_counted_become_a_bar():
    data = overview.kpis(snapshot(backend_list=[backend(slots_total=64)]), OVERVIEW)
    assert data["pips"] == []


def test_the_queue_tells_its_length_and_its_longest_wait():
    waiting = [running(phase=Phase.QUEUED, elapsed_s=wait) for wait in (0.2, 0.6)]
    data = overview.kpis(snapshot(running_list=[*waiting, running()]), OVERVIEW)
    assert (data["queued"], data["longest_wait"]) == (2, 0.6)
    head = overview.activity_head(snapshot(running_list=[*waiting, running()]))
    assert (head["running"], head["queued"]) == (1, 2)


def test_throughput_is_stacked_in_the_order_of_the_configuration():
    rows = [backend("b"), backend("a"), backend("idle")]
    done = [
        finished(backend=name, ended_at=NOW - 0.5, total_s=11.0, ttft_s=1.0, output_tokens=tokens)
        for name, tokens in (("a", 100), ("b", 300), ("gone", 10))
    ]
    data = overview.throughput(snapshot(backend_list=rows, finished_list=done), OVERVIEW)
    assert [(s.name, s.number, s.now, bool(s.area)) for s in data["series"]] == [
        ("b", 1, 30.0, True),
        ("a", 2, 10.0, True),
        ("idle", 3, 0.0, False),
        ("gone", 4, 1.0, True),
    ]
    assert data["total"] == 41.0
    assert data["ticks"] == [60, 45, 30, 15, 0]


def test_a_fifth_backend_repeats_the_first_colour():
    rows = [backend(name) for name in "abcde"]
    series = overview.throughput(snapshot(backend_list=rows), OVERVIEW)["series"]
    assert [s.number for s in series] == [1, 2, 3, 4, 1]


def test_a_first_token_lands_in_the_column_of_its_time_and_the_row_of_its_length():
    done = [finished(ended_at=NOW - 130, total_s=20.0, ttft_s=0.5)]  # 149.5 s ago, half a second
    data = overview.first_token(snapshot(finished_list=done), OVERVIEW)
    assert data["cells"] == [(2, "M210 100h12.6v15.3h-12.6z")]
    assert data["p50_y"] is None


def test_backends_are_counted_by_their_state():
    assert overview.backends(Snapshot(busy(), NOW), OVERVIEW)["summary"] == [
        "3 serving",
        "1 loading",
        "1 down",
    ]


def test_more_running_requests_than_a_screen_holds_are_counted():
    live = [running(f"r_{i}") for i in range(100)]
    data = overview.running(snapshot(running_list=live))
    assert (len(data["rows"]), data["more"]) == (40, 60)


def test_the_newest_stay_when_the_minute_is_over():
    data = overview.finished(snapshot(finished_list=[finished(ended_at=NOW - 3600)]))
    assert len(data["rows"]) == 1


@pytest.mark.parametrize("idle", [True, False])
def test_the_first_request_is_suggested_until_there_is_one(idle):
    data = overview.finished(
        snapshot(backend_list=[backend()], finished_list=[] if idle else [finished()])
    )
    assert data["idle"] is idle
    assert data["model"] == "qwen3-32b-instruct"
