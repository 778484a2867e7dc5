from dataclasses import replace

import pytest

from multiproxy.config import Backend, Simulate, Url
from multiproxy.supervisor.backend_rows import BackendRows, TooManyBackends

A = Backend("a", Url("http", "10.0.0.1", 8080))
B = Backend("b", Url("http", "10.0.0.2", 8080))
DEMO = Backend("demo", simulate=Simulate())


def indices(rows):
    return {row.id: row.index for row in rows}


def test_a_backend_keeps_its_row_over_a_reload_and_a_new_one_gets_a_free_one():
    rows = BackendRows()
    assert indices(rows.assign([A, B], 1)) == {"a": 0, "b": 1}
    assert indices(rows.assign([B, DEMO], 2)) == {"b": 1, "demo": 2}


def test_a_row_is_free_again_when_no_generation_knows_it():
    rows = BackendRows()
    rows.assign([A, B], 1)
    rows.assign([B], 2)
    assert rows.release(1)[0].id == "a"
    assert rows.get(0) is None
    assert indices(rows.assign([DEMO, B], 3)) == {"demo": 0, "b": 1}


def test_another_address_is_another_backend_whatever_its_id():
    rows = BackendRows()
    rows.assign([A], 1)
    moved = replace(A, url=Url("http", "10.0.0.9", 8080))
    assert indices(rows.assign([moved], 2)) == {"a": 1}
    assert rows.get(0).backend is A


def test_new_settings_of_the_same_server_are_taken_over():
    rows = BackendRows()
    (row,) = rows.assign([A], 1)
    rows.assign([replace(A, slots=8, api_key="k")], 2)
    assert (row.backend.slots, row.generations) == (8, {1, 2})


def test_current_is_in_config_order_and_retired_is_what_only_old_generations_use():
    rows = BackendRows()
    rows.make_current(rows.assign([A, B], 1), 1)
    coming = rows.assign([DEMO, B], 2)
    assert [row.id for row in rows.current()] == ["a", "b"]
    assert rows.retired() == []
    rows.make_current(coming, 2)
    assert [row.id for row in rows.current()] == ["demo", "b"]
    assert [row.id for row in rows.retired()] == ["a"]


def test_too_many_backends_change_nothing():
    rows = BackendRows()
    rows.assign([Backend(str(n), Url("http", "h", n)) for n in range(1, 257)], 1)
    with pytest.raises(TooManyBackends):
        rows.assign([A], 2)
    assert rows.release(2) == []
    assert len(rows.release(1)) == 256
