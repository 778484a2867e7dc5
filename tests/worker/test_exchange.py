"""Whole exchanges, and what is left of one that fails at any point."""

import asyncio
import inspect
from collections.abc import Callable

import pytest
from _http.wire_server import ListTransport
from worker.workplace import Answer, Client, Workplace, chat, row

from multiproxy._http.client import BackendConnection
from multiproxy._http.pool import Pool
from multiproxy.config import Limits, Model, Retry, Timeouts
from multiproxy.dialects.passthrough import Passthrough
from multiproxy.errors import BackendUnreachable
from multiproxy.scoreboard import BackendState
from multiproxy.worker import tasks
from multiproxy.worker.relay import Relay

DONE = b"data: [DONE]\n\n"


async def test_a_stream_is_relayed_and_told_of_once(staff):
    workplace, _ = await staff()
    answer = await workplace.client().ask(chat())
    assert (answer.status, answer.complete) == (200, True)
    assert answer.body.endswith(DONE) and answer.text
    assert workplace.endings == [(200, "--")]
    (record,) = workplace.records
    assert (record.endpoint, record.model_served, record.attempts) == ("chat", "demo", 1)
    assert record.output_tokens == 8 and record.prompt_tokens > 0
    assert 0 < record.connect_ns <= record.first_event_ns <= record.last_event_ns
    assert record.last_event_ns <= record.total_ns
    assert workplace.is_clean()


async def test_an_answer_that_is_not_streamed_is_relayed_whole(staff):
    workplace, servers = await staff()
    answer = await workplace.client().ask(chat(stream=False))
    assert answer.complete and answer.json["choices"][0]["message"]["content"]
    assert answer.json["usage"]["completion_tokens"] == workplace.records[0].output_tokens == 8
    assert workplace.endings == [(200, "--")]


async def test_connections_are_used_again_on_both_sides(staff):
    workplace, servers = await staff()
    client = workplace.client()
    for _ in range(3):
        assert (await client.ask(chat())).complete
    assert len(servers[0].facts.connections) == 1
    assert not client.transport.closed


async def test_a_dead_idle_connection_is_replaced_unseen(staff):
    workplace, servers = await staff()
    client = workplace.client()
    await client.ask(chat())
    pool = workplace.worker.backends.by_index[0].pool
    (idle,) = pool._idle
    send = idle.send
    idle.send = lambda head, body, sink: (  # it dies while the request is on its way
        send(head, body, sink), idle.connection_lost(None)
    )  # fmt: skip
    assert (await client.ask(chat())).complete
    assert pool.opened == 2
    assert [record.attempts for record in workplace.records] == [1, 1]


async def test_a_new_connection_that_dies_is_a_failed_attempt(staff):
    workplace, servers = await staff(2)
    servers[0].set_faults(["cut"])
    servers[1].set_faults(["cut:reset=1"])
    answer = await workplace.client().ask(chat())
    assert (answer.status, answer.error) == (502, "backend_disconnected")
    (record,) = workplace.records
    assert (record.attempts, record.termination) == (2, "BW")


@pytest.mark.parametrize(
    "fault", ["refuse", "cut", "cut:reset=1", "status:status=500", "status:status=503",
              "status:status=429", "early-end:after_events=0",
              "length-and-chunked", "switching-protocols", "bad-chunk-size:after_events=0"]
)  # fmt: skip
@pytest.mark.parametrize("stream", [True, False])
async def test_a_backend_that_fails_before_its_first_content_is_hidden(staff, fault, stream):
    if not stream and fault.endswith("after_events=0"):
        pytest.skip("an answer that is not streamed has no events")
    workplace, servers = await staff(2)
    servers[0].set_faults([fault])
    for _ in range(4):
        workplace.worker.placer.trusted._suspects.clear()
        answer = await workplace.client().ask(chat(stream=stream))
        assert (answer.status, answer.complete) == (200, True)
    assert workplace.endings == [(200, "--")] * 4
    assert workplace.is_clean()


async def test_what_is_the_requests_own_fault_is_not_tried_elsewhere(staff):
    workplace, servers = await staff(2)
    for server in servers:
        server.set_faults(["error-event:after_events=0"])  # its prompt does not fit
    answer = await workplace.client().ask(chat())
    assert (answer.status, answer.error) == (400, "context_length_exceeded")
    assert sum(server.facts.requests.total() for server in servers) == 1


async def test_each_backend_is_tried_once_and_no_more_than_attempts(staff):
    workplace, servers = await staff(4, config={"retry": Retry(attempts=3)})
    for server in servers:
        server.set_faults(["status:status=500"])
    answer = await workplace.client().ask(chat())
    assert answer.status == 502
    assert sorted(server.facts.requests.total() for server in servers) == [0, 1, 1, 1]
    assert workplace.in_flight == [0, 0, 0, 0]


@pytest.mark.parametrize(
    "fault",
    ["cut:after_events=3", "error-event:after_events=3", "early-end:after_events=3",
     "cut:after_events=3,reset=1"],
)  # fmt: skip
async def test_a_stream_that_fails_later_ends_with_one_error_and_no_last_chunk(staff, fault):
    workplace, servers = await staff(tokens_per_second=500)
    servers[0].set_faults([fault])
    client = workplace.client()
    answer = await client.ask(chat())
    assert (answer.status, answer.complete) == (200, False)
    assert answer.body.count(b'data: {"error"') == 1
    assert DONE not in answer.body
    ((_, termination),) = workplace.endings
    assert termination[1] == "D"
    assert workplace.is_clean()


async def test_a_client_that_leaves_closes_the_backends_connection_at_once(staff):
    workplace, servers = await staff(tokens_per_second=50)
    client = workplace.client()
    client.send(chat(max_tokens=1000))
    await workplace.until(lambda: b"data:" in client.transport.written)
    (exchange,) = workplace.exchanges
    connection = exchange._serving._attempt._connection
    client.leave()
    assert connection.transport.is_closing()
    await workplace.settled()
    await workplace.until(lambda: servers[0].facts.aborted == 1)
    assert workplace.endings == [(499, "CD")]
    assert workplace.is_clean()


async def test_a_client_that_leaves_with_its_request_is_accounted_for(staff):
    workplace, servers = await staff()
    client = workplace.client()
    client.send(chat())
    client.leave()  # before its exchange took a single step
    await workplace.settled()
    assert workplace.endings == [(499, "CR")]
    assert servers[0].facts.requests.total() == 0
    assert workplace.is_clean()


async def test_a_client_that_leaves_the_queue_takes_no_slot(staff):
    workplace, _ = await staff()
    workplace.board.load.add(1, 0, 4)  # another worker has every slot
    client = workplace.client()
    client.send(chat())
    await workplace.until(lambda: workplace.worker.placer.waiting)
    client.leave()
    await workplace.settled()
    assert workplace.endings == [(499, "CQ")]
    assert (workplace.in_flight, workplace.worker.placer.waiting) == ([4], 0)


async def test_the_end_of_the_process_is_told(staff):
    workplace, _ = await staff(tokens_per_second=50)
    client = workplace.client()
    client.send(chat(max_tokens=1000))
    await workplace.until(lambda: b"data:" in client.transport.written)
    workplace.exchanges[0].stop()
    await workplace.settled()
    answer = Answer(client.transport.written)
    assert (answer.complete, b'"code":"shutting_down"' in answer.body) == (False, True)
    assert workplace.endings == [(200, "PD")]


# -- what a request may be ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("request_", "status", "code"),
    [
        ((b"{", "/v1/chat/completions"), 400, "invalid_json"),
        (({"model": "other"}, "/v1/chat/completions"), 404, "model_not_found"),
        (({}, "/v1/nothing"), 404, "unknown_url"),
        ((None, "/v1/chat/completions", "GET"), 405, "method_not_allowed"),
        (({"model": "demo", "api_base": "x"}, "/v1/completions"), 400, "unsupported_parameter"),
        ((None, "/props?" + "a&" * 200, "GET"), 400, "invalid_value"),
        ((None, "/v1/models?" + "a=1&" * 200, "GET"), 400, "invalid_value"),
        ((None, "/v1/models/nothing", "GET"), 404, "model_not_found"),
    ],
)
async def test_a_request_that_cannot_be_served_is_told_why(staff, request_, status, code):
    workplace, servers = await staff()
    answer = await workplace.client().ask(*request_)
    assert (answer.status, answer.error) == (status, code)
    assert answer.json["error"]["request_id"].encode() in answer.head
    assert [ending for _, ending in workplace.endings] == ["CR"]
    assert servers[0].facts.requests.total() == 0
    assert workplace.is_clean()


async def test_a_model_is_sent_under_its_own_name(staff):
    model = Model("big", ("b0",), ("gpt-*",), "demo")
    workplace, servers = await staff(config={"models": (model,)}, keep_bodies=True)
    assert (await workplace.client().ask(chat(model="gpt-9"))).complete
    (record,) = workplace.records
    assert (record.model_asked, record.model_served) == ("gpt-9", "big")
    assert b'"model":"demo"' in servers[0].facts.bodies[0]


async def test_a_query_asks_the_backend_without_loading_anything(staff):
    workplace, servers = await staff()
    answer = await workplace.client().ask(None, "/props?model=demo", "GET")
    assert answer.status == 200 and answer.json["total_slots"] == 4
    assert (await workplace.client().ask(None, "/props?model=x", "GET")).status == 404


async def test_an_answer_of_the_limit_passes_and_a_larger_one_does_not(staff):
    workplace, _ = await staff()
    question = {"model": "demo", "prompt": "hi", "max_tokens": 8}
    size = len((await workplace.client().ask(question, "/v1/completions")).body)
    for limit, status in ((size + 100, 200), (size // 2, 502)):
        other, _ = await staff(config={"limits": Limits(answer=limit)})
        assert (await other.client().ask(question, "/v1/completions")).status == status


async def test_a_loading_backend_is_waited_for(staff):
    workplace, _ = await staff()
    workplace.board.backends.write(0, row(BackendState.LOADING))
    client = workplace.client()
    client.send(chat())
    await workplace.until(lambda: workplace.worker.placer.waiting)
    workplace.board.backends.write(0, row())
    workplace.worker.refresh()
    await workplace.settled()
    assert Answer(client.transport.written).complete


async def test_a_queued_stream_gets_signs_of_life(staff):
    workplace, _ = await staff(config={"timeouts": Timeouts(comment=10)})
    workplace.board.load.add(1, 0, 4)
    client = workplace.client()
    client.send(chat())
    await workplace.until(lambda: workplace.worker.placer.waiting)
    (exchange,) = workplace.exchanges
    now = workplace.worker.now()
    exchange.tick(now, 0)
    exchange.tick(now + 9, 0)
    assert client.transport.written == b""
    exchange.tick(now + 11, 0)
    assert Answer(client.transport.written).body == b": keep-alive\n\n"
    workplace.board.load.add(1, 0, -4)
    workplace.worker.placer.wake()
    await workplace.settled()
    answer = Answer(client.transport.written)
    assert answer.complete and answer.body.endswith(DONE) and answer.text


async def test_no_sign_of_life_follows_the_last_chunk(staff):
    workplace, _ = await staff(config={"timeouts": Timeouts(comment=1)})
    client = workplace.client()
    client.send(chat())
    (exchange,) = workplace.exchanges
    await workplace.until(lambda: client.transport.written.endswith(b"0\r\n\r\n"))
    exchange.tick(workplace.worker.now(), 0)
    exchange.tick(workplace.worker.now() + 100, 0)  # before the exchange wakes up
    exchange.tick(workplace.worker.now() + 200, 0)
    await workplace.settled()
    assert client.transport.written.endswith(b"\r\n0\r\n\r\n")


async def test_a_client_that_does_not_read_is_not_a_silent_backend(staff):
    workplace, _ = await staff(tokens_per_second=100, config={"timeouts": Timeouts(idle=5)})
    client = workplace.client()
    client.send(chat(max_tokens=20))
    await workplace.until(lambda: b"data:" in client.transport.written)
    (exchange,) = workplace.exchanges
    exchange.tick(workplace.worker.now(), 0)
    client.connection.pause_writing()
    later = workplace.worker.now() + 100
    exchange.tick(later, 0)
    exchange.tick(later + 100, 0)
    client.connection.resume_writing()
    exchange.tick(later + 104, 0)
    await workplace.settled()
    assert Answer(client.transport.written).body.endswith(DONE)


# -- failing at the n-th call, for every n -------------------------------------------------------


class Fuse:
    """Counts the calls of everything it is built into, and blows at the ``n``-th."""

    def __init__(self, n: int) -> None:
        self.left = n
        self.blown = False
        self.blow: Callable[[], None] = lambda: None

    def burn(self) -> None:
        self.left -= 1
        if self.left == 0:
            self.blown = True
            self.blow()

    def build_into(self, monkeypatch: pytest.MonkeyPatch, owner: type, name: str) -> None:
        plain = getattr(owner, name)
        if inspect.iscoroutinefunction(plain):

            async def burning(*args, **kwargs):
                self.burn()
                return await plain(*args, **kwargs)
        else:

            def burning(*args, **kwargs):
                self.burn()
                return plain(*args, **kwargs)

        monkeypatch.setattr(owner, name, burning)


def blow_by(how: str, workplace: Workplace, client: Client) -> Callable[[], None]:
    """What happens at the n-th call."""

    def running_connection() -> BackendConnection | None:
        return next((each._connection for each in workplace.exchanges), None)

    def blow() -> None:
        connection = running_connection()
        match how:
            case "the client leaves":
                client.leave()
            case "the client closes":
                client.connection.eof_received()
            case "the process ends":
                for exchange in workplace.exchanges:
                    exchange.stop()
            case "the backend resets":
                if connection is not None:
                    connection.connection_lost(ConnectionResetError())
            case "the backend closes":
                if connection is not None:
                    connection.eof_received()
            case "a call raises":
                raise RuntimeError("blown")
            case "a call fails":
                raise BackendUnreachable("blown")

    return blow


@pytest.mark.parametrize(
    "how",
    ["the client leaves", "the client closes", "the process ends", "the backend resets",
     "the backend closes", "a call raises", "a call fails"],
)  # fmt: skip
@pytest.mark.parametrize("stream", [True, False])
async def test_a_failure_at_any_call_leaves_one_record_and_nothing_else(
    staff, monkeypatch, capfd, how, stream
):
    workplace, _ = await staff(2)
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: None)
    expected = await workplace.client().ask(chat(stream=stream))
    n, blown = 0, True
    while blown:
        n += 1
        workplace.worker.placer.trusted._suspects.clear()
        before = len(workplace.log.records)
        fuse = Fuse(n)
        with monkeypatch.context() as patched:
            for owner, name in (
                (Pool, "acquire"), (BackendConnection, "send"), (ListTransport, "write"),
                (Passthrough, "feed"), (Passthrough, "eof"), (Relay, "_collect"),
                (Relay, "_end_collected"), (Relay, "_end_stream"),
            ):  # fmt: skip
                fuse.build_into(patched, owner, name)
            client = workplace.client()
            fuse.blow = blow_by(how, workplace, client)
            client.send(chat(stream=stream))
            await workplace.settled()
            blown = fuse.blown
        assert len(workplace.log.records) == before + 1, n
        assert workplace.is_clean(), n
        await workplace.until(lambda: not tasks._running)
        # Whatever was given back to a pool serves the next client as if nothing had happened.
        answer = await workplace.client().ask(chat(stream=stream))
        assert answer.complete and answer.body[-20:] == expected.body[-20:], n
    assert n > (6 if stream else 3)


class Watched(ListTransport):
    """Says when a word was written."""

    def __init__(self, word: bytes, told: Callable[[], None]) -> None:
        super().__init__()
        self._word = word
        self._told: Callable[[], None] | None = told

    def write(self, data: bytes) -> None:
        super().write(data)
        if self._told is not None and self._word in data:
            told, self._told = self._told, None
            told()


@pytest.mark.parametrize("stop", ["stop", "cancel"])
@pytest.mark.parametrize(
    ("path", "word"),
    [
        ("/v1/chat/completions", b"0\r\n\r\n"),  # its last byte, its task not yet awake
        ("/v1/chat/completions", b"[DONE]"),  # its last event, its backend not yet at its end
        ("/v1/responses", b"response.completed"),
    ],
)
async def test_nothing_follows_a_streams_end_when_the_process_ends_just_then(
    staff, path, word, stop
):
    workplace, _ = await staff()

    def end() -> None:
        for exchange in workplace.exchanges:
            asyncio.get_running_loop().call_soon(getattr(exchange, stop))

    client = workplace.client(Watched(word, end))
    body = chat() if "chat" in path else {"model": "demo", "input": "hi", "stream": True}
    answer = await client.ask(body, path)
    assert answer.complete and b"shutting_down" not in answer.body
    assert b"cancelled" not in answer.body and answer.body.endswith(DONE)
    assert workplace.endings == [(200, "--")]
    assert workplace.is_clean()


async def test_a_whole_answer_is_not_answered_twice_when_the_process_ends_behind_it(staff):
    """Storing a response is waited for behind its answer."""
    workplace, _ = await staff()
    waits, goes_on = asyncio.Event(), asyncio.Event()

    async def keep(*_: object) -> None:
        waits.set()
        await goes_on.wait()

    workplace.worker.keep_response = keep  # type: ignore[method-assign]
    client = workplace.client()
    client.send({"model": "demo", "input": "hi"}, "/v1/responses")
    await waits.wait()
    written = client.transport.written
    for exchange in workplace.exchanges:
        exchange.stop()
    goes_on.set()
    await workplace.settled()
    assert client.transport.written == written and Answer(written).json["status"] == "completed"
    assert workplace.endings == [(200, "--")]


class Torn(ListTransport):
    """One that was reset behind a word, which its protocol is about to hear of; as uvloop's."""

    def __init__(self, word: bytes) -> None:
        super().__init__()
        self._word = word

    def write(self, data: bytes) -> None:
        if self.closed:
            raise RuntimeError("unable to perform operation; the handler is closed")
        super().write(data)
        self.closed = self._word in data


@pytest.mark.parametrize(
    ("body", "word"),
    [
        (chat(max_tokens=1000), b'"content":'),
        (chat(max_tokens=1000), b"text/event-stream"),
        (chat(stream=False), b"nothing"),
    ],
)
async def test_a_client_that_was_reset_a_moment_ago_is_no_failure_of_ours(
    staff, capsys, body, word
):
    workplace, _ = await staff(tokens_per_second=500)
    client = workplace.client(Torn(word))
    client.send(body)
    client.transport.closed = word == b"nothing"
    await workplace.settled()
    client.leave()
    assert capsys.readouterr().err == ""
    assert [status for status, _ in workplace.endings] == [499]
    assert workplace.is_clean()
