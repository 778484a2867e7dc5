"""The history as the supervisor sees it: batches, restarts, and disks that fail."""

import shutil
import sqlite3
from contextlib import closing
from types import SimpleNamespace

import pytest
from dashboard_scene import NOW, finished

from multiproxy.supervisor.dashboard.contract import Wanted
from multiproxy.supervisor.dashboard.views import Outcome
from multiproxy.supervisor.history import history as module
from multiproxy.supervisor.history.history import History
from multiproxy.supervisor.rollups.recorder import Recorder

DAY = 86_400.0


class Place:
    """A history with a clock of its own; ``turn`` is a tick and what the writer then does."""

    def __init__(self, path):
        self.clock = 100.0
        self.recorder = Recorder()
        self.said = []
        log = SimpleNamespace(
            info=lambda text: self.said.append(text), warning=lambda text: self.said.append(text)
        )
        self.history = History(
            path, 30 * DAY, self.recorder, log, clock=lambda: self.clock, now=lambda: NOW
        )
        self.path = path

    def turn(self, seconds=0.0):
        self.clock += seconds
        self.history.tick()
        while self.history._in_hand is not None:
            self.history._in_hand.exception(5)  # waits
            self.history.tick()

    def end(self, *names, **fields):
        exchanges = [finished(name, NOW - 1, **fields) for name in names]
        for exchange in exchanges:
            self.recorder.add(exchange)
        self.history.offer(exchanges)

    def rows(self):
        with closing(sqlite3.connect(self.path)) as database:
            return [row[0] for row in database.execute("SELECT id FROM requests ORDER BY id")]


@pytest.fixture
def start(tmp_path):
    places = []

    def start(name="history.db"):
        places.append(Place(tmp_path / name))
        return places[-1]

    yield start
    for place in places:
        place.history.close()


def test_what_ended_is_on_the_disk_within_two_seconds(start):
    place = start()
    place.turn()  # opened and loaded
    place.end("a")
    place.turn(1.0)
    assert place.rows() == ["a"]
    place.end("b", "c")
    place.turn(0.9)
    assert place.rows() == ["a"], "a batch a second, not one per request"
    place.turn(0.1)
    assert place.rows() == ["a", "b", "c"]
    assert place.history.size > 0


def test_a_restart_forgets_nothing(start):
    place = start()
    place.turn()
    place.end("a", "b", output_tokens=10, key="alice", ttft_s=0.5)
    place.turn(1.0)
    place.history.close()
    again = start()
    again.end("c", output_tokens=5, key="alice")  # before the past is known
    again.turn()
    again.turn(1.0)
    assert [x.id for x in again.recorder.finished] == ["a", "b", "c"]
    for name in ("5m", "1h", "24h", "7d"):
        total = again.recorder.window(name, [], NOW).total
        assert (total.requests, total.output_tokens, total.streams) == (3, 25, 2)
    [used] = again.recorder.usage_by("key", 0)
    assert (used.name, used.requests, used.output_tokens) == ("alice", 3, 25)
    again.history.close()
    third = start()
    third.turn()
    assert third.recorder.window("7d", [], NOW).total.requests == 3
    assert [used.output_tokens for used in third.recorder.usage_by("model", 0)] == [25]


def test_the_last_words_are_written_at_the_end(start):
    place = start()
    place.turn()
    place.end("a")
    place.history.close()
    assert place.rows() == ["a"]


def test_a_disk_that_fails_is_reported_once_and_costs_only_a_delay(start, monkeypatch):
    place = start()
    place.turn()
    write = module.Store.write

    def full(self, batch):
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr(module.Store, "write", full)
    place.end("a")
    place.turn(1.0)
    place.end("b")
    place.turn(5.0)
    assert place.history.problem == "database or disk is full"
    assert len(place.said) == 1 and "disk is full" in place.said[0]
    monkeypatch.setattr(module.Store, "write", write)
    place.end("c")
    place.turn(4.9)
    assert place.rows() == []
    place.turn(0.1)
    assert place.rows() == ["a", "b", "c"]
    assert (place.history.problem, place.history.dropped) == ("", 0)
    with closing(sqlite3.connect(place.path)) as database:
        assert database.execute("SELECT sum(ok) FROM usage").fetchone() == (3,), "each once"
    assert place.said[1:] == ["the history is written again"]


def test_what_waits_for_a_broken_disk_is_bounded_and_the_rest_counted(start, monkeypatch):
    monkeypatch.setattr(module, "MOST_WAITING", 3)
    place = start("no-folder/../\0bad")
    place.turn()
    assert "null" in place.history.problem
    place.end("a", "b", "c", "d", "e")
    place.turn(5.0)
    assert place.history.dropped == 2
    assert [x.id for x in place.history._waiting] == ["c", "d", "e"]


def test_a_second_has_so_many_rows_and_one_for_each_that_failed(start, monkeypatch):
    monkeypatch.setattr(module, "MOST_PER_SECOND", 2)
    place = start()
    place.turn()
    place.end("a", "b", "c")
    place.end("d", outcome=Outcome.BROKEN_STREAM)
    place.end("e", attempts=2)
    later = finished("f", NOW + 1)
    place.history.offer([later])
    place.turn(1.0)
    assert place.rows() == ["a", "b", "d", "e", "f"]
    assert (place.history.unlisted, place.history.dropped) == (1, 0)
    with closing(sqlite3.connect(place.path)) as database:
        assert database.execute("SELECT sum(ok + broken_stream) FROM usage").fetchone() == (6,)


def test_a_folder_that_vanishes_and_comes_back_gets_everything_again(start, tmp_path):
    place = start("disk/history.db")
    place.turn()
    place.end("a", output_tokens=3)
    place.turn(1.0)
    shutil.rmtree(tmp_path / "disk")
    (tmp_path / "disk").write_text("not a folder")
    place.end("b", output_tokens=4)
    place.turn(1.0)
    assert place.history.problem
    (tmp_path / "disk").unlink()
    place.turn(5.0)
    assert place.rows() == ["b"]
    place.turn(1.0)
    place.history.close()
    again = start("disk/history.db")
    again.turn()
    assert again.recorder.window("7d", [], NOW).total.output_tokens == 7, "the sums are whole"


def test_a_second_program_keeps_its_hands_off(start):
    one, other = start(), start()
    one.turn()
    other.turn()
    other.end("x")
    other.turn(5.0)
    assert "another MultiProxy" in other.history.problem
    one.turn(1.0)
    assert one.rows() == []


def test_old_requests_are_deleted_now_and_then(start):
    place = start()
    place.turn()
    place.history.offer([finished("old", NOW - 31 * DAY), finished("new", NOW)])
    place.turn(1.0)
    place.turn(600.0)
    assert place.rows() == ["new"]


async def test_pages_come_from_the_file(start):
    place = start()
    assert await place.history.page(Wanted(), 5) == []  # not loaded yet
    place.turn()
    place.end("a", "b")
    place.turn(1.0)
    assert [x.id for x in await place.history.page(Wanted(), 5)] == ["b", "a"]
    assert (await place.history.one("a")).id == "a"
    assert await place.history.one("z") is None


async def test_a_file_that_cannot_be_read_is_an_empty_page_and_a_report(start):
    place = start()
    place.turn()
    place.path.unlink()
    assert await place.history.page(Wanted(), 5) == []
    assert "unable to open" in place.history.problem


async def test_a_disk_that_hangs_delays_a_page_only_so_long(start, monkeypatch):
    monkeypatch.setattr(module, "READ_LIMIT_S", 0.02)
    place = start()
    place.turn()
    hangs = module.Desk("hangs")
    monkeypatch.setattr(place.history, "_reader", SimpleNamespace(
        submit=lambda ask: module.Future(), close=hangs.close
    ))  # fmt: skip
    assert await place.history.page(Wanted(), 5) == []
    assert place.history.problem == "it cannot be read"
