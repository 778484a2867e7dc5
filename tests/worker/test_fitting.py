"""Prompts before a context window: refused without a slot, in the client's own words."""

from collections.abc import AsyncIterator
from random import Random

import orjson
import pytest
from worker.conftest import Staff
from worker.workplace import Workplace, row

from multiproxy.config import Retry
from multiproxy.routing.table import Route
from multiproxy.simulator import Fault, Settings, start

COUNT = "POST /v1/chat/completions/input_tokens"
WINDOW = 2048
PATHS = ("/v1/chat/completions", "/v1/messages", "/v1/responses")


def narrow(workplace: Workplace, *windows: int) -> None:
    for index, window in enumerate(windows):
        workplace.board.backends.write(index, row()._replace(n_ctx=window))


def asked(path: str, text: str, **more: object) -> dict[str, object]:
    said = {"messages": [{"role": "user", "content": text}]}
    if path == "/v1/responses":
        said = {"input": text}  # type: ignore[dict-item]
    return {"model": "demo", "max_tokens": 4, **said, **more}


@pytest.mark.parametrize("path", PATHS)
async def test_what_fits_nowhere_is_refused_in_the_clients_words_and_touches_no_slot(
    staff: Staff, path: str
):
    workplace, (server,) = await staff()
    narrow(workplace, WINDOW)
    answer = await workplace.client().ask(asked(path, "word " * 4000), path)
    assert answer.status == 400
    error = answer.json["error"]
    if path == "/v1/messages":
        assert error["type"] == "invalid_request_error"
        assert error["message"].startswith("prompt is too long: ")
        assert f" tokens > {WINDOW} maximum" in error["message"]
    else:
        assert error["code"] == "context_length_exceeded"
        assert (error["n_ctx"], error["n_prompt_tokens"] > 4000) == (WINDOW, True)
        assert error["param"] == ("input" if path == "/v1/responses" else "messages")
    assert server.facts.requests[COUNT] == 1
    assert server.facts.requests["POST /v1/chat/completions"] == 0
    assert workplace.endings == [(400, "CR")]


async def test_the_same_prompt_again_is_refused_without_another_question(staff: Staff):
    workplace, (server,) = await staff()
    narrow(workplace, WINDOW)
    for _ in range(3):
        answer = await workplace.client().ask(asked(PATHS[0], "word " * 4000))
        assert answer.status == 400
    assert server.facts.requests[COUNT] == 1


async def test_what_surely_fits_is_not_counted(staff: Staff):
    workplace, (server,) = await staff()
    narrow(workplace, WINDOW)
    assert (await workplace.client().ask(asked(PATHS[0], "word " * 20))).status == 200
    assert server.facts.requests[COUNT] == 0


async def test_the_next_turns_are_proved_by_the_last_ones_usage(staff: Staff):
    workplace, (server,) = await staff()
    narrow(workplace, WINDOW)
    history = [{"role": "user", "content": "word " * 1100}]  # 5,500 bytes, some 1,400 tokens
    for turn in range(4):
        answer = await workplace.client().ask({"model": "demo", "messages": history})
        assert answer.status == 200
        history += [
            {"role": "assistant", "content": "well"},
            {"role": "user", "content": f"and {turn}"},
        ]
    assert server.facts.requests[COUNT] == 1


async def test_a_backend_with_a_large_enough_window_is_chosen(staff: Staff):
    workplace, servers = await staff(3)
    narrow(workplace, 2048, 8000, 4096)
    for _ in range(4):
        answer = await workplace.client().ask(asked(PATHS[0], "word " * 4000))
        assert answer.status == 200
    assert {record.backend for record in workplace.records} == {1}
    small = await workplace.client().ask(asked(PATHS[0], "hello"))
    assert small.status == 200
    assert sum(server.facts.requests[COUNT] for server in servers) == 1


async def test_when_nobody_can_count_the_engine_is_the_judge(staff: Staff):
    workplace, (server,) = await staff()
    narrow(workplace, WINDOW)
    missing = [COUNT.removeprefix("POST "), "/apply-template", "/tokenize"]
    server.set_faults([Fault("status", path=path, status=404) for path in missing])
    answer = await workplace.client().ask(asked(PATHS[0], "word " * 4000))
    assert answer.status == 200
    assert server.facts.requests["POST /v1/chat/completions"] == 1


async def test_pictures_are_left_to_the_engine(staff: Staff):
    workplace, (server,) = await staff()
    narrow(workplace, WINDOW)
    picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * 9000}}
    body = {"model": "demo", "messages": [{"role": "user", "content": [picture]}]}
    await workplace.client().ask(body)
    assert server.facts.requests[COUNT] == 0


async def test_unknown_windows_refuse_nothing(staff: Staff):
    workplace, _ = await staff()
    assert workplace.worker.backends.windows(Route("demo", (0,))) == {}
    assert (await workplace.client().ask(asked(PATHS[0], "word " * 4000))).status == 200


Pair = tuple[int, int]


@pytest.fixture
async def small_and_large() -> AsyncIterator[Pair]:
    """The ports of a backend whose window is smaller than anybody knows, and of a large one."""
    speed = {"tokens_per_second": 0, "prompt_tokens_per_second": 0}
    servers = [await start(Settings(context_size=size, **speed)) for size in (WINDOW, 65536)]
    yield servers[0].port, servers[1].port
    for server in servers:
        await server.close()


def workplace_of(ports: Pair, *windows: int, **config: object) -> Workplace:
    """The small one comes first: the large one is busier."""
    workplace = Workplace(*ports, config=config)
    narrow(workplace, *windows)
    workplace.board.load.add(7, 1, +3)
    return workplace


@pytest.mark.parametrize("stream", [True, False])
async def test_a_larger_backend_answers_what_one_refused(small_and_large: Pair, stream: bool):
    workplace = workplace_of(small_and_large, 32768, 65536)
    answer = await workplace.client().ask(asked(PATHS[0], "word " * 4000, stream=stream))
    assert answer.status == 200
    (record,) = workplace.records
    assert [(each.backend, each.error) for each in record.tries] == [(0, "context_length_exceeded")]
    assert (record.backend, record.attempts, record.termination) == (1, 2, "--")
    assert workplace.board.load.failures(0) == (0, 0)  # it is not ill
    workplace.close()


async def test_a_refusal_stands_where_no_window_is_larger(small_and_large: Pair):
    workplace = workplace_of(small_and_large, 32768, 32768)
    answer = await workplace.client().ask(asked(PATHS[0], "word " * 4000))
    assert (answer.status, answer.error) == (400, "context_length_exceeded")
    assert [record.attempts for record in workplace.records] == [1]
    workplace.close()


async def test_a_refusal_stands_where_nothing_may_be_sent_twice(small_and_large: Pair):
    workplace = workplace_of(small_and_large, 32768, 65536, retry=Retry(mode="off"))
    answer = await workplace.client().ask(asked(PATHS[0], "word " * 4000))
    assert (answer.status, answer.error) == (400, "context_length_exceeded")
    workplace.close()


@pytest.mark.parametrize("windows", [(32768, 32768), (16384, 65536)])
@pytest.mark.parametrize("session", ["", "X-Session-Id: agent-{}\r\n"])
async def test_agents_traffic_is_seldom_counted(
    staff: Staff, windows: tuple[int, int], session: str
):
    """Conversations that grow to three quarters of the smaller window, with tools."""
    chance = Random(7)
    workplace, servers = await staff(2, context_size=65536)
    narrow(workplace, *windows)
    tools = [{"type": "function", "function": {"name": f"tool_{n}", "description": "does " * 60,
              "parameters": {"type": "object", "properties": {}}}} for n in range(8)]  # fmt: skip
    asked_for = 0
    for agent in range(8):
        turns = [
            {"role": "system", "content": f"You are agent {agent}. " + "Be careful. " * 400},
            {"role": "user", "content": "Find the bug. " * 20},
        ]
        limit = 0.75 * 4 * min(windows)
        while len(orjson.dumps(turns)) < limit:
            body = {"model": "demo", "messages": turns, "tools": tools, "max_tokens": 16}
            client = workplace.client()
            client.send(body, fields=session.format(agent))
            await workplace.settled()
            asked_for += 1
            result = "line of a file or a log\n" * chance.randint(20, 120)
            turns += [
                {"role": "assistant", "content": "I will look at it. " * chance.randint(1, 8)},
                {"role": "user", "content": result},
            ]
    assert {record.status for record in workplace.records} == {200}
    assert asked_for > 150
    counted = sum(server.facts.requests[COUNT] for server in servers)
    assert counted < 0.1 * asked_for, f"{counted} of {asked_for}"
