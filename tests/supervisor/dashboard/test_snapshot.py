"""One moment: everything is asked once, and only if somebody wants it."""

from dashboard_scene import NOW, Scene, finished, running

from multiproxy.supervisor.dashboard.feed import Look
from multiproxy.supervisor.dashboard.snapshot import Snapshot
from multiproxy.supervisor.dashboard.views import Phase


def test_nothing_is_asked_that_nobody_wants_and_nothing_twice():
    scene = Scene(running_list=[running()])
    snapshot = Snapshot(scene, NOW)
    assert scene.asked == 0
    assert snapshot.running == snapshot.running
    assert scene.asked == 1


def test_a_window_is_the_same_object_for_everybody():
    snapshot = Snapshot(Scene(), NOW)
    assert snapshot.window("1h") is snapshot.window("1h")
    assert snapshot.window("7d").window.name == "7d"


def test_the_last_minute_a_span_and_all_there_is():
    done = [finished(str(age), NOW - age) for age in (10, 59, 61, 299, 9000)]
    snapshot = Snapshot(Scene(finished_list=done), NOW)
    assert len(snapshot.finished) == 2
    assert len(snapshot.since(300)) == 4
    assert (len(snapshot.history(3)), len(snapshot.history(100))) == (3, 5)


def test_only_waiting_requests_are_queued():
    live = [running("a"), running("b", phase=Phase.QUEUED)]
    assert [x.id for x in Snapshot(Scene(running_list=live), NOW).queued] == ["b"]


def test_what_was_fetched_from_the_history_is_told_by_look():
    shelf = {Look("requests"): [finished("old")]}
    snapshot = Snapshot(Scene(), NOW, lambda look: shelf.get(look, ()))
    assert [x.id for x in snapshot.stored(Look("requests"))] == ["old"]
    assert Snapshot(Scene(), NOW).stored(Look("requests")) == ()


def test_what_several_fragments_need_is_made_once():
    snapshot, made = Snapshot(Scene(), NOW), []
    for _ in range(2):
        assert snapshot.once("key", lambda: made.append(1) or "value") == "value"
    assert made == [1]
