"""Whole answers that are asked for as streams: what the log and the timers know of them."""

import pytest
from worker.conftest import Staff
from worker.workplace import Workplace, chat

from multiproxy.config import Timeouts
from multiproxy.scoreboard import Phase
from multiproxy.simulator import Fault
from multiproxy.worker.exchange import Exchange

WHOLE = {
    "/v1/chat/completions": chat(stream=False, max_tokens=400),
    "/v1/messages": chat(stream=False, max_tokens=400),
    "/v1/responses": {"model": "demo", "input": "hi", "max_output_tokens": 400},
}


async def amid_its_answer(workplace: Workplace) -> Exchange:
    (exchange,) = workplace.exchanges
    await workplace.until(
        lambda: (
            exchange._serving
            and exchange._serving.translator
            and exchange._serving.translator.events > 2
        )
    )
    return exchange


@pytest.mark.parametrize("path", WHOLE)
async def test_a_client_that_leaves_amid_the_answer_is_told_of_as_that(staff: Staff, path):
    workplace, (server,) = await staff(tokens_per_second=200)
    client = workplace.client()
    client.send(WHOLE[path], path)
    exchange = await amid_its_answer(workplace)
    assert exchange._account.live.phase is Phase.DECODING
    client.leave()
    await workplace.settled()
    assert workplace.endings == [(499, "CD")]
    (record,) = workplace.records
    assert 0 < record.first_event_ns < record.total_ns


async def test_a_client_that_leaves_before_is_told_of_as_that(staff: Staff):
    workplace, (server,) = await staff(faults=[Fault("stall")])
    client = workplace.client()
    client.send(WHOLE["/v1/messages"], "/v1/messages")
    await workplace.until(lambda: server.facts.faults["stall"])
    client.leave()
    await workplace.settled()
    assert workplace.endings == [(499, "CW")]


@pytest.mark.parametrize("path", WHOLE)
async def test_a_backend_that_falls_silent_amid_the_answer_is_not_waited_for_for_ever(
    staff: Staff, path
):
    workplace, (server,) = await staff(
        tokens_per_second=200, config={"timeouts": Timeouts(idle=30)}
    )
    client = workplace.client()
    client.send(WHOLE[path], path)
    exchange = await amid_its_answer(workplace)
    now = workplace.worker.now()
    exchange.tick(now, 0)
    exchange._serving._attempt.pause()  # it says nothing more
    exchange.tick(now + 29, 0)
    assert workplace.exchanges
    exchange.tick(now + 31, 0)
    await workplace.settled()
    assert workplace.endings == [(504, "BD")]
