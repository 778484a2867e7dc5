"""A question of ours to a backend: the whole answer, or an error and a closed connection."""

import orjson
import pytest
from worker.conftest import Staff

from multiproxy._http.client import AnswerSink, BackendConnection
from multiproxy.errors import (
    BackendDied,
    BackendProtocolError,
    BackendTimeout,
    BackendUnreachable,
)
from multiproxy.simulator import Fault, Server
from multiproxy.worker import asking
from multiproxy.worker.asking import ask
from multiproxy.worker.backends import Backend

PATH = b"/tokenize"
BODY = b'{"content":"one two"}'
PATIENT_S = 20.0


async def open_connections(workplace, server: Server, count: int) -> None:
    await workplace.until(lambda: server.facts.open_connections == count)


async def test_the_answer_comes_whole_and_its_connection_may_serve_again(staff: Staff):
    workplace, (server,) = await staff()
    backend = workplace.worker.backends.by_index[0]
    for _ in range(2):
        status, answer = await ask(backend, PATH, BODY, "req_1", PATIENT_S)
        assert status == 200
        assert len(orjson.loads(answer)["tokens"]) > 1
    assert server.facts.requests["POST /tokenize"] == 2
    assert (backend.pool.opened, backend.pool.idle_count) == (1, 1)


async def test_a_refusal_is_an_answer_like_any_other(staff: Staff):
    workplace, _ = await staff()
    backend = workplace.worker.backends.by_index[0]
    status, answer = await ask(backend, b"/nowhere", BODY, "req_1", PATIENT_S)
    assert status == 404 and orjson.loads(answer)["error"]["code"] == 404


async def test_a_question_takes_no_slot(staff: Staff):
    workplace, (server,) = await staff()
    await ask(workplace.worker.backends.by_index[0], PATH, BODY, "req_1", PATIENT_S)
    assert workplace.in_flight == [0] and server.facts.generations == 0


async def test_a_backend_that_says_nothing_is_not_waited_for_and_left(staff: Staff):
    workplace, (server,) = await staff(faults=[Fault("stall", path="/tokenize")])
    backend = workplace.worker.backends.by_index[0]
    with pytest.raises(BackendTimeout, match="did not answer in time"):
        await ask(backend, PATH, BODY, "req_1", 0.2)
    await open_connections(workplace, server, 0)
    assert backend.pool.idle_count == 0


async def test_an_answer_that_is_too_large_is_given_up_at_once(staff: Staff, monkeypatch):
    workplace, (server,) = await staff()
    backend = workplace.worker.backends.by_index[0]
    monkeypatch.setattr(asking, "MAX_ANSWER", 4)
    with pytest.raises(BackendProtocolError, match="too large"):
        await ask(backend, PATH, BODY, "req_1", PATIENT_S)
    await open_connections(workplace, server, 0)
    assert backend.pool.idle_count == 0


@pytest.mark.parametrize("reset", [False, True])
async def test_half_an_answer_is_none(staff: Staff, reset: bool):
    cut = Fault("cut", path="/tokenize", after_bytes=120, reset=reset)
    workplace, _ = await staff(faults=[cut])
    backend = workplace.worker.backends.by_index[0]
    with pytest.raises(BackendDied):
        await ask(backend, PATH, BODY, "req_1", PATIENT_S)
    assert backend.pool.idle_count == 0


def dying(backend: Backend, *said: bytes) -> BackendConnection:
    """The idle connection, which will die with the next request after it ``said`` this."""
    (idle,) = backend.pool._idle
    send = idle.send

    def send_and_die(head: bytes, body: bytes, sink: AnswerSink) -> None:
        send(head, body, sink)
        for piece in said:
            idle.data_received(piece)
        idle.connection_lost(None)

    idle.send = send_and_die  # type: ignore[method-assign]
    return idle


async def test_an_idle_connection_that_was_dead_is_replaced_unseen(staff: Staff):
    workplace, _ = await staff()
    backend = workplace.worker.backends.by_index[0]
    await ask(backend, PATH, BODY, "req_1", PATIENT_S)
    dying(backend)
    status, _ = await ask(backend, PATH, BODY, "req_1", PATIENT_S)
    assert (status, backend.pool.opened, backend.pool.idle_count) == (200, 2, 1)


async def test_one_that_had_begun_to_answer_was_not_dead(staff: Staff):
    workplace, (server,) = await staff()
    backend = workplace.worker.backends.by_index[0]
    await ask(backend, PATH, BODY, "req_1", PATIENT_S)
    dying(backend, b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{")
    with pytest.raises(BackendDied):
        await ask(backend, PATH, BODY, "req_1", PATIENT_S)
    assert (backend.pool.opened, backend.pool.idle_count) == (1, 0)


async def test_a_new_connection_that_dies_is_a_failure(staff: Staff):
    workplace, (server,) = await staff(faults=[Fault("cut", path="/tokenize")])
    with pytest.raises(BackendDied):
        await ask(workplace.worker.backends.by_index[0], PATH, BODY, "req_1", PATIENT_S)
    assert server.facts.requests["POST /tokenize"] == 1


async def test_a_backend_that_is_not_there_is_unreachable(staff: Staff):
    workplace, (server,) = await staff()
    await server.close()
    with pytest.raises(BackendUnreachable):
        await ask(workplace.worker.backends.by_index[0], PATH, BODY, "req_1", PATIENT_S)
