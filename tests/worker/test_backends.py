"""What one worker makes of the backend board, and the pace of its connections."""

from dataclasses import asdict, fields, replace

from worker.workplace import reports, row

from multiproxy._http.pool import OPEN_SPACING_S
from multiproxy.config import Backend, Config, Effort, Translation, Url
from multiproxy.dialects.policy import Policy
from multiproxy.scoreboard import BackendState, Scoreboard
from multiproxy.worker import backends as backends_module
from multiproxy.worker.backends import Backends, parse_urls

SPACING_NS = int(OPEN_SPACING_S * 1e9)
CONFIG = Config(
    backends=(
        Backend("a", Url("http", "10.0.0.1", 8080, "/x"), "secret", weight=3),
        Backend("sim", None),
    )
)
URLS = {"sim": Url("http", "127.0.0.1", 9)}


def of_worker(board: Scoreboard, worker: int = 0) -> Backends:
    return Backends(CONFIG, board, worker, {"a": 4, "sim": 7}, URLS)


def test_backends_are_known_by_their_rows(board):
    found = of_worker(board)
    assert {index: backend.id for index, backend in found.by_index.items()} == {4: "a", 7: "sim"}
    assert found.weights == {4: 3, 7: 1}
    head = found.by_index[4].heads.head(b"GET", b"/props", None, b"r", b"*/*")
    assert head.startswith(b"GET /x/props HTTP/1.1\r\nHost: 10.0.0.1:8080\r\n")
    assert b"Authorization: Bearer secret\r\n" in head
    other = found.by_index[7].heads.head(b"GET", b"/", None, b"r", b"*/*")
    assert b"Host: 127.0.0.1:9\r\n" in other and b"secret" not in other


def test_a_report_becomes_routes_and_slots(board):
    found = of_worker(board)
    assert found.table.resolve("demo") is None
    board.backends.write(4, row(BackendState.UP, slots=6))
    board.backends.write_facts(4, reports("demo"))
    assert found.refresh() is True
    assert found.slots == {4: 6, 7: 0}
    assert found.table.resolve("demo").candidates == (4,)
    assert found.refresh() is False


def test_the_operators_wishes_and_a_backends_report_make_its_policy(board):
    wishes = Translation(thinking_default="off", image_urls="reject", effort_from_budget=True)
    config = replace(CONFIG, translation=wishes)
    board.backends.write_facts(4, reports("demo", kind="other", modalities={"vision": False}))
    found = Backends(config, board, 0, {"a": 4, "sim": 7}, URLS)
    given = {"thinking_default": "off", "image_urls": "reject", "effort_from_budget": True}
    assert found.policy(4) == Policy(engine="strict", vision=False, **given)
    assert found.policy(7) == Policy(**given)


def test_levels_of_effort_and_the_mark_of_a_reminder_are_the_operators(board):
    wishes = Translation(effort=Effort(xhigh="max", minimal="none"), reminder="[{text}]")
    found = Backends(replace(CONFIG, translation=wishes), board, 0, {"a": 4, "sim": 7}, URLS)
    policy = found.policy(4)
    assert [policy.effort[level] for level in ("minimal", "low", "xhigh")] == ["none", "low", "max"]
    assert policy.reminder == "[{text}]"


def test_every_wish_of_the_operator_is_a_part_of_the_policy():
    names = {field.name for field in fields(Policy)}
    assert {field.name for field in fields(Translation)} < names
    assert Policy() == Policy(**asdict(Translation()))


def test_a_router_and_aliases_are_reported(board):
    facts = b'{"router":true,"models":[{"id":"x","aliases":["y"]},{"id":"z"}]}'
    board.backends.write_facts(7, facts)
    table = of_worker(board).table
    assert {name for name in ("x", "y", "z", "w") if table.resolve(name)} == {"x", "y", "z"}


def test_connections_of_all_workers_keep_their_distance(board, monkeypatch):
    now = 10**12
    monkeypatch.setattr(backends_module.time, "monotonic_ns", lambda: now)
    first, second = of_worker(board, 0), of_worker(board, 1)
    opened = []
    for _ in range(5):  # all in the same moment
        for worker in (first, second):
            opened.append(round(worker._pace(4) * 1e9))
    opened.sort()
    assert opened[0] == 0
    assert all(
        later - earlier >= SPACING_NS - 2
        for earlier, later in zip(opened, opened[1:], strict=False)
    )
    assert first._pace(7) == 0  # another backend has a pace of its own
    now += 10**9
    assert first._pace(4) == 0


def test_addresses_of_simulated_backends_are_read():
    assert parse_urls({"a": "http://127.0.0.1:81", "b": "http://[::1]:82"}) == {
        "a": Url("http", "127.0.0.1", 81),
        "b": Url("http", "::1", 82),
    }
