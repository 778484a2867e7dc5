"""Copies of answered requests: what they cost those that are real is nothing."""

import time
from collections.abc import AsyncIterator
from random import Random

import pytest
from worker.conftest import Staff
from worker.workplace import Workplace, chat, row

from multiproxy.config import Key, Mirror, Model, digest
from multiproxy.scoreboard import BackendState
from multiproxy.simulator import Server, Settings, start
from multiproxy.worker.mirrored import Copy

MODELS = (Model("demo", ("b0",), mirror=Mirror("shadow")), Model("shadow", ("b1",)))
QUESTION = [{"role": "user", "content": "hi"}]
Slow = tuple[Workplace, Server]


@pytest.fixture
async def slow() -> AsyncIterator[Slow]:
    """A workplace, and the backend of its copies, whose answers end when they are broken off."""
    fast = await start(Settings(tokens_per_second=0, prompt_tokens_per_second=0))
    slow = await start(Settings(tokens_per_second=5, prompt_tokens_per_second=0))
    workplace = Workplace(fast.port, slow.port, config={"models": MODELS})
    yield workplace, slow
    workplace.close()
    for server in (fast, slow):
        await server.close()


async def running_copy(workplace: Workplace) -> Copy:
    """Ask something, and return its copy once its first token is there."""
    assert (await workplace.client().ask(chat(max_tokens=400))).status == 200
    (copy,) = workplace.worker.mirror.running
    await workplace.until(lambda: copy._translator and copy._translator.events)
    return copy


async def ended(workplace: Workplace) -> None:
    """Wait until no exchange and no copy runs."""
    await workplace.settled()
    await workplace.until(lambda: not workplace.worker.mirror.running)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/chat/completions", {"messages": QUESTION, "stream": True}),
        ("/v1/chat/completions", {"messages": QUESTION}),
        ("/v1/messages", {"messages": QUESTION, "max_tokens": 8}),
        ("/v1/responses", {"input": "hi", "stream": True}),
        ("/v1/completions", {"prompt": "hi", "max_tokens": 8}),
    ],
)
async def test_an_answered_request_is_sent_once_more_and_recorded_apart(
    staff: Staff, path: str, body: dict[str, object]
):
    workplace, servers = await staff(2, config={"models": MODELS})
    client = workplace.client()
    answer = await client.ask({"model": "demo", **body}, path)
    told = bytes(client.transport.written)
    await ended(workplace)
    assert answer.status == 200
    assert bytes(client.transport.written) == told  # nothing of the copy's answer
    first, copy = workplace.records
    assert (first.model_served, first.copy_of) == ("demo", "")
    assert (copy.model_served, copy.copy_of) == ("shadow", first.request_id)
    assert (copy.status, copy.termination, copy.attempts, copy.backend) == (200, "--", 1, 1)
    assert copy.prompt_tokens > 0
    assert copy.output_tokens > 0
    assert servers[1].facts.requests.total() == 1
    assert workplace.board.load.copies(1) == 0
    assert workplace.is_clean()


async def test_what_failed_is_not_mirrored(staff: Staff):
    workplace, servers = await staff(2, config={"models": MODELS})
    workplace.board.backends.write(0, row(BackendState.DOWN))
    assert (await workplace.client().ask(chat())).status == 503
    await ended(workplace)
    assert servers[1].facts.requests.total() == 0


async def test_a_copy_only_goes_where_no_request_runs(staff: Staff):
    workplace, _ = await staff(2, config={"models": MODELS})
    workplace.board.load.add(7, 1, +1)  # another worker's, in one of four slots
    assert (await workplace.client().ask(chat())).status == 200
    await ended(workplace)
    assert [record.model_served for record in workplace.records] == ["demo"]


async def test_copies_leave_one_slot_free(slow: Slow):
    workplace, _ = slow
    for _ in range(5):
        assert (await workplace.client().ask(chat(max_tokens=400))).status == 200
    assert workplace.board.load.copies(1) == len(workplace.worker.mirror.running) == 3
    assert workplace.board.load.in_flight(1) == 0  # no placement makes room for them
    workplace.worker.mirror.stop()
    await ended(workplace)
    assert workplace.board.load.copies(1) == 0


async def test_a_copy_is_broken_off_when_a_request_comes_to_its_backend(slow: Slow):
    workplace, server = slow
    await running_copy(workplace)
    workplace.board.load.add(7, 1, +1)
    await ended(workplace)
    record = workplace.records[-1]
    assert (record.error, record.termination) == ("mirror_made_way", "PD")
    assert workplace.board.load.copies(1) == 0
    await workplace.until(lambda: server.facts.aborted == 1)


async def test_a_copy_is_tried_once_and_its_failure_is_held_against_nobody(staff: Staff):
    workplace, servers = await staff(2, config={"models": MODELS})
    await servers[1].close()
    assert (await workplace.client().ask(chat())).status == 200
    await ended(workplace)
    copy = workplace.records[-1]
    assert (copy.error, copy.attempts, copy.tries) == ("backend_unreachable", 1, ())
    assert workplace.board.load.failures(1) == (0, 0)
    assert list(workplace.worker.placer.trusted.of([1])) == [1]


async def test_a_copy_costs_its_key_nothing(staff: Staff):
    key = Key("alice", f"sha256:{digest(b'secret').hex()}", tokens_per_day=10**6)
    workplace, _ = await staff(2, config={"models": MODELS, "keys": (key,)})
    client = workplace.client()
    client.send(chat(), fields="Authorization: Bearer secret\r\n")
    await ended(workplace)
    first, copy = workplace.records
    assert (first.key, copy.key) == ("alice", "")
    assert copy.prompt_tokens > 0
    spent = workplace.board.keys.tokens_of_day(0, int(time.time() // 86_400))
    assert spent == first.prompt_tokens + first.output_tokens


async def test_a_share_of_the_requests_is_taken_by_chance(staff: Staff):
    models = (Model("demo", ("b0",), mirror=Mirror("shadow", 0.25)), MODELS[1])
    workplace, _ = await staff(2, config={"models": models})
    workplace.worker.mirror._chance = Random(3)
    client = workplace.client()
    for _ in range(80):
        await client.ask(chat())
        await ended(workplace)
    copies = sum(bool(record.copy_of) for record in workplace.records)
    expected = Random(3)
    assert copies == sum(expected.random() < 0.25 for _ in range(80))
    assert 10 <= copies <= 30


async def test_the_end_of_the_process_waits_for_no_copy(slow: Slow):
    workplace, _ = slow
    await running_copy(workplace)
    workplace.worker.drain()
    await ended(workplace)
    assert workplace.records[-1].error == "mirror_made_way"


async def test_a_copy_shows_itself_while_it_runs_and_an_operator_can_end_it(slow: Slow):
    workplace, _ = slow
    copy = await running_copy(workplace)
    workplace.worker.mirror.tick(workplace.worker.now(), 1)
    (shown,) = workplace.board.live[0].rows()
    assert (shown.model_served, shown.copy_of) == ("shadow", workplace.records[0].request_id)
    workplace.board.orders.give(0, copy.request_id[4:])
    workplace.worker._carry_out_orders()
    await ended(workplace)
    assert workplace.records[-1].termination == "PD"
