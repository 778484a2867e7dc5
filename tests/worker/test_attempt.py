"""One request at one backend: which connection, what goes out, and how it is stopped."""

import asyncio

import pytest
from _http.answering import connected
from _http.malformed import HOST
from _http.wire_server import Wire
from chat_notation import DONE, ROLE, finish, text

from multiproxy._http.client import BackendConnection, State
from multiproxy._http.pool import Pool
from multiproxy.dialects.passthrough import Passthrough
from multiproxy.errors import BackendBusy, BackendDied, BackendProtocolError
from multiproxy.scoreboard import Phase, Scoreboard
from multiproxy.worker.account import Account
from multiproxy.worker.attempt import Attempt
from multiproxy.worker.relay import Downstream, Relay

HEAD, BODY = b"POST /v1/chat/completions HTTP/1.1\r\n\r\n", b"{}"
SSE = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
ANSWER = ROLE + text("a") + finish() + DONE
WHOLE = SSE + b"%x\r\n%b\r\n0\r\n\r\n" % (len(ANSWER), ANSWER)
BUSY = b"HTTP/1.1 429 Too Many Requests\r\nContent-Length: 2\r\n\r\n{}"


class Connections(Pool):
    """A pool of these connections and no others; ``asked`` tells which had to be fresh."""

    def __init__(self, *connections: BackendConnection) -> None:
        super().__init__("127.0.0.1", 1, connect_timeout_s=1, pace=lambda: 0.0)
        self._connections = list(connections)
        self.asked: list[bool] = []

    async def acquire(self, *, fresh: bool = False) -> BackendConnection:
        self.asked.append(fresh)
        return self._connections.pop(0)


def reused() -> BackendConnection:
    """A connection that has served before and idled since."""
    connection = connected()
    connection.uses = 1
    return connection


class Try:
    """An attempt of a client that waits, as its exchange would run it."""

    def __init__(self, board: Scoreboard, *connections: BackendConnection) -> None:
        self.wire = Wire(answers=False)
        self.pool = Connections(*connections)
        self.account = Account(board.live[0], "1" * 12, "")

    async def begin(self, *, slow: bool = False) -> "Try":
        request = b"POST /x HTTP/1.1\r\n%bContent-Length: 2\r\n\r\n{}" % HOST
        await self.wire.feed(request)
        if slow:
            self.wire.connection.pause_writing()
        self.attempt = Attempt(
            self.wire.connection,
            Downstream(self.wire.connection),
            Passthrough("req_1", needs_role=True),
            self.account,
            max_answer=1000,
            reads_all=False,
            folds=False,
        )
        self.task = asyncio.create_task(self.attempt.run(self.pool, HEAD, BODY))
        await self.wire.settle()
        return self

    async def end(self) -> Relay:
        async with asyncio.timeout(20):
            return await self.task


async def test_the_request_goes_out_and_the_answer_to_the_client(board: Scoreboard):
    connection = connected()
    run = await Try(board, connection).begin()
    assert connection.transport.written == HEAD + BODY
    assert run.attempt.is_waiting and not run.attempt.committed
    assert run.account.live.phase is Phase.PREFILL
    connection.data_received(WHOLE)
    relay = await run.end()
    assert relay.committed and run.attempt.committed and not run.attempt.is_waiting
    assert run.account.live.phase is Phase.DECODING
    assert ANSWER in run.wire.transport.written
    assert run.pool.idle_count == 1 and connection.state is State.IDLE


async def test_an_idle_connection_that_was_dead_is_replaced_by_a_fresh_one(board: Scoreboard):
    dead, fresh = reused(), connected()
    run = await Try(board, dead, fresh).begin()
    dead.connection_lost(ConnectionResetError())
    await run.wire.settle()
    assert run.pool.asked == [False, True]
    assert fresh.transport.written == HEAD + BODY
    fresh.data_received(WHOLE)
    assert (await run.end()).committed
    assert run.pool.idle_count == 1


async def test_that_happens_once(board: Scoreboard):
    dead, fresh = reused(), connected()
    run = await Try(board, dead, fresh, connected()).begin()
    dead.connection_lost(ConnectionResetError())
    await run.wire.settle()
    fresh.connection_lost(ConnectionResetError())
    with pytest.raises(BackendDied):
        await run.end()
    assert run.pool.asked == [False, True]


async def test_a_new_connection_that_breaks_is_the_backends_failure(board: Scoreboard):
    connection = connected()
    run = await Try(board, connection, connected()).begin()
    connection.connection_lost(ConnectionResetError())
    with pytest.raises(BackendDied):
        await run.end()
    assert run.pool.asked == [False]


async def test_a_reused_connection_that_had_begun_to_answer_was_not_dead(board: Scoreboard):
    connection = reused()
    run = await Try(board, connection, connected()).begin()
    connection.data_received(b"HTTP/1.1 200 OK\r\n")
    connection.connection_lost(ConnectionResetError())
    with pytest.raises(BackendDied):
        await run.end()
    assert run.pool.asked == [False]


async def test_a_reused_connection_that_says_nonsense_is_not_asked_again(board: Scoreboard):
    connection = reused()
    run = await Try(board, connection, connected()).begin()
    connection.data_received(b"nonsense\r\n\r\n")
    with pytest.raises(BackendProtocolError):
        await run.end()
    assert run.pool.asked == [False] and connection.transport.aborted


async def test_a_refusal_that_came_whole_leaves_the_connection_to_others(board: Scoreboard):
    connection = connected()
    run = await Try(board, connection).begin()
    connection.data_received(BUSY)
    with pytest.raises(BackendBusy):
        await run.end()
    assert run.pool.idle_count == 1 and not connection.transport.closed


async def test_a_failure_behind_the_commit_point_shows(board: Scoreboard):
    connection = connected()
    run = await Try(board, connection).begin()
    piece = ROLE + text("a")
    connection.data_received(SSE + b"%x\r\n%b\r\n" % (len(piece), piece))
    connection.connection_lost(ConnectionResetError())
    with pytest.raises(BackendDied):
        await run.end()
    assert run.attempt.committed and run.pool.idle_count == 0


async def test_the_backend_is_stopped_in_the_very_callback(board: Scoreboard):
    connection = connected()
    run = await Try(board, connection).begin()
    run.attempt.abort()
    assert connection.transport.aborted
    run.task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run.end()
    assert not run.attempt.is_waiting and run.pool.idle_count == 0


async def test_an_attempt_that_is_cancelled_leaves_no_connection(board: Scoreboard):
    connection = connected()
    run = await Try(board, connection).begin()
    run.task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run.end()
    assert connection.transport.aborted and run.pool.idle_count == 0


async def test_a_backend_is_read_as_fast_as_its_client_takes_it(board: Scoreboard):
    connection = connected()
    run = await Try(board, connection).begin()
    run.attempt.pause()
    assert not connection.transport.reading
    run.attempt.resume()
    assert connection.transport.reading


async def test_a_client_that_is_slow_already_is_not_read_for(board: Scoreboard):
    connection = connected()
    run = await Try(board, connection).begin(slow=True)
    assert connection.transport.written == HEAD + BODY and not connection.transport.reading
    run.attempt.resume()
    connection.data_received(WHOLE)
    await run.end()


async def test_the_next_client_does_not_inherit_a_pause(board: Scoreboard):
    connection = connected()
    run = await Try(board, connection).begin()
    write = run.wire.transport.write

    def overflow(data: bytes) -> None:
        write(data)
        run.attempt.pause()

    run.wire.transport.write = overflow
    connection.data_received(WHOLE)
    await run.end()
    assert run.pool.idle_count == 1 and connection.transport.reading


async def test_an_attempt_that_is_over_touches_no_connection(board: Scoreboard):
    connection = connected()
    run = await Try(board, connection).begin()
    connection.data_received(WHOLE)
    await run.end()
    run.attempt.pause()
    run.attempt.abort()
    assert connection.transport.reading and not connection.transport.closed
