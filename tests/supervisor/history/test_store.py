"""The file: what is written comes back, once, for one process, and only for so long."""

import os
import sqlite3
import stat

import pytest
from dashboard_scene import NOW, finished

from multiproxy.supervisor.history import schema, store
from multiproxy.supervisor.history.store import Batch, HistoryUnusable, Store
from multiproxy.supervisor.rollups.totals import COUNTERS, Counters, Totals

DAY = 86_400


@pytest.fixture
def opened(tmp_path):
    opened = Store(tmp_path / "deep" / "history.db")
    opened.open()
    yield opened
    opened.close()


def totals_with(requests):
    totals = Totals()
    totals.counters.ok = requests
    return totals


def names(requests):
    return [x.id for x in requests]


def test_what_is_written_is_loaded_oldest_first(opened):
    start = int(NOW) // 300 * 300
    batch = Batch(
        [finished("b", NOW - 1), finished("a", NOW - 2)],
        [schema.sums_row(300, start, ("m", "x", ""), totals_with(7))],
        {(start, "m", "x", "alice"): Counters(ok=3, output_tokens=99)},
    )
    opened.write(batch)
    loaded = opened.load(NOW)
    assert loaded.requests == [finished("a", NOW - 2), finished("b", NOW - 1)]
    [(step, at, series, totals)] = loaded.sums
    assert (step, at, series, totals.counters.ok) == (300, start, ("m", "x", ""), 7)
    used = Counters(ok=3, output_tokens=99)
    assert loaded.usage == [
        ("model", start, "m", used),
        ("backend", start, "x", used),
        ("key", start, "alice", used),
    ]


def test_usage_is_added_to_what_was_there_and_up_by_each_name(opened):
    for _ in range(2):
        usage = {
            (0, "m", "x", "alice"): Counters(ok=1, output_tokens=10, compute_s=0.5),
            (0, "m", "y", "bob"): Counters(timeout=1),
        }
        opened.write(Batch(usage=usage))
    found = {(group, name): used for group, _, name, used in opened.load(0).usage}
    assert found["key", "alice"] == Counters(ok=2, output_tokens=20, compute_s=1.0)
    assert found["backend", "y"] == Counters(timeout=2)
    assert found["model", "m"] == Counters(ok=2, timeout=2, output_tokens=20, compute_s=1.0)


def test_a_batch_may_come_twice_and_sums_are_replaced(opened):
    for requests in (7, 8):
        rows = [schema.sums_row(300, int(NOW), ("m", "x", ""), totals_with(requests))]
        opened.write(Batch([finished("a")], rows))
    loaded = opened.load(NOW)
    assert names(loaded.requests) == ["a"]
    assert [totals.counters.ok for _, _, _, totals in loaded.sums] == [8]


def test_a_file_of_the_first_version_is_brought_up_to_date(tmp_path):
    path = tmp_path / "history.db"
    plain = schema.row_of(finished("old", NOW - 5))
    known = [name for name in schema.COLUMNS if name not in ("split", "copy_of")]
    values = [v for n, v in zip(schema.COLUMNS, plain, strict=True) if n in known]
    counters = schema.counters_row(totals_with(7).counters)
    with sqlite3.connect(path) as database:
        database.execute(f"CREATE TABLE requests ({', '.join(known)})")
        names_of_sums = ("step", "start", "model", "backend", *COUNTERS, "ttft", "speed")
        database.execute(f"CREATE TABLE sums ({', '.join(names_of_sums)})")
        database.execute(f"CREATE TABLE usage (start, model, backend, key, {', '.join(COUNTERS)})")
        database.execute(f"INSERT INTO requests VALUES ({', '.join('?' * len(known))})", values)
        row = (300, int(NOW), "m", "x", *counters, b"", b"")
        database.execute(f"INSERT INTO sums VALUES ({', '.join('?' * len(row))})", row)
        database.execute("PRAGMA user_version = 1")
    database.close()
    opened = Store(path)
    opened.open()
    part = finished("new", NOW, split="assistant", copy_of="old")
    sums = [schema.sums_row(300, int(NOW), ("m", "x", "assistant"), totals_with(2))]
    opened.write(Batch([part], sums))
    loaded = opened.load(NOW)
    assert loaded.requests == [finished("old", NOW - 5), part]
    assert sorted((series, totals.counters.ok) for _, _, series, totals in loaded.sums) == [
        (("m", "x", ""), 7),
        (("m", "x", "assistant"), 2),
    ]
    opened.close()


def test_nothing_of_a_batch_that_fails_is_written(opened):
    with pytest.raises(sqlite3.Error):
        opened.write(Batch([finished("a")], [(1, 2, 3)]))
    assert opened.load(NOW).requests == []
    opened.write(Batch([finished("b")]))  # the store goes on
    assert names(opened.load(NOW).requests) == ["b"]


def test_only_the_newest_single_requests_are_loaded(opened, monkeypatch):
    monkeypatch.setattr(store, "KEPT", 3)
    opened.write(Batch([finished(str(i), NOW + i) for i in range(10)]))
    assert names(opened.load(NOW).requests) == ["7", "8", "9"]


def test_requests_older_than_they_may_be_are_deleted_by_portions(opened, monkeypatch):
    monkeypatch.setattr(store, "PRUNED_AT_ONCE", 4)
    opened.write(Batch([finished(str(i), NOW - i * DAY) for i in range(10)]))
    assert [opened.prune(NOW, 3.5 * DAY) for _ in range(3)] == [4, 2, 0]
    assert names(opened.load(NOW).requests) == ["3", "2", "1", "0"]


def test_more_requests_than_fit_push_out_the_oldest(opened, monkeypatch):
    monkeypatch.setattr(store, "MOST_ROWS", 6)
    opened.write(Batch([finished(str(i), NOW + i) for i in range(10)]))
    assert opened.prune(NOW, DAY) == 4
    assert names(opened.load(NOW).requests) == ["4", "5", "6", "7", "8", "9"]
    assert opened.prune(NOW, DAY) == 0


def test_sums_and_usage_have_an_age_of_their_own(opened):
    now = int(NOW)
    opened.write(
        Batch(
            sums=[
                schema.sums_row(3600, now - days * DAY, ("m", "x", ""), Totals())
                for days in (1, 10)
            ],
            usage={(now - days * DAY, "m", "x", ""): Counters(ok=1) for days in (1, 30, 100, 500)},
        )
    )
    opened.prune(NOW, DAY)
    loaded = opened.load(NOW)
    assert [start for _, start, _, _ in loaded.sums] == [now - DAY]
    hours = [start for group, start, _, _ in loaded.usage if group == "key"]
    assert hours == [now - 30 * DAY, now - DAY]
    with sqlite3.connect(opened.path) as database:
        assert database.execute("SELECT count(*) FROM usage").fetchone() == (3,)
    database.close()


def test_one_process_at_a_time(opened):
    with pytest.raises(HistoryUnusable, match="another MultiProxy"):
        Store(opened.path).open()
    opened.close()
    other = Store(opened.path)
    other.open()
    other.close()


def test_a_file_of_a_newer_version_is_left_alone(opened):
    opened.write(Batch([finished("a")]))
    opened.close()
    with sqlite3.connect(opened.path) as database:
        database.execute(f"PRAGMA user_version = {schema.VERSION + 1}")
    database.close()
    with pytest.raises(HistoryUnusable, match="newer version"):
        opened.open()
    assert not opened.is_open


def test_a_file_that_is_no_database_is_left_alone(tmp_path):
    path = tmp_path / "history.db"
    path.write_text("my diary, not yours" * 100)
    with pytest.raises(sqlite3.DatabaseError, match="not a database"):
        Store(path).open()
    assert path.read_text().startswith("my diary")


def test_nobody_else_may_read_it(opened):
    assert stat.S_IMODE(os.stat(opened.path).st_mode) == 0o600
    assert stat.S_IMODE(os.stat(opened.path.parent).st_mode) == 0o700


def test_a_file_that_was_moved_away_is_no_longer_open(opened):
    assert opened.is_open
    opened.path.rename(opened.path.with_suffix(".old"))
    assert not opened.is_open
    opened.open()
    assert opened.load(NOW).requests == []


def test_no_table_has_room_for_what_was_said(opened):
    with sqlite3.connect(opened.path) as database:
        columns = {row[1] for row in database.execute("PRAGMA table_info(requests)")}
    database.close()
    assert columns == set(schema.COLUMNS)
    assert not columns & {"prompt", "messages", "answer", "content", "body", "headers"}


def test_the_size_is_that_of_the_file(opened):
    opened.write(Batch([finished(str(i)) for i in range(2000)]))
    with sqlite3.connect(opened.path) as database:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    database.close()
    assert opened.size() == os.stat(opened.path).st_size > 100_000
