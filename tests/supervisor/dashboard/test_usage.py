"""Usage: sums by name, bars by hour and day, done by hand."""

import pytest
from dashboard_scene import NOW, Scene, backend, finished

from multiproxy.supervisor.dashboard import usage
from multiproxy.supervisor.dashboard.feed import Look
from multiproxy.supervisor.dashboard.formats import midnight
from multiproxy.supervisor.dashboard.snapshot import Snapshot
from multiproxy.supervisor.dashboard.views import Outcome

HOUR, DAY = 3600, 86_400
# NOW is 2026-09-21 14:13:20.5 UTC


def look(zone="UTC", **query):
    return Look("usage", tuple(query.items()), zone)


@pytest.fixture
def snapshot():
    def one(key, age, prompt, cached, output, **more):
        return finished(
            f"{key}{age}", NOW - age, key=key, prompt_tokens=prompt, cached_tokens=cached,
            output_tokens=output, **more,
        )  # fmt: skip

    done = [
        one("alice", 60, 1000, 800, 100, prefill_s=0.5, decode_s=2.0),
        one("alice", HOUR, 1000, 0, 50),
        one("bob", 120, 300, 0, 0, outcome=Outcome.TIMEOUT),
        one("", 2 * DAY, 10, 0, 5, model="gemma"),
        one("old", 40 * DAY, 9, 9, 9),
    ]
    return Snapshot(Scene(finished_list=done), NOW)


def test_spent_is_processed_and_generated_without_cached(snapshot):
    total = usage.totals(snapshot, look())["total"]
    assert (total.prompt_tokens, total.cached_tokens, total.output_tokens) == (2300, 800, 150)
    assert (total.processed_tokens, total.spent_tokens) == (1500, 1650)
    assert (total.requests, total.failures, total.compute_s) == (3, 1, 2.5)


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ({"by": "key"}, [("alice", 1350), ("bob", 300)]),
        ({"by": "key", "range": "7d"}, [("alice", 1350), ("bob", 300), ("", 15)]),
        ({"by": "model", "range": "7d"}, [("qwen3-32b-instruct", 1650), ("gemma", 15)]),
        ({"by": "backend", "range": "30d"}, [("gpu-a", 1665)]),
        ({"by": "?", "range": "?", "measure": "?"}, [("qwen3-32b-instruct", 1650)]),
    ],
)  # fmt: skip
def test_groups_are_of_the_chosen_kind_and_time_largest_first(snapshot, query, names):
    found = usage.table(snapshot, look(**query))["groups"]
    assert [(group.name, group.total.spent_tokens) for group in found] == names


@pytest.mark.parametrize(
    ("measure", "shares"),
    [
        ("spent", [1350 / 1650, 300 / 1650]),
        ("tokens", [2150 / 2450, 300 / 2450]),
        ("requests", [2 / 3, 1 / 3]),
        ("time", [1, 0]),
    ],
)
def test_the_share_is_of_the_measure(snapshot, measure, shares):
    found = usage.table(snapshot, look(by="key", measure=measure))["groups"]
    assert [group.share for group in found] == pytest.approx(shares)


def test_the_last_day_has_a_bar_per_hour(snapshot):
    data = usage.chart(snapshot, look(by="key"))
    values = [bar.value for bar in data["bars"]]
    assert (len(values), values[-1], values[-2], sum(values)) == (24, 600, 1050, 1650)
    assert data["bars"][-1].label == "14:00"
    # alice's 300 under bob's 300, on a scale to 1,200
    assert data["ticks"] == [1200, 900, 600, 300, 0]
    assert [part[0] for part in data["bars"][-1].parts] == [1, 2]
    assert [part[2:5:2] for part in data["bars"][-1].parts] == [("150", "50"), ("100", "50")]


def test_longer_ranges_have_a_bar_per_day_of_the_reader(snapshot):
    bars = usage.chart(snapshot, look(range="7d"))["bars"]
    assert [(bar.label, bar.value) for bar in bars if bar.value] == [
        ("19 Sep", 15),
        ("21 Sep", 1650),
    ]
    # 14:13 UTC is 02:13 of the next day in Auckland
    bars = usage.chart(snapshot, look("Pacific/Auckland", range="7d"))["bars"]
    assert [(bar.label, bar.value) for bar in bars if bar.value] == [
        ("20 Sep", 15),
        ("22 Sep", 1650),
    ]


def test_days_begin_at_midnight_also_when_the_clocks_change():
    after = 1_793_000_000.0  # 2026-10-26, the day after summer time ended in Berlin
    assert midnight(after, "Europe/Berlin") - midnight(after, "Europe/Berlin", 1) == 25 * HOUR


def test_a_fifth_group_has_no_colour_of_its_own():
    done = [finished(str(i), NOW - i, key=f"k{i}", output_tokens=100 - i) for i in range(7)]
    snapshot = Snapshot(Scene(finished_list=done), NOW)
    data = usage.chart(snapshot, look(by="key"))
    assert [group.colour for group in data["groups"]] == [1, 2, 3, 4]
    assert data["others"] == 3
    assert [part[0] for part in data["bars"][-1].parts] == [1, 2, 3, 4, 0], "others on top"


def test_backends_keep_the_colours_of_their_places():
    done = [
        finished(name, NOW - 1, backend=name, output_tokens=tokens)
        for name, tokens in (("b", 500), ("a", 10), ("gone", 900))
    ]
    scene = Scene(finished_list=done, backend_list=[backend("a"), backend("b")])
    data = usage.chart(Snapshot(scene, NOW), look(by="backend"))
    assert [(group.name, group.colour) for group in data["groups"]] == [("a", 1), ("b", 2)]
    assert data["others"] == 1


def test_links_change_one_choice_and_keep_the_others():
    choice = usage.Choice.of({"by": "key"})
    assert choice.with_(range="7d") == "?range=7d&by=key&measure=spent"


def test_an_empty_time_has_an_empty_chart():
    data = usage.chart(Snapshot(Scene(), NOW), look())
    assert data["is_empty"] and len(data["bars"]) == 24
