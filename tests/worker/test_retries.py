"""What may be sent again, and what may not be sent at all."""

import asyncio
import time

import orjson
import pytest
from worker.workplace import chat, row

from multiproxy.config import Retry
from multiproxy.dialects.request import Request, understand
from multiproxy.errors import (
    BackendBusy,
    BackendDied,
    BackendError,
    BackendLoading,
    BackendUnreachable,
    Poisoned,
)
from multiproxy.scoreboard import BackendState, Scoreboard
from multiproxy.worker import retries as retries_module
from multiproxy.worker.retries import Retries

S = 10**9
REQUEST = understand(b'{"model":"demo","n":1}')
DEAD, ERROR = BackendDied(""), BackendError("")


@pytest.fixture
def board():
    board = Scoreboard.create()
    for index in range(3):
        board.backends.write(index, row())
    yield board
    board.close()


@pytest.fixture
def make(board):
    def make(mode="generation", budget=0.2, worker=0):
        async def is_refused(backend):
            return backend in make.gone

        return Retries(Retry(mode=mode, budget=budget), board, worker, is_refused)

    make.gone = set()  # backends that take no connection
    return make


@pytest.mark.parametrize(
    ("mode", "unsent", "broken", "busy"),
    [
        ("generation", True, True, True),
        ("connect-only", True, False, False),
        ("off", False, False, False),
    ],
)
def test_the_mode_says_what_is_sent_again(make, mode, unsent, broken, busy):
    retries = make(mode)
    assert retries.again(BackendUnreachable(""), REQUEST, sent=False, deaths=0) is unsent
    assert retries.again(ERROR, REQUEST, sent=True, deaths=0) is broken
    assert retries.again(BackendBusy(""), REQUEST, sent=True, deaths=0) is busy


def test_a_request_that_two_backends_broke_off_is_not_sent_to_a_third(make):
    retries = make()
    assert retries.again(DEAD, REQUEST, sent=True, deaths=1)
    assert not retries.again(DEAD, REQUEST, sent=True, deaths=2)
    assert not retries.again(BackendUnreachable(""), REQUEST, sent=False, deaths=2)


def test_a_spent_budget_fails_fast_but_only_for_what_was_worked_on(make):
    retries = make(budget=0.0)
    assert not retries.again(ERROR, REQUEST, sent=True, deaths=0)
    assert retries.again(BackendUnreachable(""), REQUEST, sent=False, deaths=0)
    assert retries.again(BackendLoading(""), REQUEST, sent=True, deaths=0)
    three = make()
    answers = [three.again(ERROR, REQUEST, sent=True, deaths=0) for _ in range(4)]
    assert answers == [True, True, True, False]


@pytest.mark.parametrize(
    ("slot", "again"), [(0, False), (3, False), (-1, True), (None, True), ("x", False)]
)
def test_a_request_for_one_slot_of_one_backend_is_not_repeated(make, slot, again):
    request = understand(orjson.dumps({"prompt": "x", "id_slot": slot}))
    assert make().again(DEAD, request, sent=True, deaths=1) is again
    assert make().again(BackendUnreachable(""), request, sent=False, deaths=0)


def test_a_pause_with_jitter_comes_before_what_was_worked_on(make):
    retries = make()
    pauses = {retries.pause_s(DEAD, sent=True) for _ in range(50)}
    assert len(pauses) == 50 and 0.05 <= min(pauses) and max(pauses) <= 0.25
    assert retries.pause_s(BackendUnreachable(""), sent=False) == 0
    assert retries.pause_s(BackendBusy(""), sent=True) == 0


def die(board, backend, at_ns):
    board.backends.write(backend, row(BackendState.DOWN)._replace(since_ns=at_ns))


async def test_a_request_that_killed_two_backends_is_refused_by_every_worker(board, make):
    one, other = make(worker=0), make(worker=1)
    for backend, retries in ((0, one), (1, other)):
        retries.suspect(DEAD, REQUEST, backend)
        now = time.monotonic_ns()
        retries.tick(now)
        one.admit(REQUEST)
        die(board, backend, now + 1)
        retries.tick(now + 2)
    one.tick(now + 3)
    for retries in (one, other):
        with pytest.raises(Poisoned) as refused:
            retries.admit(REQUEST)
        assert (refused.value.status, refused.value.retryable) == (502, False)
        retries.admit(understand(b'{"model":"demo","n":2}'))
    one.tick(now + 601 * S)
    one.admit(REQUEST)


async def test_deaths_that_are_over_before_a_probe_comes_by_are_seen(board, make):
    """Two backends are refused for a moment; the probes never see them down."""
    retries, other = make(), make(worker=1)
    make.gone = {0, 1}
    for backend in (0, 0, 1):
        retries.suspect(DEAD, REQUEST, backend)
    retries.admit(REQUEST)
    for _ in range(3):
        await asyncio.sleep(0)
    assert retries._suspicions == [] and retries._looked_at == set()
    other.tick(time.monotonic_ns())
    for each in (retries, other):
        with pytest.raises(Poisoned):
            each.admit(REQUEST)


async def test_one_backend_is_looked_at_once_however_many_requests_it_took_along(board, make):
    asked = []

    async def is_refused(backend):
        asked.append(backend)
        return True

    retries = Retries(Retry(), board, 0, is_refused)
    for _ in range(50):
        retries.suspect(DEAD, REQUEST, 0)
    for _ in range(3):
        await asyncio.sleep(0)
    retries.tick(time.monotonic_ns())
    retries.admit(REQUEST)  # one death, of a hundred equal requests
    assert asked == [0]


async def test_broken_connections_of_living_backends_quarantine_nothing(board, make):
    retries = make()
    for backend in (0, 1, 2):
        retries.suspect(DEAD, REQUEST, backend)
    retries.tick(time.monotonic_ns() + 4 * S)
    assert retries._suspicions == [] and list(board.deaths.read()) == []
    retries.admit(REQUEST)


async def test_suspicions_are_bounded_and_need_a_death(make, monkeypatch):
    monkeypatch.setattr(retries_module, "MAX_SUSPICIONS", 2)
    retries = make()
    for error in (ERROR, BackendUnreachable("")):
        retries.suspect(error, REQUEST, 0)
    retries.suspect(DEAD, Request(), 0)  # no bytes to know it by
    assert retries._suspicions == []
    for _ in range(5):
        retries.suspect(DEAD, REQUEST, 0)
    assert len(retries._suspicions) == 2


# -- through HTTP -----------------------------------------------------------------------------


async def test_of_four_backends_a_deadly_request_reaches_two(staff):
    workplace, servers = await staff(4)
    for server in servers:
        server.set_faults(["cut:after_events=0"])
    answer = await workplace.client().ask(chat("die"))
    assert (answer.status, answer.error) == (502, "backend_disconnected")
    assert b"x-should-retry: false" in answer.head
    assert sum(server.facts.requests.total() for server in servers) == 2
    for index in range(4):
        die(workplace.board, index, time.monotonic_ns())
    workplace.worker.retries.tick(time.monotonic_ns())
    for index in range(4):
        workplace.board.backends.write(index, row())
        servers[index].set_faults([])
    again = await workplace.client().ask(chat("die"))
    assert (again.status, again.error) == (502, "request_quarantined")
    assert sum(server.facts.requests.total() for server in servers) == 2
    assert (await workplace.client().ask(chat("live"))).status == 200
    assert workplace.is_clean()


async def test_a_backend_that_took_the_request_and_is_gone_counts_as_dead(staff):
    """On a reused connection the first end could be mere age; nobody listening is not."""
    workplace, servers = await staff(1)
    assert (await workplace.client().ask(chat())).status == 200
    backend = workplace.worker.backends.by_index[0]
    assert backend.pool.idle_count == 1
    servers[0].set_faults(["cut:after_bytes=0"])
    client = workplace.client()
    client.send(chat("die"))
    await workplace.until(lambda: servers[0].facts.requests.total() == 2)
    backend.pool._port = 1
    await workplace.settled()
    assert b'"backend_disconnected"' in client.transport.written


@pytest.mark.parametrize("mode", ["connect-only", "off"])
async def test_what_was_sent_is_not_sent_again_if_the_operator_says_so(staff, mode):
    workplace, servers = await staff(2, config={"retry": Retry(mode=mode)})
    for server in servers:
        server.set_faults(["cut:after_events=0"])
    answer = await workplace.client().ask(chat())
    assert answer.status == 502
    assert b"x-should-retry" not in answer.head
    assert sum(server.facts.requests.total() for server in servers) == 1


@pytest.mark.parametrize("mode", ["connect-only", "off"])
async def test_a_request_that_is_sent_once_uses_no_connection_that_may_be_dead(staff, mode):
    workplace, servers = await staff(1, config={"retry": Retry(mode=mode)})
    for expected in (1, 2):
        assert (await workplace.client().ask(chat())).status == 200
        assert workplace.worker.backends.by_index[0].pool.opened == expected


async def test_connect_only_still_goes_to_the_backend_that_listens(staff):
    workplace, servers = await staff(2, config={"retry": Retry(mode="connect-only")})
    await servers[0].close()
    workplace.board.load.add(7, 1, +1)  # so that the dead one is asked first
    assert (await workplace.client().ask(chat())).status == 200
    assert workplace.records[0].attempts == 2
