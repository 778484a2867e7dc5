"""The page of one backend: its states over a day and its own requests."""

from dashboard_scene import NOW, Scene, backend, busy, finished, running

from multiproxy.supervisor.dashboard import backend as page
from multiproxy.supervisor.dashboard import requests
from multiproxy.supervisor.dashboard.feed import Look
from multiproxy.supervisor.dashboard.snapshot import Snapshot
from multiproxy.supervisor.dashboard.views import (
    BackendState,
    ChangeView,
    LineView,
    ServerView,
)

UP, DOWN = BackendState.UP, BackendState.DOWN
GPU_A = Look("backend", (("id", "gpu-a"),))
HOUR = 3600.0


def states(*changes, now=NOW):
    scene = Scene(now, backend_list=[backend("gpu-a")])
    scene.change_list = [ChangeView(*each) for each in changes]
    return page.states(Snapshot(scene, now), GPU_A)


def test_states_are_stretches_of_the_last_day_and_their_share_is_known():
    found = states((NOW - 30 * HOUR, UP), (NOW - 12 * HOUR, DOWN, "refused"), (NOW - 6 * HOUR, UP))
    assert [(each.state, each.x, each.width) for each in found["stretches"]] == [
        (UP, 0.0, 500.0), (DOWN, 500.0, 250.0), (UP, 750.0, 250.0),
    ]  # fmt: skip
    assert found["serving"] == 0.75
    newest = found["changes"][0], found["changes"][1]
    assert [(each.view.reason, each.lasted_s) for each in newest] == [
        ("", 6 * HOUR), ("refused", 6 * HOUR),
    ]  # fmt: skip


def test_what_is_older_than_a_day_is_no_stretch_and_a_short_one_is_seen():
    found = states((NOW - 60 * HOUR, DOWN), (NOW - 50 * HOUR, UP), (NOW - 1, DOWN))
    assert [(each.state, each.width) for each in found["stretches"]] == [(UP, 999.99), (DOWN, 1.5)]


def test_the_list_of_changes_is_short_and_begins_with_the_newest():
    found = states(*((NOW - 100 + i, (UP, DOWN)[i % 2], str(i)) for i in range(40)))
    assert [each.view.reason for each in found["changes"]] == [str(i) for i in range(39, 27, -1)]


def test_before_anything_was_seen_nothing_is_claimed():
    assert states() | {"marks": ()} == {
        "stretches": [], "serving": None, "changes": [], "marks": (),
    }  # fmt: skip


def test_a_commands_page_has_all_its_lines():
    server = ServerView("llama-server", "running", lines=tuple(LineView(1, "x") for _ in range(99)))
    scene = Scene(backend_list=[backend("gpu-a", server=server)])
    assert len(page.now(Snapshot(scene, NOW), GPU_A)["card"].lines) == 99


def test_its_chart_is_its_own_in_the_colour_it_has_everywhere():
    look = Look("backend", (("id", "gpu-b"),))
    [series] = page.throughput(Snapshot(busy(), NOW), look)["series"]
    assert (series.name, series.number) == ("gpu-b", 2)


def test_only_its_own_requests_are_listed_and_not_all_of_them():
    scene = Scene(backend_list=[backend("gpu-a"), backend("gpu-b")])
    scene.finished_list = [
        finished(f"r_{i:02}", NOW - i, backend=("gpu-a", "gpu-b")[i % 2]) for i in range(90)
    ]
    scene.running_list = [running("mine"), running("other", backend="gpu-b")]
    snapshot = Snapshot(scene, NOW)
    rows = requests.newest(snapshot, GPU_A)["rows"]
    assert [row.view.id for row in rows] == [f"r_{i:02}" for i in range(0, 40, 2)]
    assert [row.view.id for row in requests.running(snapshot, GPU_A)["rows"]] == ["mine"]


async def test_its_address_is_its_name_and_an_unknown_one_is_not_found(serve):
    served = await serve(Scene(backend_list=[backend("10.0.0.1:8080", address="10.0.0.1:8080")]))
    answer = await served.get("/backends/10.0.0.1:8080?w=1h")
    assert answer.status == 200
    assert "/live/backend?id=10.0.0.1%3A8080&amp;w=1h" in answer.text
    assert (await served.get("/backends/nobody")).status == 404
    assert 'href="/backends/10.0.0.1%3A8080"' in (await served.get("/backends")).text
