"""Splits, fallbacks and bounds of the configuration, from the request to the answer."""

import pytest
from worker.conftest import Staff
from worker.workplace import Workplace, chat, row

from multiproxy.config import Arm, Backend, Config, Model, Timeouts, Url
from multiproxy.scoreboard import BackendState, Scoreboard
from multiproxy.worker.backends import Backends

BIG = Model("big", ("b0",), fallback=("small",))
SMALL = Model("small", ("b1",))


def served(workplace: Workplace) -> list[tuple[str, int]]:
    return [(record.model_served, record.status) for record in workplace.records]


def state(workplace: Workplace, index: int, state: BackendState) -> None:
    workplace.board.backends.write(index, row(state))


async def test_a_model_whose_backends_are_down_is_stood_in_for(staff: Staff):
    workplace, _ = await staff(2, config={"models": (BIG, SMALL)})
    assert (await workplace.client().ask(chat(model="big"))).status == 200
    state(workplace, 0, BackendState.DOWN)
    assert (await workplace.client().ask(chat(model="big"))).status == 200
    assert served(workplace) == [("big", 200), ("small", 200)]


async def test_a_prompt_that_is_too_long_goes_to_the_model_with_the_larger_window(staff: Staff):
    workplace, _ = await staff(2, config={"models": (BIG, SMALL)})
    workplace.board.backends.write(0, row()._replace(n_ctx=2048))
    answer = await workplace.client().ask(chat("word " * 4000, model="big", stream=False))
    assert answer.status == 200
    assert served(workplace) == [("small", 200)]


async def test_who_waited_too_long_is_served_by_the_other_model(staff: Staff):
    config = {"models": (BIG, SMALL), "timeouts": Timeouts(queue=0.01)}
    workplace, _ = await staff(2, config=config)
    workplace.board.load.add(7, 0, 4)  # all slots of the first
    assert (await workplace.client().ask(chat(model="big"))).status == 200
    assert served(workplace) == [("small", 200)]


async def test_the_last_models_failure_is_what_the_client_is_told(staff: Staff):
    workplace, _ = await staff(2, config={"models": (BIG, SMALL)})
    for index in (0, 1):
        state(workplace, index, BackendState.DOWN)
    answer = await workplace.client().ask(chat(model="big"))
    assert (answer.status, answer.error) == (503, "no_backend_available")
    assert served(workplace) == [("small", 503)]


async def test_a_mistake_of_the_client_is_nobodys_turn(staff: Staff):
    workplace, servers = await staff(2, config={"models": (BIG, SMALL)})
    answer = await workplace.client().ask({"model": "big", "messages": 5}, "/v1/messages")
    assert answer.status == 400
    assert servers[1].facts.requests["POST /v1/chat/completions"] == 0


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/messages"])
async def test_a_split_keeps_each_conversation_on_its_arm(staff: Staff, path: str):
    models = (
        Model("assistant", split=(Arm("big", 1), Arm("small", 1))),
        Model("big", ("b0",)),
        SMALL,
    )
    workplace, _ = await staff(2, config={"models": models})
    for number in range(12):
        turns = [{"role": "user", "content": f"question {number}"}]
        for _ in range(2):
            body = {"model": "assistant", "max_tokens": 4, "messages": turns}
            assert (await workplace.client().ask(body, path)).status == 200
            turns = [*turns, {"role": "assistant", "content": "a"}, *turns]
    arms = [record.model_served for record in workplace.records]
    assert arms[::2] == arms[1::2]
    assert set(arms) == {"big", "small"}
    assert {record.split for record in workplace.records} == {"assistant"}


def test_a_backend_gets_no_more_than_its_max_in_flight():
    board = Scoreboard.create()
    board.backends.write(0, row(slots=4))
    board.backends.write(1, row(slots=0))
    board.backends.write(2, row(slots=1))
    url = Url("http", "h", 1)
    backends = tuple(Backend(f"b{n}", url, max_in_flight=2) for n in range(3))
    found = Backends(Config(backends=backends), board, 0, {"b0": 0, "b1": 1, "b2": 2}, {})
    assert found.slots == {0: 2, 1: 2, 2: 1}


async def test_who_waits_sees_its_place_on_the_live_board(staff: Staff):
    workplace, _ = await staff(1)
    workplace.board.load.add(7, 0, 4)  # another worker has all slots
    clients = [workplace.client() for _ in range(2)]
    for client in clients:
        client.send(chat())

    await workplace.until(lambda: workplace.worker.placer.waiting == 2)
    for exchange in workplace.exchanges:
        exchange.tick(0.0, 1)
    workplace.worker.placer.tell_line()
    rows = workplace.board.live[0].rows()
    assert sorted(each.queue_position for each in rows) == [1, 2]
    for client in clients:
        client.leave()
    await workplace.settled()
