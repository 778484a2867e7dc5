"""One stream over two backends: what the client sees of the first one, in each dialect."""

import re
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from chat_notation import DONE, ERROR, ROLE, finish, progress, text, usage
from dialects.messages_grammar import check as check_messages
from dialects.responses_grammar import check as check_responses
from worker.workplace import Answer, Workplace

from multiproxy.config import Timeouts
from multiproxy.simulator import Server, Settings, start
from multiproxy.simulator.settings import Script

HI = [{"role": "user", "content": "@script s"}]
QUESTIONS = {
    "/v1/chat/completions": {"messages": HI},
    "/v1/messages": {"messages": HI, "max_tokens": 4},
    "/v1/responses": {"input": "@script s"},
}
CHECKS = {"/v1/messages": check_messages, "/v1/responses": check_responses}
GOOD = [ROLE + text("good") + finish() + usage() + DONE]
DIES = {
    "after its progress": [progress(100, 0, 50), 0.01],
    "with its first word": [progress(100, 0, 50), text("wrong") + ERROR, 0.01],
}
PAUSE_S = 0.5  # of a backend, in which the test's clock goes on
Pair = Callable[[Script, Script], Awaitable[Workplace]]


@pytest.fixture
async def pair() -> AsyncIterator[Pair]:
    """A workplace with two backends that say these scripts; the first one is asked first."""
    opened: list[tuple[Workplace, list[Server]]] = []

    async def begin(*scripts: Script) -> Workplace:
        servers = [await start(Settings(scripts={"s": script})) for script in scripts]
        timeouts = Timeouts(comment=10)
        workplace = Workplace(*(server.port for server in servers), config={"timeouts": timeouts})
        workplace.board.load.add(1, 1, 1)  # somebody else's request
        opened.append((workplace, servers))
        return workplace

    yield begin
    for workplace, servers in opened:
        workplace.close()
        for server in servers:
            await server.close()


def question(path: str) -> dict[str, object]:
    return {"model": "demo", "stream": True, **QUESTIONS[path]}


@pytest.mark.parametrize("death", DIES)
@pytest.mark.parametrize("path", CHECKS)
async def test_what_the_first_backend_said_before_its_content_is_never_seen(pair, path, death):
    workplace = await pair(DIES[death], GOOD)
    answer = await workplace.client().ask(question(path), path)
    assert answer.complete and [record.attempts for record in workplace.records] == [2]
    told = CHECKS[path](answer.body)
    assert told.names[0] in ("message_start", "response.created")
    assert b"good" in answer.body and b"wrong" not in answer.body


@pytest.mark.parametrize("death", DIES)
@pytest.mark.parametrize("path", CHECKS)
async def test_what_a_sign_of_life_began_goes_on_at_the_second_backend(pair, path, death):
    first, *rest = DIES[death]
    workplace = await pair([first, PAUSE_S, *rest], GOOD)
    client = workplace.client()
    client.send(question(path), path)
    exchange = await workplace.until_progress()
    workplace.pass_time(exchange, 0, 11, 22)
    begun = Answer(client.transport.written).body
    assert (
        re.findall(rb"^event: (.*)$", begun, re.MULTILINE)
        == {
            "/v1/messages": [b"message_start", b"ping", b"ping"],
            "/v1/responses": [
                b"response.created",
                b"response.in_progress",
                b"response.in_progress",
            ],
        }[path]
    )
    await workplace.settled()
    answer = Answer(client.transport.written)
    assert answer.complete and [record.attempts for record in workplace.records] == [2]
    CHECKS[path](answer.body)
    assert b"good" in answer.body and b"wrong" not in answer.body


async def test_a_client_that_leaves_behind_the_last_event_has_had_its_answer(pair):
    """SDKs close on [DONE]; a busy backend ends its answer a little later."""
    workplace = await pair([*GOOD, PAUSE_S], GOOD)
    client = workplace.client()
    client.send(question("/v1/chat/completions"), "/v1/chat/completions")
    await workplace.until(lambda: DONE in client.transport.written)
    client.leave()
    await workplace.settled()
    assert workplace.endings == [(200, "--")]
    assert workplace.records[0].finish_reason == "stop"
    assert workplace.in_flight == [0, 1]


@pytest.mark.parametrize("path", CHECKS)
async def test_an_error_behind_a_sign_of_life_tells_nothing_of_what_was_never_sent(pair, path):
    overflow = b'data: {"error":{"code":400,"message":"prompt is too long"}}\n\n'
    workplace = await pair([ROLE, PAUSE_S, text("wrong") + overflow], GOOD)
    client = workplace.client()
    client.send(question(path), path)
    (exchange,) = workplace.exchanges
    await workplace.until(
        lambda: (
            exchange._serving
            and exchange._serving._attempt
            and exchange._serving._attempt.is_waiting
        )
    )
    workplace.pass_time(exchange, 0, 11)
    await workplace.settled()
    told = CHECKS[path](Answer(client.transport.written).body)
    if path == "/v1/messages":
        assert told.names == ["error"]
        assert told.error["message"].startswith("prompt is too long")
    else:
        assert (told.end["output"], told.end["error"]["code"]) == ([], "context_length_exceeded")
