"""Stored responses: who may see them, how long, and how chains are resolved."""

import os
import sqlite3
import stat
import subprocess
import sys
from pathlib import Path
from random import Random
from typing import Any

import orjson
import pytest
from chat_notation import DONE, ROLE, call, finish, text, usage
from dialects.responses_run import emitter
from dialects.running import run

from multiproxy.dialects.policy import Policy
from multiproxy.dialects.responses_record import record
from multiproxy.dialects.responses_request import references, translate
from multiproxy.dialects.responses_store import ResponseStore, StoredResponse, StoreLimits
from multiproxy.errors import InvalidRequest, NotFound

NOW = 1_000_000.0
RANDOM = Random(1)


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "responses.sqlite")


@pytest.fixture
def store(path: str) -> Any:
    store = ResponseStore(path)
    yield store
    store.close()


def message(item_id: str, words: str) -> dict[str, Any]:
    return {"type": "message", "id": item_id, "role": "user", "content": words}


def response(name: str, parent: str | None = None, owner: str = "ann") -> StoredResponse:
    return StoredResponse(
        id=name,
        owner=owner,
        parent=parent,
        object={"id": name, "object": "response", "status": "completed", "output": ["ignored"]},
        input=[message(f"msg_{name}_1", "in"), message(f"msg_{name}_2", "more")],
        output=[message(f"msg_{name}_out", "out")],
    )


def ids(items: list[dict[str, Any]]) -> list[str]:
    return [item["id"] for item in items]


def test_a_response_comes_back_whole(store: ResponseStore) -> None:
    assert store.put(response("A"), NOW)
    whole = store.get("ann", "A", NOW)
    assert whole["status"] == "completed" and ids(whole["output"]) == ["msg_A_out"]


def test_another_owner_sees_nothing(store: ResponseStore) -> None:
    store.put(response("A"), NOW)
    for ask in (
        lambda: store.get("bob", "A", NOW),
        lambda: store.delete("bob", "A", NOW),
        lambda: store.input_items("bob", "A", NOW),
    ):
        with pytest.raises(NotFound):
            ask()
    with pytest.raises(InvalidRequest):
        store.chain("bob", "A", NOW)
    assert store.items("bob", ["msg_A_1"], NOW) == {}
    assert store.get("ann", "A", NOW)["id"] == "A"


def test_a_chain_is_everything_said_oldest_first(store: ResponseStore) -> None:
    store.put(response("A"), NOW)
    store.put(response("B", "A"), NOW)
    assert ids(store.chain("ann", "B", NOW)) == [
        "msg_A_1", "msg_A_2", "msg_A_out", "msg_B_1", "msg_B_2", "msg_B_out",
    ]  # fmt: skip
    assert ids(store.chain("ann", "A", NOW)) == ["msg_A_1", "msg_A_2", "msg_A_out"]


def test_two_responses_may_continue_the_same_one(store: ResponseStore) -> None:
    for name, parent in (("A", None), ("B", "A"), ("C", "A")):
        store.put(response(name, parent), NOW)
    assert len(store.chain("ann", "B", NOW)) == len(store.chain("ann", "C", NOW)) == 6


def test_an_unknown_response_is_named(store: ResponseStore) -> None:
    with pytest.raises(InvalidRequest) as caught:
        store.chain("ann", "nope", NOW)
    assert caught.value.code == "previous_response_not_found"
    assert caught.value.param == "previous_response_id"
    assert caught.value.message == "Previous response with id 'nope' not found."


def test_a_chain_with_a_hole_is_refused_instead_of_shortened(store: ResponseStore) -> None:
    store.put(response("A"), NOW)
    store.put(response("B", "A"), NOW)
    assert store.delete("ann", "A", NOW) == {"id": "A", "object": "response", "deleted": True}
    with pytest.raises(InvalidRequest, match="'B' not found"):
        store.chain("ann", "B", NOW)
    with pytest.raises(NotFound):
        store.get("ann", "A", NOW)
    with pytest.raises(NotFound):
        store.delete("ann", "A", NOW)


def test_responses_expire_after_an_hour_without_use(store: ResponseStore) -> None:
    store.put(response("A"), NOW)
    assert store.get("ann", "A", NOW + 3600)["id"] == "A"
    with pytest.raises(NotFound):
        store.get("ann", "A", NOW + 3601)


def test_expired_responses_are_removed_with_the_next_one(store: ResponseStore, path: str) -> None:
    store.put(response("A"), NOW)
    store.put(response("B"), NOW + 3601)
    database = sqlite3.connect(path)
    assert database.execute("SELECT id FROM responses").fetchall() == [("B",)]
    assert database.execute("SELECT count(*) FROM items").fetchone() == (3,)
    database.close()


def test_continuing_a_chain_keeps_all_of_it_alive(store: ResponseStore) -> None:
    store.put(response("A"), NOW)
    store.put(response("B", "A"), NOW + 3000)
    store.chain("ann", "B", NOW + 3500)
    assert len(store.chain("ann", "B", NOW + 7000)) == 6


def test_the_least_recently_used_response_makes_room(path: str) -> None:
    store = ResponseStore(path, StoreLimits(responses=2))
    store.put(response("A"), NOW)
    store.put(response("B"), NOW + 1)
    store.chain("ann", "A", NOW + 2)
    store.put(response("C"), NOW + 3)
    with pytest.raises(NotFound):
        store.get("ann", "B", NOW + 3)
    assert store.get("ann", "A", NOW + 3) and store.get("ann", "C", NOW + 3)
    assert store.items("ann", ["msg_B_1"], NOW + 3) == {}
    store.close()


def test_the_sizes_of_all_responses_are_bounded(path: str) -> None:
    store = ResponseStore(path, StoreLimits(size=10_000))
    big = message("msg_big", "x" * 6_000)
    for number, name in enumerate("AB"):
        kept = StoredResponse(name, "ann", None, {"id": name}, [big], [])
        assert store.put(kept, NOW + number)
    with pytest.raises(NotFound):
        store.get("ann", "A", NOW + 1)
    huge = StoredResponse("C", "ann", None, {"id": "C"}, [big, big], [])
    assert not store.put(huge, NOW + 2)
    assert store.get("ann", "B", NOW + 2)["id"] == "B"
    store.close()


def test_a_file_does_not_grow_with_the_number_of_exchanges(path: str) -> None:
    store = ResponseStore(path, StoreLimits(responses=4))
    sizes = []
    for number in range(200):
        big = message(f"msg_{number}", "x" * 20_000)
        store.put(StoredResponse(f"r{number}", "ann", None, {}, [big], []), NOW + number)
        sizes.append(sum(file.stat().st_size for file in Path(path).parent.iterdir()))
    assert max(sizes[100:]) <= max(sizes[:100])
    store.close()


def test_input_items_are_listed_newest_first_in_pages(store: ResponseStore) -> None:
    store.put(response("A"), NOW)
    whole = store.input_items("ann", "A", NOW)
    assert ids(whole["data"]) == ["msg_A_2", "msg_A_1"] and whole["has_more"] is False
    assert (whole["object"], whole["first_id"], whole["last_id"]) == ("list", "msg_A_2", "msg_A_1")
    page = store.input_items("ann", "A", NOW, limit=1, order="asc")
    assert ids(page["data"]) == ["msg_A_1"] and page["has_more"] is True
    rest = store.input_items("ann", "A", NOW, order="asc", after=page["last_id"])
    assert ids(rest["data"]) == ["msg_A_2"] and rest["has_more"] is False


@pytest.mark.parametrize("options", [{"limit": 0}, {"limit": 101}, {"order": "up"}, {"after": "x"}])
def test_a_page_that_makes_no_sense_is_refused(store: ResponseStore, options: Any) -> None:
    store.put(response("A"), NOW)
    with pytest.raises(InvalidRequest):
        store.input_items("ann", "A", NOW, **options)


def test_items_are_found_by_their_ids(store: ResponseStore) -> None:
    store.put(response("A"), NOW)
    found = store.items("ann", ["msg_A_out", "msg_A_1", "nope"], NOW)
    assert found.keys() == {"msg_A_out", "msg_A_1"} and found["msg_A_1"]["content"] == "in"
    assert store.items("ann", ["msg_A_1"], NOW + 3601) == {}


def test_the_file_is_only_its_owners(store: ResponseStore, path: str) -> None:
    store.put(response("A"), NOW)
    for file in Path(path).parent.iterdir():
        assert stat.S_IMODE(os.stat(file).st_mode) & 0o077 == 0, file


def test_a_file_of_another_version_is_begun_anew(store: ResponseStore, path: str) -> None:
    store.put(response("A"), NOW)
    store.close()
    old = sqlite3.connect(path)
    old.execute("PRAGMA user_version = 99")
    old.close()
    fresh = ResponseStore(path)
    with pytest.raises(NotFound):
        fresh.get("ann", "A", NOW)
    fresh.close()


_WORKER = """
import sys
from multiproxy.dialects.responses_store import ResponseStore, StoredResponse
path, name = sys.argv[1:]
store = ResponseStore(path)
for number in range(50):
    item = {"type": "message", "id": f"msg_{name}_{number}", "role": "user", "content": "x"}
    parent = f"{name}{number - 1}" if number else None
    store.put(StoredResponse(f"{name}{number}", "ann", parent, {"id": name}, [item], []), 1.0e6)
    assert len(store.chain("ann", f"{name}{number}", 1.0e6)) == number + 1
"""


def test_workers_that_write_at_once_share_one_store(path: str) -> None:
    workers = [subprocess.Popen([sys.executable, "-c", _WORKER, path, name]) for name in "PQRS"]
    assert [worker.wait(50) for worker in workers] == [0, 0, 0, 0]
    store = ResponseStore(path)
    for name in "PQRS":
        assert len(store.chain("ann", f"{name}49", NOW)) == 50
    store.close()


def exchange(store: ResponseStore, body: dict[str, Any], stream: bytes) -> dict[str, Any]:
    """One turn through translator and store, as the worker does it."""
    named = references(body)
    history = (
        store.chain("ann", named.previous_response_id, NOW) if named.previous_response_id else []
    )
    stored = store.items("ann", named.item_ids, NOW)
    turn = translate(body, Policy(), history=history, stored_items=stored)
    translator = emitter(turn, random=RANDOM)
    run(translator, [stream])
    assert translator.final is not None
    if turn.stores:
        assert store.put(record(turn, translator.final, "ann"), NOW)
    return {"chat": turn.body, "response": translator.final}


def test_a_conversation_goes_on_from_a_stored_response(store: ResponseStore) -> None:
    end = usage() + DONE
    first = exchange(
        store,
        {"model": "m", "input": "What time is it?", "instructions": "old"},
        ROLE + call(0, "c1", "clock", "{}") + finish("tool_calls") + end,
    )["response"]
    result = {"type": "function_call_output", "call_id": "c1", "output": "noon"}
    second = exchange(
        store,
        {"model": "m", "input": [result], "previous_response_id": first["id"],
         "instructions": "new"},
        ROLE + text("It is noon.") + finish() + end,
    )  # fmt: skip
    roles = [each["role"] for each in second["chat"]["messages"]]
    assert roles == ["system", "user", "assistant", "tool"]
    assert second["chat"]["messages"][0]["content"] == "new"
    assert second["chat"]["messages"][1]["content"] == "What time is it?"
    listed = store.input_items("ann", first["id"], NOW)["data"]
    assert listed[0]["id"].startswith("msg_") and listed[0]["role"] == "user"
    assert listed[0]["content"] == [{"type": "input_text", "text": "What time is it?"}]
    reference = {"type": "item_reference", "id": second["response"]["output"][0]["id"]}
    third = exchange(
        store,
        {"model": "m", "input": [{"role": "user", "content": "So?"}, reference], "store": False},
        ROLE + text("x") + finish() + end,
    )
    assert third["chat"]["messages"][1]["content"] == "It is noon."
    with pytest.raises(NotFound):
        store.get("ann", third["response"]["id"], NOW)
    stored = store.get("ann", second["response"]["id"], NOW)
    assert orjson.dumps(stored) == orjson.dumps({**second["response"], "output": stored["output"]})
