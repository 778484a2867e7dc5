"""Stored responses as the workers of one host see them: two objects, one file."""

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from dialects.responses_run import HI

from multiproxy.dialects.policy import Policy
from multiproxy.dialects.responses_request import References, translate
from multiproxy.errors import InvalidRequest, NotFound
from multiproxy.worker import stored as stored_module
from multiproxy.worker.stored import Stored

Open = Callable[[str], Stored]
ITEM = "msg_" + "a" * 32
FIRST, SECOND = "resp_" + "1" * 32, "resp_" + "2" * 32


@pytest.fixture
def open_store() -> Iterator[Open]:
    opened: list[Stored] = []

    def begin(path: str) -> Stored:
        opened.append(Stored(path))
        return opened[-1]

    yield begin
    for stored in opened:
        stored.close()


@pytest.fixture
def both(open_store: Open, tmp_path: Path) -> tuple[Stored, Stored]:
    """Two workers with the same file."""
    path = str(tmp_path / "responses")
    return open_store(path), open_store(path)


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The waits between two looks, which take no time here."""
    waited: list[float] = []
    pause = asyncio.sleep

    async def sleep(seconds: float) -> None:
        waited.append(seconds)
        await pause(0)

    monkeypatch.setattr(stored_module.asyncio, "sleep", sleep)
    return waited


async def keep(
    stored: Stored,
    name: str = FIRST,
    words: str = "hi",
    parent: str | None = None,
    owner: str = "",
    item: str | None = None,
) -> None:
    """Keep one finished turn: ``words`` in, ``words`` and an exclamation mark out."""
    request = HI | {"input": words}
    history: list[dict[str, Any]] = []
    if parent:
        request["previous_response_id"] = parent
        history, _ = await stored.resolve(owner, wanted(parent))
    turn = translate(request, Policy(), history=history)
    output = [
        {
            "type": "message",
            "id": item or f"msg_{name[5:9]}",
            "role": "assistant",
            "content": [{"type": "output_text", "text": f"{words}!"}],
        }
    ]
    await stored.keep(turn, {"id": name, "status": "completed", "output": output}, owner)


def wanted(response_id: str | None = None, *item_ids: str) -> References:
    return References(response_id, item_ids)


def said(items: list[dict[str, Any]]) -> list[str]:
    return [item["content"][0]["text"] for item in items]


async def test_what_one_worker_kept_another_one_gives(both, pauses):
    here, there = both
    await keep(here)
    response = await there.get("", FIRST)
    assert (response["id"], response["status"]) == (FIRST, "completed")
    assert said(response["output"]) == ["hi!"]
    assert pauses == []


async def test_a_chain_goes_over_workers(both):
    here, there = both
    await keep(here, FIRST, "one")
    await keep(there, SECOND, "two", parent=FIRST)
    chain, items = await here.resolve("", wanted(SECOND))
    assert said(chain) == ["one", "one!", "two", "two!"] and items == {}


async def test_single_items_can_be_named(both):
    here, there = both
    await keep(here)
    chain, items = await there.resolve("", wanted(None, "msg_1111", "msg_unknown"))
    assert chain == []
    assert list(items) == ["msg_1111"] and said(list(items.values())) == ["hi!"]


async def test_input_items_come_in_pages(both):
    here, there = both
    await keep(here)
    page = await there.input_items("", FIRST, {"limit": "1", "order": "asc"})
    assert said(page["data"]) == ["hi"] and page["has_more"] is False


@pytest.mark.parametrize(
    ("query", "param"),
    [
        ({"limit": "0"}, "limit"),
        ({"limit": "-1"}, "limit"),
        ({"limit": "x"}, "limit"),
        ({"limit": "²"}, "limit"),
        ({"limit": "9" * 5000}, "limit"),
        ({"order": "up"}, "order"),
        ({"after": "msg_nope"}, "after"),
    ],
)
async def test_a_page_that_makes_no_sense_is_refused_at_once(both, pauses, query, param):
    await keep(both[0])
    with pytest.raises(InvalidRequest) as caught:
        await both[1].input_items("", FIRST, query)
    assert caught.value.param == param and pauses == []


async def test_what_was_deleted_is_gone_for_all(both, pauses):
    here, there = both
    await keep(here)
    deleted = await there.delete("", FIRST)
    assert deleted == {"id": FIRST, "object": "response", "deleted": True}
    with pytest.raises(NotFound):
        await here.get("", FIRST)


async def test_nobody_sees_what_another_owner_said(both, pauses):
    here, there = both
    await keep(here, owner="ann")
    assert said(await items_of(there, "ann")) == ["hi", "hi!"]
    for look in (there.get, there.delete):
        with pytest.raises(NotFound):
            await look("bob", FIRST)
    with pytest.raises(NotFound):
        await there.input_items("bob", FIRST, {})
    with pytest.raises(InvalidRequest) as caught:
        await there.resolve("bob", wanted(FIRST))
    assert caught.value.code == "previous_response_not_found"
    assert await there.resolve("bob", wanted(None, "msg_1111")) == ([], {})


async def items_of(stored: Stored, owner: str) -> list[dict[str, Any]]:
    return (await stored.resolve(owner, wanted(FIRST)))[0]


async def test_a_response_that_is_still_being_written_is_waited_for(both, monkeypatch):
    here, there = both
    waited: list[float] = []

    async def write_meanwhile(seconds: float) -> None:
        waited.append(seconds)
        if len(waited) == 2:
            await keep(there)

    monkeypatch.setattr(stored_module.asyncio, "sleep", write_meanwhile)
    assert said(await items_of(here, "")) == ["hi", "hi!"]
    assert waited == list(stored_module.PAUSES_S[:2])


async def test_an_item_that_is_still_being_written_is_waited_for(both, monkeypatch):
    here, there = both
    waited: list[float] = []

    async def write_meanwhile(seconds: float) -> None:
        waited.append(seconds)
        if len(waited) == 2:
            await keep(there, item=ITEM)

    monkeypatch.setattr(stored_module.asyncio, "sleep", write_meanwhile)
    _, items = await here.resolve("", wanted(None, ITEM))
    assert said(list(items.values())) == ["hi!"]
    assert waited == list(stored_module.PAUSES_S[:2])


async def test_an_item_that_never_was_is_not_waited_for_long_and_a_foreign_one_not_at_all(
    both, pauses
):
    assert await both[0].resolve("", wanted(None, ITEM)) == ([], {})
    assert pauses == list(stored_module.PAUSES_S) and sum(pauses) < 2
    pauses.clear()
    assert await both[0].resolve("", wanted(None, "msg_of_another_server")) == ([], {})
    assert pauses == []


async def test_a_response_that_never_was_is_not_waited_for_long(both, pauses):
    with pytest.raises(InvalidRequest, match=f"'{FIRST}' not found"):
        await both[0].resolve("", wanted(FIRST))
    assert pauses == list(stored_module.PAUSES_S)


async def test_a_request_that_names_nothing_opens_no_file(open_store: Open, tmp_path: Path):
    stored = open_store(str(tmp_path / "responses"))
    assert await stored.resolve("", wanted()) == ([], {})
    assert stored.is_open and list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("names", [wanted(FIRST), wanted(None, "msg_1")])
async def test_without_a_store_nothing_can_be_continued(open_store, pauses, names: References):
    stored = open_store("")
    assert not stored.is_open
    with pytest.raises(InvalidRequest, match="send the whole conversation") as caught:
        await stored.resolve("", names)
    assert caught.value.code == "previous_response_not_found"
    assert caught.value.param == "previous_response_id"


async def test_without_a_store_nothing_is_found_and_nothing_waited_for(open_store, pauses):
    stored = open_store("")
    for look in (stored.get, stored.delete):
        with pytest.raises(NotFound):
            await look("", FIRST)
    assert pauses == []
    assert await stored.resolve("", wanted()) == ([], {})


async def test_a_full_disk_costs_the_stored_response_only(open_store, tmp_path, pauses, capfd):
    stored = open_store(str(tmp_path / "missing" / "responses"))
    await keep(stored)
    assert "FileNotFoundError" in capfd.readouterr().err
