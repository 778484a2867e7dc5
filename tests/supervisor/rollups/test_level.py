"""Sums per stretch of time and series."""

from dashboard_scene import finished

from multiproxy.supervisor.rollups.level import MAX_SERIES, Level
from multiproxy.supervisor.rollups.totals import Counters

A, B = ("m", "a"), ("m", "b")


def contents(level, start=0):
    return [(begin, series, c.requests) for begin, series, c in level.since(start)]


def test_exchanges_are_added_to_the_stretch_they_ended_in():
    level = Level(10, 6, Counters)
    for at, series in ((100.0, A), (109.9, A), (110.0, A), (105.0, B)):
        level.add(series, at, finished())
    assert contents(level) == [(100, A, 2), (100, B, 1), (110, A, 1)]
    assert contents(level, 110) == [(110, A, 1)]


def test_only_the_newest_stretches_are_kept():
    level = Level(10, 3, Counters)
    for at in (0, 10, 20, 30, 40):
        level.add(A, at, finished())
    assert [begin for begin, _, _ in level.since(0)] == [20, 30, 40]
    level.add(A, 5, finished())  # too late to be kept
    assert [begin for begin, _, _ in level.since(0)] == [20, 30, 40]
    assert level.first(49.0) == 20


def test_only_what_changed_is_taken_and_only_once():
    level = Level(10, 3, Counters)
    level.add(A, 0, finished())
    level.add(B, 0, finished())
    assert [(start, series) for start, series, _ in level.take_changed()] == [(0, A), (0, B)]
    level.add(B, 0, finished())
    assert [(start, series, c.requests) for start, series, c in level.take_changed()] == [(0, B, 2)]
    assert level.take_changed() == []
    level.touch_all()
    assert len(level.take_changed()) == 2


def test_more_series_than_there_can_be_add_up_under_one_name():
    level = Level(10, 3, Counters)
    for number in range(MAX_SERIES + 50):
        level.add((f"m{number}", "a"), 0, finished())
    sums = {series: c.requests for _, series, c in level.since(0)}
    assert len(sums) == MAX_SERIES + 1
    assert sums["_other", "_other"] == 50
    assert sum(sums.values()) == MAX_SERIES + 50
