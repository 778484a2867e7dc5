"""Counting a prompt: the engine's own number where there is one, and never a slot."""

import orjson
import pytest
from worker.conftest import Staff
from worker.workplace import Answer, Workplace, reports, row

from multiproxy.dialects.count import BYTES_PER_TOKEN, estimate_prompt
from multiproxy.scoreboard import BackendState
from multiproxy.simulator import Fault, Server
from multiproxy.worker import counting

COUNT_ROUTE = "/v1/chat/completions/input_tokens"
WORDS = "Count the words of this sentence, please."
ASKED = {"model": "demo", "max_tokens": 4, "messages": [{"role": "user", "content": WORDS}]}
RESPONSES = {"model": "demo", "input": WORDS}
NO_ROUTE = Fault("status", path=COUNT_ROUTE, status=404)
CHARS_OF_ESTIMATE = {"messages": [{"role": "user", "content": WORDS}]}


async def count(
    workplace: Workplace, body: object = ASKED, path: str = "/v1/messages/count_tokens"
) -> Answer:
    answer = await workplace.client().ask(body, path)
    assert answer.status == 200, answer.body
    return answer


def is_estimate(answer: Answer) -> bool:
    return b"\r\nx-multiproxy-count: estimate" in answer.head


async def prompt_tokens(workplace: Workplace) -> int:
    """What the same request's prompt has when it is generated."""
    answer = await workplace.client().ask(ASKED, "/v1/messages")
    usage = answer.json["usage"]
    return int(usage["input_tokens"] + usage["cache_read_input_tokens"])


async def test_the_count_is_what_generation_will_say(staff: Staff):
    workplace, (server,) = await staff()
    answer = await count(workplace)
    assert not is_estimate(answer)
    assert answer.json == {"input_tokens": await prompt_tokens(workplace)}
    assert server.facts.requests[f"POST {COUNT_ROUTE}"] == 1


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/responses/input_tokens", RESPONSES),
        ("/v1/chat/completions/input_tokens", ASKED),
    ],
)
async def test_every_dialect_counts_the_same(staff: Staff, path: str, body: object):
    workplace, _ = await staff()
    tokens = (await count(workplace)).json["input_tokens"]
    answer = await count(workplace, body, path)
    assert answer.json == {"object": "response.input_tokens", "input_tokens": tokens}


async def test_an_engine_without_the_route_is_asked_in_two_steps(staff: Staff):
    workplace, (server,) = await staff(faults=[NO_ROUTE])
    answer = await count(workplace)
    assert not is_estimate(answer)
    asked = server.facts.requests
    assert (asked["POST /apply-template"], asked["POST /tokenize"]) == (1, 1)
    assert answer.json["input_tokens"] == await prompt_tokens(workplace)


async def test_an_engine_with_neither_is_asked_in_vllms_way(staff: Staff):
    faults = [NO_ROUTE, Fault("status", path="/apply-template", status=404)]
    workplace, (server,) = await staff(faults=faults, keep_bodies=True)
    assert not is_estimate(await count(workplace))
    body = orjson.loads(server.facts.bodies[-1])
    assert body["messages"] == ASKED["messages"] and body["add_generation_prompt"] is True


async def test_the_next_backend_counts_when_one_cannot(staff: Staff):
    workplace, servers = await staff(2)
    servers[0].set_faults([Fault("status", path=COUNT_ROUTE, status=500)])
    answer = await count(workplace)
    assert not is_estimate(answer)
    assert [server.facts.requests[f"POST {COUNT_ROUTE}"] for server in servers] == [1, 1]


@pytest.mark.parametrize("state", [BackendState.DOWN, BackendState.SLEEPING])
async def test_without_a_backend_that_is_up_it_is_an_estimate(staff: Staff, state: BackendState):
    workplace, (server,) = await staff()
    workplace.board.backends.write(0, row(state))
    answer = await count(workplace)
    assert is_estimate(answer)
    assert answer.json == {"input_tokens": estimate_prompt(CHARS_OF_ESTIMATE)}
    assert not server.facts.requests


async def test_a_backend_that_refuses_to_count_makes_it_an_estimate(staff: Staff):
    workplace, _ = await staff(faults=[Fault("status", path=COUNT_ROUTE, status=500)])
    assert is_estimate(await count(workplace))


async def test_estimates_learn_from_what_was_counted(staff: Staff):
    workplace, _ = await staff()
    for _ in range(20):
        exact = (await count(workplace)).json["input_tokens"]
    workplace.board.backends.write(0, row(BackendState.DOWN))
    learned = (await count(workplace)).json["input_tokens"]
    assert abs(learned - exact) < abs(estimate_prompt(CHARS_OF_ESTIMATE) - exact)


async def test_long_prompts_are_counted_and_not_learned_from(staff: Staff, monkeypatch):
    workplace, _ = await staff()
    monkeypatch.setattr(counting, "_TEACHES", 3)  # of some ten
    assert not is_estimate(await count(workplace))
    assert workplace.worker.backends.ratio("demo").bytes_per_token == BYTES_PER_TOKEN


async def test_what_an_engine_counts_is_not_estimated_as_well(staff: Staff, monkeypatch):
    workplace, _ = await staff()
    monkeypatch.setattr(counting.counting, "estimate_prompt", None)
    assert not is_estimate(await count(workplace))


async def test_counting_needs_no_slot_and_takes_none(staff: Staff):
    workplace, (server,) = await staff(slots=1, config={"default_model": "demo"})
    workplace.board.backends.write(0, row(slots=1))
    workplace.board.backends.write_facts(0, reports("demo", kind="llama.cpp"))
    await busy(workplace, server)
    before = workplace.in_flight
    client = workplace.client()
    client.send(ASKED, "/v1/messages/count_tokens")
    await workplace.until(lambda: client.transport.written)
    assert client.transport.written.startswith(b"HTTP/1.1 200")
    assert workplace.in_flight == before == [1]
    for exchange in workplace.exchanges:
        exchange.client_gone()
    await workplace.settled()


async def busy(workplace: Workplace, server: Server) -> None:
    """Take the only slot with a generation that stands still."""
    server.set_faults([Fault("stall", path="/v1/chat/completions")])
    workplace.client().send(ASKED)
    await workplace.until(lambda: server.facts.requests["POST /v1/chat/completions"])


@pytest.mark.parametrize("messages", [[1], [{"role": "user", "content": [1]}], 7])
async def test_messages_that_are_none_cost_no_traceback(staff: Staff, messages: object, capfd):
    workplace, _ = await staff()
    body = {"model": "demo", "messages": messages}
    answer = await workplace.client().ask(body, "/v1/chat/completions/input_tokens")
    assert answer.status < 500
    assert "Traceback" not in capfd.readouterr().err
