"""Turns of a conversation meet the same backend again; what answers tell is learned."""

import asyncio

import orjson
import pytest
from worker.test_placer import Desk

from multiproxy._http.head import RequestHead
from multiproxy.dialects.events import Usage
from multiproxy.dialects.request import understand
from multiproxy.routing.placement import Reason
from multiproxy.routing.recall import WORTH
from multiproxy.routing.table import Route
from multiproxy.worker.endpoints import Endpoint, Kind, Speech
from multiproxy.worker.placer import Placer
from multiproxy.worker.wishes import NO_WISH

CHAT = Endpoint("chat", Kind.GENERATE, b"/v1/chat/completions", Speech.CHAT)
DEMO = Route("demo", (0, 1))
LONG = "tell me more about it " * 200


def turns(count: int, start: str = LONG) -> dict[str, object]:
    roles = ("user", "assistant")
    return {
        "messages": [
            {"role": roles[number % 2], "content": f"{number} {start}"} for number in range(count)
        ]
    }


class Table(Desk):
    """A placer with two named backends; ``ask`` is one request, answered at once."""

    def __init__(self, slots: int = 4) -> None:
        super().__init__(slots=slots)
        self.placer = self.another_worker(0)

    def another_worker(self, index: int) -> Placer:
        placer = Placer(
            self.board, index, {0: 1, 1: 1}, queue_limit=9, queue_s=60, names={0: "a", 1: "b"}
        )
        placer.slots = {0: self.slots, 1: self.slots}
        return placer

    slots = 4

    def wish(self, body: dict[str, object], *, endpoint: Endpoint = CHAT, route: Route = DEMO):
        request = understand(orjson.dumps(body))
        head = RequestHead(b"POST", CHAT.path, b"1.1", (), keep_alive=True)
        return self.placer.wishes.of(endpoint, head, request, route)

    async def ask(self, body: dict[str, object], cached: int = 0, placer: Placer | None = None):
        wish = self.wish(body)
        lease = await (placer or self.placer).place(DEMO, (), wish)
        usage = Usage(wish.tokens, cached, 10, timings={"prompt_ms": 500.0, "predicted_ms": 200.0})
        lease.answered(usage)
        lease.release()
        return lease


async def test_every_turn_of_a_conversation_goes_where_the_first_one_went():
    table = Table()
    for start in ("x", "y", "z"):
        first = await table.ask(turns(1, start + LONG))
        assert first.choice.reason == Reason.HOME
        for count in (3, 5, 7):
            lease = await table.ask(turns(count, start + LONG), cached=1000 * count)
            assert lease.backend == first.backend
            assert lease.choice.reason == Reason.CACHED


async def test_other_workers_know_where_a_conversation_went():
    table = Table()
    other = table.another_worker(1)
    for number in range(8):
        first = await table.ask(turns(1, f"{number}{LONG}"))
        lease = await table.ask(turns(3, f"{number}{LONG}"), placer=other)
        assert lease.backend == first.backend


async def test_answers_teach_speed_and_hold_time():
    table = Table()
    lease = await table.ask(turns(1))
    pace = table.placer.wishes.recall.pace(lease.backend)
    assert pace.prefill_rate == pytest.approx(lease.wish.tokens / 0.5)
    assert pace.decode_rate == 50
    assert pace.hold_s < 5  # measured: it was 10 before


async def test_a_busy_favourite_is_left_when_waiting_takes_longer_than_reading():
    table = Table()
    home = (await table.ask(turns(1))).backend
    pace = table.placer.wishes.recall.pace(home)
    table.board.load.add(7, home, 4)  # all its slots
    for _ in range(200):
        pace.held(600.0, 0.0)
    lease = await table.ask(turns(3))
    assert lease.backend != home and lease.choice.reason == Reason.SPILLED
    assert (await table.ask(turns(5))).backend == lease.backend  # that is where it is now


async def test_a_busy_favourite_is_waited_for_when_that_is_quicker():
    table = Table()
    home = (await table.ask(turns(9))).backend
    recall = table.placer.wishes.recall
    for index in (0, 1):
        for _ in range(400):
            recall.pace(index).prefilled(100, 1.0)  # slow readers
            recall.pace(index).held(0.5, 0.0)
    table.board.load.add(7, home, 4)
    task = asyncio.create_task(table.placer.place(DEMO, (), table.wish(turns(11))))
    await asyncio.sleep(0)
    assert not task.done() and table.placer._wanted == {home: 1}
    table.board.load.add(7, home, -1)
    assert (await task).backend == home
    assert table.placer._wanted == {home: 0}


async def test_patience_ends():
    table = Table()
    home = (await table.ask(turns(9))).backend
    recall = table.placer.wishes.recall
    for index in (0, 1):
        for _ in range(400):
            recall.pace(index).prefilled(100, 1.0)
            recall.pace(index).held(0.5, 0.0)
    table.board.load.add(7, home, 4)
    task = asyncio.create_task(table.placer.place(DEMO, (), table.wish(turns(11))))
    await asyncio.sleep(0)
    (ticket,) = next(table.placer._queue.lines())
    assert ticket.patient_until > 0
    ticket.patient_until = 1.0  # long ago
    table.placer.wake()
    assert (await task).backend != home


@pytest.mark.parametrize(
    ("endpoint", "route"),
    [
        (CHAT, Route("demo", (0,))),  # no choice
        (Endpoint("embeddings", Kind.GENERATE, b"/v1/embeddings"), DEMO),
        (Endpoint("count-tokens", Kind.COUNT, b"", Speech.MESSAGES), DEMO),
        (Endpoint("props", Kind.QUERY, b"/props"), DEMO),
    ],
)
def test_nothing_is_hashed_where_it_would_not_matter(endpoint, route):
    assert Table().wish(turns(3), endpoint=endpoint, route=route) is NO_WISH


async def test_short_prompts_are_spread_evenly():
    table = Table()
    counts = [0, 0]
    for _ in range(100):
        lease = await table.ask({"messages": [{"role": "user", "content": "hi"}]})
        assert lease.wish.tokens < WORTH
        counts[lease.backend] += 1
    assert counts == [50, 50]


async def test_odd_timings_teach_nothing():
    table = Table()
    lease = await table.placer.place(DEMO, (), table.wish(turns(1)))
    for odd in ({"prompt_ms": "x"}, {"prompt_ms": -1}, {"prompt_ms": None}, None):
        lease.answered(Usage(100, 0, 5, timings=odd))
    lease.answered(None)
    assert table.placer.wishes.recall.pace(lease.backend).prefill_rate == 1000


async def test_attempts_that_failed_do_not_make_slots_look_quick():
    table = Table()
    for _ in range(20):
        (await table.placer.place(DEMO, ())).release()
    assert [table.placer.wishes.recall.pace(index).hold_s for index in (0, 1)] == [10, 10]
