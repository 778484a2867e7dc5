"""Backends that are asked for Messages and Responses themselves, alone and beside others."""

import re

import orjson
import pytest
from chat_notation import DONE, ROLE, finish, progress, text, usage
from dialects.messages_grammar import check as check_messages
from worker.conftest import Staff
from worker.workplace import Answer, Workplace

from multiproxy.config import Model, Timeouts
from multiproxy.dialects.policy import Policy
from multiproxy.scoreboard import Scoreboard
from multiproxy.simulator import Server, Settings, start
from multiproxy.simulator.settings import Script
from multiproxy.worker.backends import Backends

HI = [{"role": "user", "content": "hi"}]
MESSAGES = {"model": "demo", "max_tokens": 6, "messages": HI}
RESPONSES = {"model": "demo", "max_output_tokens": 6, "input": "hi"}
ASKED = {"/v1/messages": MESSAGES, "/v1/responses": RESPONSES}


def prefer_first(workplace: Workplace) -> None:
    workplace.board.load.add(1, 1, 1)


def requests(server: Server) -> dict[str, int]:
    return {name.removeprefix("POST "): number for name, number in server.facts.requests.items()}


@pytest.mark.parametrize("path", ASKED)
@pytest.mark.parametrize("stream", [True, False])
async def test_the_clients_bytes_go_out_and_the_backends_come_back(staff: Staff, path, stream):
    workplace, (server,) = await staff(native=[0], keep_bodies=True)
    body = orjson.dumps(ASKED[path] | {"stream": stream, "own": 1.50}) + b"\n"
    answer = await workplace.client().ask(body, path)
    assert (answer.status, answer.complete) == (200, True)
    assert list(server.facts.bodies) == [body] and requests(server) == {path: 1}
    if stream:
        # llama-server's own events lack what ours have.
        own = b"sequence_number" if path == "/v1/responses" else b'"cache_creation_input_tokens"'
        assert answer.body.startswith(b"event: ") and own not in answer.body
    else:
        assert answer.json["usage"]["output_tokens"] == 6
    (record,) = workplace.records
    assert record.output_tokens == 6 and record.prompt_tokens > 0
    assert record.finish_reason in ("max_tokens", "completed")
    assert workplace.endings == [(200, "--")] and workplace.is_clean()


@pytest.mark.parametrize("path", ASKED)
async def test_a_backend_that_is_not_native_is_asked_for_chat(staff: Staff, path):
    workplace, (server,) = await staff()
    assert (await workplace.client().ask(ASKED[path], path)).status == 200
    assert requests(server) == {"/v1/chat/completions": 1}


async def test_chat_and_all_else_are_asked_as_ever(staff: Staff):
    workplace, (server,) = await staff(native=[0])
    body = {"model": "demo", "max_tokens": 2, "messages": HI}
    for path in ("/v1/chat/completions", "/v1/chat/completions/input_tokens"):
        assert (await workplace.client().ask(body, path)).status == 200
        assert requests(server)[path] == 1


async def test_a_native_backend_gets_the_name_that_it_knows(staff: Staff):
    workplace, (server,) = await staff(
        native=[0], keep_bodies=True, config={"models": (Model("big", ("b0",), send_as="demo"),)}
    )
    answer = await workplace.client().ask(MESSAGES | {"model": "big"}, "/v1/messages")
    assert answer.status == 200
    assert orjson.loads(server.facts.bodies[0]) == MESSAGES


@pytest.mark.parametrize("stream", [True, False])
async def test_errors_are_told_in_the_dialect_and_its_words(staff: Staff, stream):
    workplace, _ = await staff(native=[0], context_size=64)
    long = [{"role": "user", "content": "word " * 400}]
    answer = await workplace.client().ask(
        MESSAGES | {"messages": long, "stream": stream}, "/v1/messages"
    )
    error = answer.json
    assert (answer.status, error["type"], error["error"]["type"]) == (
        400, "error", "invalid_request_error",
    )  # fmt: skip
    assert re.fullmatch(r"prompt is too long: \d+ tokens > 64 maximum", error["error"]["message"])
    answer = await workplace.client().ask(
        RESPONSES | {"input": "word " * 400, "stream": stream}, "/v1/responses"
    )
    assert (answer.status, answer.error) == (400, "context_length_exceeded")


@pytest.mark.parametrize("path", ASKED)
async def test_a_backend_that_dies_amid_its_answer_ends_it_with_the_dialects_error(
    staff: Staff, path
):
    workplace, (server,) = await staff(native=[0], tokens_per_second=500)
    server.set_faults(["cut:after_events=3"])
    answer = await workplace.client().ask(ASKED[path] | {"stream": True}, path)
    assert (answer.status, answer.complete) == (200, False)
    names = re.findall(rb"^event: (.*)$", answer.body, re.MULTILINE)
    assert names[-1] == b"error" and b"message_stop" not in names
    if path == "/v1/responses":
        assert names.count(b"response.created") == 1 and names[-2] == b"response.failed"
    ((_, termination),) = workplace.endings
    assert termination == "BD" and workplace.is_clean()


# -- beside backends that are not native --------------------------------------------------------


@pytest.mark.parametrize("native", [0, 1])
@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("path", ASKED)
async def test_what_fails_on_one_kind_is_answered_by_the_other(staff: Staff, path, stream, native):
    workplace, servers = await staff(2, native=[native])
    prefer_first(workplace)
    servers[0].set_faults(["cut"])
    answer = await workplace.client().ask(ASKED[path] | {"stream": stream}, path)
    assert (answer.status, answer.complete) == (200, True)
    ways = ["/v1/chat/completions", "/v1/chat/completions"]
    ways[native] = path
    assert [list(requests(server)) for server in servers] == [[way] for way in ways]
    assert [record.attempts for record in workplace.records] == [2]
    assert workplace.in_flight == [0, 1]


async def test_a_request_that_only_one_kind_can_be_told_is_refused_only_there(staff: Staff):
    workplace, _ = await staff(2, native=[0])
    prefer_first(workplace)
    pdf = {"type": "base64", "media_type": "application/pdf", "data": "JVBERi0x"}
    said = [{"type": "text", "text": "hi"}, {"type": "document", "source": pdf}]
    body = MESSAGES | {"messages": [{"role": "user", "content": said}]}
    assert (await workplace.client().ask(body, "/v1/messages")).status == 200
    workplace.board.load.add(1, 0, 2)  # now the other one is asked first
    answer = await workplace.client().ask(body, "/v1/messages")
    assert (answer.status, answer.json["error"]["type"]) == (400, "invalid_request_error")
    assert workplace.in_flight == [2, 1]


async def test_what_is_left_out_is_told_of_the_attempt_that_answered(staff: Staff):
    workplace, servers = await staff(2, native=[0])
    prefer_first(workplace)
    body = MESSAGES | {"fallbacks": [{"model": "x"}]}
    answer = await workplace.client().ask(body, "/v1/messages")
    assert b"x-multiproxy-dropped" not in answer.head
    servers[0].set_faults(["cut"])
    answer = await workplace.client().ask(body, "/v1/messages")
    assert b"\r\nx-multiproxy-dropped: fallbacks\r\n" in answer.head + b"\r\n"


async def pair(*scripts: Script, native: int) -> tuple[Workplace, list[Server]]:
    servers = [await start(Settings(scripts={"s": script})) for script in scripts]
    timeouts = Timeouts(comment=10)
    workplace = Workplace(
        *(server.port for server in servers), config={"timeouts": timeouts}, native=[native]
    )
    prefer_first(workplace)
    return workplace, servers


async def test_a_stream_that_we_began_ourselves_is_not_handed_to_a_native_backend():
    asked = MESSAGES | {"stream": True, "messages": [{"role": "user", "content": "@script s"}]}
    good = [ROLE + text("good") + finish() + usage() + DONE]
    workplace, servers = await pair([progress(9, 0, 5), 0.5], good, native=1)
    client = workplace.client()
    client.send(asked, "/v1/messages")
    exchange = await workplace.until_progress()
    workplace.pass_time(exchange, 0, 11)
    await workplace.settled()
    answer = Answer(client.transport.written)
    assert answer.complete and check_messages(answer.body).blocks[0]["text"] == "good"
    assert requests(servers[1]) == {"/v1/chat/completions": 1}
    workplace.close()
    for server in servers:
        await server.close()


async def test_a_stored_response_is_continued_in_our_words(staff: Staff):
    workplace, _ = await staff(2, native=[0, 1])
    body = RESPONSES | {"previous_response_id": "resp_" + "0" * 32}
    answer = await workplace.client().ask(body, "/v1/responses")
    assert (answer.status, answer.error) == (400, "previous_response_not_found")
    assert all(not server.facts.requests for server in _)


# -- counting ---------------------------------------------------------------------------------

COUNTED = {"/v1/messages/count_tokens": MESSAGES, "/v1/responses/input_tokens": RESPONSES}


@pytest.mark.parametrize("path", COUNTED)
async def test_the_backend_counts_its_own_translation(staff: Staff, path):
    workplace, (server,) = await staff(native=[0])
    answer = await workplace.client().ask(COUNTED[path], path)
    assert requests(server) == {path: 1} and answer.json["input_tokens"] > 0
    assert b"x-multiproxy-count" not in answer.head


@pytest.mark.parametrize("path", COUNTED)
async def test_where_it_cannot_it_is_asked_about_ours(staff: Staff, path):
    workplace, (server,) = await staff(native=[0])
    counted = (await workplace.client().ask(COUNTED[path], path)).json
    server.set_faults([f"status:status=404,path={path}"])
    answer = await workplace.client().ask(COUNTED[path], path)
    assert requests(server)["/v1/chat/completions/input_tokens"] == 1
    assert answer.json == counted and b"x-multiproxy-count" not in answer.head


async def test_no_backend_that_counts_is_an_estimate(staff: Staff):
    workplace, (server,) = await staff(native=[0])
    server.set_faults(["status:status=500"])
    answer = await workplace.client().ask(MESSAGES, "/v1/messages/count_tokens")
    assert answer.json["input_tokens"] > 0 and b"x-multiproxy-count: estimate" in answer.head


async def test_before_it_has_reported_a_native_backend_is_one_already(staff: Staff):
    workplace, _ = await staff(2, native=[1])
    board, indices = Scoreboard.create(), {"b0": 0, "b1": 1}
    backends = Backends(workplace.config, board, 0, indices, {})
    assert (backends.policy(0), backends.policy(1)) == (Policy(), Policy(native=True))
    assert backends.native == {1}
    backends.close()
    board.close()
