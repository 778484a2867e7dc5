"""Where the dashed lines of a chart stand, and which of them are labelled."""

from dashboard_scene import NOW, busy

from multiproxy.supervisor.dashboard import event_lines, overview
from multiproxy.supervisor.dashboard.feed import Look
from multiproxy.supervisor.dashboard.snapshot import Snapshot
from multiproxy.supervisor.dashboard.views import WINDOWS, EventView

END = NOW // 1  # the five minutes' curves move once a second


def event(ago: float, mark: str = "gpu-c down", kind: str = "warn") -> EventView:
    return EventView(1, END - ago, kind, f"{mark}: connection refused", mark)


def lines(*events: EventView, window: str = "5m") -> list[tuple[float, str]]:
    found = event_lines.of(events, WINDOWS[window], NOW)
    return [(line.x, line.label) for line in found]


def test_a_line_stands_at_its_time():
    assert lines(event(150), event(0, "reload")) == [(50.0, "gpu-c down"), (100.0, "reload")]


def test_what_has_no_mark_or_is_older_than_the_window_has_no_line():
    assert lines(event(301), event(10, mark="")) == []


def test_the_newer_of_two_that_would_cover_each_other_is_labelled():
    found = lines(event(200, "a"), event(190, "b"), event(30, "c"))
    assert found == [(33.3, ""), (36.7, "b"), (90.0, "c")]


def test_a_late_label_stands_to_the_left_and_covers_no_early_one():
    assert lines(event(110, "early"), event(30, "late")) == [(63.3, ""), (90.0, "late")]
    [line] = event_lines.of([event(30)], WINDOWS["5m"], NOW)
    assert line.is_late


def test_only_the_newest_lines_are_drawn_and_long_names_are_cut():
    found = lines(*(event(ago, "x" * 40) for ago in range(120, 100, -1)))
    assert len(found) == event_lines.MOST
    assert found[-1] == (66.3, "x" * 19 + "…")


def test_lines_of_a_long_window_stand_as_still_as_its_curves():
    first = (NOW // 10) * 10
    events = [event(600)]
    at = [event_lines.of(events, WINDOWS["1h"], first + s)[0].x for s in (0, 9.9)]
    assert at[0] == at[1]


def test_the_throughput_chart_has_them():
    scene = busy()
    scene.event_list = [event(60)]
    data = overview.throughput(Snapshot(scene, NOW), Look("overview"))
    assert [line.text for line in data["events"]] == ["gpu-c down"]
