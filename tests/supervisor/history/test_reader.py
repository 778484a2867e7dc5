"""Pages of the history find exactly what the pages in memory find."""

import random
import sqlite3

import pytest
from dashboard_scene import NOW, finished

from multiproxy.supervisor.dashboard.contract import Wanted
from multiproxy.supervisor.dashboard.views import Outcome
from multiproxy.supervisor.history import reader
from multiproxy.supervisor.history.store import Batch, Store


@pytest.fixture(scope="module")
def exchanges():
    chance = random.Random(11)
    return [
        finished(
            f"r{i:04}", NOW - chance.randrange(500), outcome=chance.choice(list(Outcome)),
            model=chance.choice(["Qwen", "100%_pure", "gemma"]), backend=chance.choice(["a", "b"]),
            key=chance.choice(["alice", "bob", ""]), attempts=chance.choice([1, 1, 2]),
            client=f"10.0.0.{i % 20}",
        )
        for i in range(1500)
    ]  # fmt: skip


@pytest.fixture(scope="module")
def path(exchanges, tmp_path_factory):
    store = Store(tmp_path_factory.mktemp("history") / "history.db")
    store.open()
    store.write(Batch(exchanges))
    yield store.path
    store.close()


@pytest.mark.parametrize(
    "wanted",
    [
        Wanted(),
        Wanted(status="ok"),
        Wanted(status="failed"),
        Wanted(status="retried"),
        Wanted(status="left"),
        Wanted(status="rejected"),
        Wanted(status="no such status"),
        Wanted(model="gemma", backend="a", key="alice"),
        Wanted(q="QWEN"),
        Wanted(q="10.0.0.7"),
        Wanted(q="0%_p"),
        Wanted(q="_"),
        Wanted(q="\\"),
        Wanted(model="nobody"),
        Wanted(status="failed", backend="b", q="ali"),
        Wanted(before=(NOW - 250.0, "r0700")),
    ],
    ids=str,
)
def test_a_filter_finds_the_same_in_the_file_and_in_memory(path, exchanges, wanted):
    matching = sorted(filter(wanted.takes, exchanges), key=lambda x: (x.ended_at, x.id))
    assert reader.page(path, wanted, 60) == matching[::-1][:60]


def test_all_pages_together_are_everything_once(path, exchanges):
    found, before = [], None
    while rows := reader.page(path, Wanted(before=before), 77):
        found += rows
        before = rows[-1].ended_at, rows[-1].id
    assert len(found) == 1500
    assert {x.id for x in found} == {x.id for x in exchanges}


def test_one_request_is_found_by_its_id(path, exchanges):
    assert reader.one(path, "r0042") == exchanges[42]
    assert reader.one(path, "r9999") is None


def test_the_rarest_match_is_looked_for_in_an_index(path):
    where, values = reader._conditions(Wanted(q="x", status="failed", before=(NOW, "z")))
    sql = f"SELECT rowid FROM requests INDEXED BY glance WHERE {' AND '.join(where)}"
    with reader._opened(path) as database:
        plan = " ".join(
            row[3]
            for row in database.execute(
                f"EXPLAIN QUERY PLAN {sql} ORDER BY ended DESC, id DESC LIMIT 51", values
            )
        )
    assert "COVERING INDEX glance" in plan
    assert "TEMP B-TREE" not in plan


def test_a_file_that_is_not_there_is_an_error_and_is_not_made(tmp_path):
    with pytest.raises(sqlite3.Error):
        reader.page(tmp_path / "none.db", Wanted(), 5)
    assert list(tmp_path.iterdir()) == []
