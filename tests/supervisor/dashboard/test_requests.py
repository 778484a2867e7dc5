"""Filters, paging and links of the Requests page."""

from urllib.parse import parse_qs, parse_qsl, urlsplit

import pytest
from dashboard_scene import NOW, Scene, backend, finished, running

from multiproxy.supervisor.dashboard import requests
from multiproxy.supervisor.dashboard.contract import Wanted
from multiproxy.supervisor.dashboard.feed import Look, query_of
from multiproxy.supervisor.dashboard.pages import Renderer
from multiproxy.supervisor.dashboard.requests import Filter
from multiproxy.supervisor.dashboard.snapshot import Snapshot
from multiproxy.supervisor.dashboard.static import find_web
from multiproxy.supervisor.dashboard.templates import environment
from multiproxy.supervisor.dashboard.views import Outcome, Phase


def look(**query: str) -> Look:
    return Look("requests", tuple(query.items()))


def ids(scene: Scene, **query: str) -> list[str]:
    data = requests.finished(Snapshot(scene, NOW), look(**query))
    return [row.view.id for row in data["rows"]]


@pytest.fixture
def scene() -> Scene:
    return Scene(
        backend_list=[backend("gpu-a"), backend("gpu-b")],
        finished_list=[
            finished("r_ok", NOW - 1, key="alice"),
            finished("r_left", NOW - 2, outcome=Outcome.CLIENT_LEFT, model="gemma"),
            finished("r_bad", NOW - 3, outcome=Outcome.TIMEOUT, backend="gpu-b"),
            finished("r_again", NOW - 4, attempts=2, client="10.0.0.7"),
            finished("r_no", NOW - 5, outcome=Outcome.REJECTED, status=404),
        ],
    )


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({}, "ok left bad again no"),
        ({"status": "ok"}, "ok again"),
        ({"status": "failed"}, "bad"),
        ({"status": "retried"}, "again"),
        ({"status": "left"}, "left"),
        ({"status": "rejected"}, "no"),
        ({"status": "nonsense"}, "ok left bad again no"),
        ({"model": "gemma"}, "left"),
        ({"backend": "gpu-b"}, "bad"),
        ({"key": "alice"}, "ok"),
        ({"q": "R_AG"}, "again"),
        ({"q": "alice"}, "ok"),
        ({"q": "10.0.0.7"}, "again"),
        ({"q": "gemma", "status": "ok"}, ""),
    ],
)
def test_filters_narrow_the_list(scene, query, expected):
    assert ids(scene, **query) == [f"r_{name}" for name in expected.split()]


def test_running_requests_are_filtered_by_what_is_known_of_them(scene):
    scene.running_list = [running("r_1"), running("r_2", backend="gpu-b")]
    snapshot = Snapshot(scene, NOW)
    shown = requests.running(snapshot, look(backend="gpu-b"))["rows"]
    assert [row.view.id for row in shown] == ["r_2"]
    assert requests.running(snapshot, look(status="ok"))["rows"] == []
    assert requests.running(snapshot, look(before="5"))["rows"] == []


def test_pages_follow_each_other_without_gap_or_repetition():
    scene = Scene(finished_list=[finished(f"r_{i}", NOW - 1 - i) for i in range(120)])
    seen: list[str] = []
    query: dict[str, str] = {"status": "ok"}
    while True:
        seen += ids(scene, **query)
        older = requests.paging(Snapshot(scene, NOW), look(**query))["older"]
        if not older:
            break
        query = {name: values[0] for name, values in parse_qs(urlsplit(older).query).items()}
        assert query["status"] == "ok"
    assert seen == [f"r_{i}" for i in range(120)]


def test_an_older_page_leads_back_to_the_newest(scene):
    snapshot = Snapshot(scene, NOW)
    data = requests.paging(snapshot, look(before=str(NOW), model="gemma"))
    assert data["newest"] == "/requests?model=gemma"
    assert requests.paging(snapshot, look())["newest"] == ""


def test_a_page_marker_that_is_no_number_is_the_first_page(scene):
    assert len(ids(scene, before="yesterday")) == 5


def test_a_rare_match_is_found_behind_the_first_glance():
    plain = [finished(f"r_{i}", NOW - 1 - i / 100) for i in range(600)]
    scene = Scene(finished_list=[*plain, finished("r_rare", NOW - 30, key="rare")])
    assert ids(scene, key="rare") == ["r_rare"]


def test_a_full_first_page_does_not_ask_for_everything():
    asked: list[int] = []

    class Counting(Scene):
        def finished(self, limit, since_s):
            asked.append(limit)
            return super().finished(limit, since_s)

    scene = Counting(finished_list=[finished(f"r_{i}", NOW - 1 - i / 100) for i in range(600)])
    assert len(ids(scene)) == 50
    assert asked == [requests.FIRST_GLANCE]


def test_the_choices_are_what_there_was_and_what_is_chosen(scene):
    scene.running_list = [running(model="new", key="bob", phase=Phase.QUEUED)]
    data = requests.filters(Snapshot(scene, NOW), look(model="gone", backend="retired"))
    assert data["models"] == ["gemma", "gone", "new", "qwen3-32b-instruct"]
    assert data["keys"] == ["alice", "bob", "open-webui"]
    assert data["backends"] == ["gpu-a", "gpu-b", "retired"]


def test_an_address_holds_only_what_filters():
    assert Filter().url() == "/requests"
    assert Filter(q="a&b", key="x y").url("12.5") == "/requests?q=a%26b&key=x+y&before=12.5"


def test_a_very_long_filter_is_cut():
    assert len(Filter.of(look(q="x" * 5000)).q) == 200


async def test_filters_work_over_the_wire(serve, scene):
    served = await serve(scene)
    page = (await served.get("/requests?status=failed&nonsense=1")).text
    assert 'id="r-r_bad"' in page and 'id="r-r_ok"' not in page
    assert 'hx-sse:connect="/live/requests?status=failed"' in page
    assert '<option value="failed" selected>' in page
    empty = (await served.get("/requests?q=nobody")).text
    assert "No requests match" in empty


# -- with a history --------------------------------------------------------------------------


async def pages_of(scene, **query):
    """The ids of every page, following "Older" from the first one on."""
    renderer = Renderer(environment(find_web() / "templates"), scene, {}, scene.clock)
    pages, before = [], ""
    while True:
        look = Look("requests", query_of(query | {"before": before}, requests.FIELDS))
        snapshot = (await renderer.prepared(look)).snapshot
        pages.append([row.view.id for row in requests.finished(snapshot, look)["rows"]])
        older = requests.paging(snapshot, look)["older"]
        if not older:
            return pages
        before = dict(parse_qsl(urlsplit(older).query))["before"]


async def test_pages_go_on_in_the_history_where_the_memory_ends():
    everything = [finished(f"r{i:03}", NOW - i // 3) for i in range(170)]  # three at a time
    in_memory, stored = everything[:60], everything[10:]  # the history is ten requests behind
    pages = await pages_of(Scene(finished_list=in_memory, stored_list=_newest_first(stored)))
    assert [len(page) for page in pages] == [50, 50, 50, 20]
    flat = [name for page in pages for name in page]
    assert flat == [x.id for x in _newest_first(everything)]


async def test_filters_reach_into_the_history():
    stored = [finished(f"r{i}", NOW - i, key="bob" if i % 40 == 0 else "alice") for i in range(400)]
    assert await pages_of(Scene(stored_list=stored), key="bob") == [
        [f"r{i}" for i in range(0, 400, 40)]
    ]


async def test_a_page_that_the_memory_fills_does_not_ask_the_history():
    scene = Scene(finished_list=[finished(f"r{i}", NOW - i) for i in range(51)])
    scene.stored_list = None  # asking would fail
    snapshot = Snapshot(scene, NOW)
    assert await requests.load(scene, snapshot, Look("requests")) == []


def _newest_first(exchanges):
    return sorted(exchanges, key=lambda x: (x.ended_at, x.id), reverse=True)


def test_older_pages_in_memory_have_no_gap_even_where_the_order_is_mixed():
    rows = [finished(f"r_{i}", NOW - 1 - i) for i in range(700)]
    rows[400:402] = rows[401:399:-1]  # two workers, collected in one round
    scene = Scene(finished_list=rows)
    seen: list[str] = []
    query: dict[str, str] = {}
    for _ in range(14):
        seen += ids(scene, **query)
        older = requests.paging(Snapshot(scene, NOW), look(**query))["older"]
        query = dict(parse_qsl(urlsplit(str(older)).query))
    assert seen == [f"r_{i}" for i in range(700)]


def test_a_page_from_before_all_that_is_in_memory_looks_at_few_of_them(monkeypatch):
    looked_at = []
    takes = Wanted.takes
    monkeypatch.setattr(Wanted, "takes", lambda self, x: looked_at.append(x) or takes(self, x))
    scene = Scene(finished_list=[finished(f"r_{i}", NOW - 1 - i) for i in range(4000)])
    assert ids(scene, before=f"{NOW - 86_400!r}_r") == []
    assert len(looked_at) == requests.FIRST_GLANCE
