"""Which backend connections are used again, against a real server on this machine."""

import asyncio
import contextlib
import socket
import threading
from collections.abc import AsyncIterator, Callable

import pytest
import uvloop
from _http.answering import Kept

from multiproxy._http import pool as pool_module
from multiproxy._http.client import BackendConnection, State
from multiproxy._http.pool import KEEP_ALIVE_MARGIN_S, MAX_USES, USES_MARGIN, Pool
from multiproxy.errors import BackendTimeout, BackendUnreachable

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n%b\r\nok"
REQUEST = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


class Backend:
    """Answers each request with ``reply``; keeps every connection it got."""

    def __init__(self) -> None:
        self.reply = OK % b""
        self.transports: list[asyncio.Transport] = []
        self.port = 0

    def __call__(self) -> asyncio.Protocol:
        backend = self

        class Side(asyncio.Protocol):
            def connection_made(self, transport: asyncio.Transport) -> None:
                self.transport = transport
                backend.transports.append(transport)

            def data_received(self, data: bytes) -> None:
                for _ in range(data.count(REQUEST)):
                    self.transport.write(backend.reply)

        return Side()


@pytest.fixture
async def backend() -> AsyncIterator[Backend]:
    found = Backend()
    server = await asyncio.get_running_loop().create_server(found, "127.0.0.1", 0)
    found.port = server.sockets[0].getsockname()[1]
    yield found
    server.close()
    for transport in found.transports:
        transport.abort()


def pool_of(port: int, pace: Callable[[], float] = lambda: 0.0, connect_s: float = 5.0) -> Pool:
    return Pool("127.0.0.1", port, connect_timeout_s=connect_s, pace=pace)


class Awaited(Kept):
    """A sink that can be waited for."""

    def __init__(self) -> None:
        super().__init__()
        self.over = asyncio.Event()

    def on_end(self) -> None:
        super().on_end()
        self.over.set()

    def on_failed(self, error: Exception) -> None:
        super().on_failed(error)
        self.over.set()


async def ask(connection: BackendConnection) -> None:
    """One whole exchange on a connection."""
    sink = Awaited()
    connection.send(REQUEST, b"", sink)
    async with asyncio.timeout(10):
        await sink.over.wait()
    assert sink.calls == ["head", "end"]


async def used(pool: Pool) -> BackendConnection:
    """A connection that has served one request and was given back."""
    connection = await pool.acquire()
    await ask(connection)
    pool.release(connection)
    return connection


async def test_a_connection_is_used_again_after_a_complete_answer(backend):
    pool = pool_of(backend.port)
    first = await used(pool)
    assert pool.idle_count == 1
    assert await pool.acquire() is first
    assert (first.uses, pool.idle_count, pool.opened) == (1, 0, 1)


async def test_the_youngest_connection_is_used_first(backend):
    pool = pool_of(backend.port)
    both = [await pool.acquire(), await pool.acquire()]
    for connection in both:
        await ask(connection)
        pool.release(connection)
    assert await pool.acquire() is both[1]


async def test_a_fresh_connection_is_a_new_one(backend):
    pool = pool_of(backend.port)
    first = await used(pool)
    fresh = await pool.acquire(fresh=True)
    assert fresh is not first
    assert (fresh.uses, pool.opened) == (0, 2)


async def test_a_fresh_connection_takes_the_place_of_an_idle_one(backend):
    pool = pool_of(backend.port)
    for number in range(1, 4):
        connection = await pool.acquire(fresh=True)
        await ask(connection)
        pool.release(connection)
        assert (pool.opened, pool.idle_count) == (number, 1)


@pytest.mark.parametrize(
    "reply", [OK % b"Connection: close\r\n", OK % b"" + b"x", b"HTTP/1.0 200 OK\r\n\r\n"]
)
async def test_a_connection_whose_answer_ends_it_is_never_used_again(backend, reply):
    backend.reply = reply
    pool = pool_of(backend.port)
    connection = await pool.acquire()
    sink = Awaited()
    connection.send(REQUEST, b"", sink)
    if b"1.0" in reply:
        connection.eof_received()
    await sink.over.wait()
    pool.release(connection)
    assert (pool.idle_count, connection.state) == (0, State.CLOSED)


async def test_a_connection_that_was_given_up_is_never_used_again(backend):
    backend.reply = b""
    pool = pool_of(backend.port)
    connection = await pool.acquire()
    connection.send(REQUEST, b"", Kept())
    pool.release(connection)  # its answer may still come
    assert (pool.idle_count, connection.state) == (0, State.CLOSED)


async def test_a_connection_amid_its_answer_is_never_used_again(backend):
    backend.reply = (OK % b"")[:-1]
    pool = pool_of(backend.port)
    connection = await pool.acquire()
    sink = Kept()
    connection.send(REQUEST, b"", sink)
    while not sink.pieces:
        await asyncio.sleep(0)
    assert connection.is_reusable  # once the answer is complete
    pool.release(connection)
    assert (pool.idle_count, connection.state) == (0, State.CLOSED)


async def test_a_connection_that_was_never_used_is_not_kept(backend):
    pool = pool_of(backend.port)
    pool.release(await pool.acquire())
    assert pool.idle_count == 0


async def test_a_connection_that_the_backend_closed_is_not_handed_out(backend):
    pool = pool_of(backend.port)
    first = await used(pool)
    backend.transports[0].close()
    while first.state is not State.CLOSED:
        await asyncio.sleep(0)
    assert await pool.acquire() is not first


@pytest.mark.parametrize(
    ("announced", "timeout_s"), [(b"Keep-Alive: timeout=20\r\n", 20), (b"", 5)]
)
async def test_the_announced_timeout_is_kept_with_a_margin(backend, announced, timeout_s):
    backend.reply = OK % announced
    pool = pool_of(backend.port)
    loop = asyncio.get_running_loop()
    connection = await used(pool)
    connection.idle_since = loop.time() - timeout_s + KEEP_ALIVE_MARGIN_S + 0.5
    assert await pool.acquire() is connection
    pool.release(connection)
    connection.idle_since = loop.time() - timeout_s + KEEP_ALIVE_MARGIN_S
    assert await pool.acquire() is not connection
    assert connection.state is State.CLOSED


@pytest.mark.parametrize(
    ("announced", "most"), [(b"Keep-Alive: max=10\r\n", 10 - USES_MARGIN), (b"", MAX_USES)]
)
async def test_the_announced_number_of_uses_is_kept_with_a_margin(backend, announced, most):
    backend.reply = OK % announced
    pool = pool_of(backend.port)
    connection = await used(pool)
    connection.uses = most - 1
    assert await pool.acquire() is connection
    await ask(connection)
    pool.release(connection)
    assert await pool.acquire() is not connection


async def test_a_new_connection_is_opened_at_the_moment_reserved_for_it(backend):
    loop = asyncio.get_running_loop()
    began = loop.time()
    pool = pool_of(backend.port, lambda: 0.0301)
    await pool.acquire()
    assert loop.time() - began >= 0.0301  # never before it: that is what the pace is for
    assert pool.opened == 1


async def test_each_opening_reserves_one_moment_and_none_waits_for_another(backend):
    reserved = []

    def pace() -> float:
        reserved.append(len(reserved) * 0.001)
        return reserved[-1]

    pool = pool_of(backend.port, pace)
    await asyncio.gather(*(pool.acquire() for _ in range(5)))
    assert (pool.opened, len(reserved)) == (5, 5)


async def test_a_refused_connection_is_an_unreachable_backend():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(BackendUnreachable):
        await pool_of(port).acquire()


async def test_a_name_that_is_none_is_an_unreachable_backend():
    for name in ("a" * 70 + ".invalid", "a..b"):
        pool = Pool(name, 1, connect_timeout_s=5, pace=lambda: 0.0)
        with pytest.raises(BackendUnreachable):
            await pool.acquire()


async def test_a_backend_that_does_not_accept_times_out():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        address = listener.getsockname()
        fillers = [socket.socket() for _ in range(4)]  # the backlog's room, and more
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(address)
        try:
            with pytest.raises(BackendTimeout):
                await pool_of(address[1], connect_s=0.05).acquire()
        finally:
            for filler in fillers:
                filler.close()


async def test_a_cancelled_opening_leaves_no_connection_and_no_lock(backend):
    pool = pool_of(backend.port, lambda: 60.0)
    waiting = [asyncio.create_task(pool.acquire()) for _ in range(2)]
    await asyncio.sleep(0)
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    pool._pace = lambda: 0.0
    await used(pool)
    assert len(backend.transports) == 1


async def test_sweep_closes_what_idled_too_long_and_keeps_the_rest(backend):
    pool = pool_of(backend.port)
    both = [await pool.acquire(), await pool.acquire()]
    for connection in both:
        await ask(connection)
        pool.release(connection)
    now = asyncio.get_running_loop().time()
    both[0].idle_since = now - pool_module.DEFAULT_KEEP_ALIVE_S
    pool.sweep(now)
    assert [connection.state for connection in both] == [State.CLOSED, State.IDLE]
    assert pool.idle_count == 1


async def test_close_closes_every_idle_connection(backend):
    pool = pool_of(backend.port)
    connection = await used(pool)
    pool.close()
    assert (pool.idle_count, connection.state) == (0, State.CLOSED)


def test_a_backend_that_leaves_or_talks_before_it_is_asked_is_unreachable():
    def serve(listener: socket.socket) -> None:
        while True:
            try:
                talker, _ = listener.accept()
            except OSError:
                return  # the test is over
            with talker, contextlib.suppress(OSError):
                talker.sendall(b"220 mail.example ESMTP\r\n")

    async def acquire(port: int) -> State | None:
        try:
            connection = await pool_of(port).acquire()
        except BackendUnreachable:
            return None
        state = connection.state
        connection.abort()
        return state

    async def all_of(port: int) -> list[State | None]:
        return await asyncio.gather(*(acquire(port) for _ in range(40)))

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, args=(listener,))
        thread.start()
        port = listener.getsockname()[1]
        with asyncio.Runner(
            loop_factory=uvloop.new_event_loop
        ) as runner:  # asyncio's is never so fast
            found = set(runner.run(all_of(port)))
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()
    assert None in found and found <= {None, State.IDLE}


async def test_a_backend_that_is_gone_for_a_moment_is_told_from_one_that_is_not(backend):
    pool = pool_of(backend.port)
    assert not await pool.is_refused()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    assert await pool_of(port).is_refused()
    assert not await Pool("nowhere.invalid", 1, connect_timeout_s=5.0, pace=float).is_refused()
