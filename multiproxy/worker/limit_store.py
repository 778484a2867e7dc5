"""The Redis in which replicas add up what keys use: asked in batches, never waited for long.

One task per process has one connection and the only conversation on it; whoever asks waits for
a future. So a client that leaves cannot leave half an answer behind for the next one, and
requests that come together share a round trip. While Redis is away nobody waits at all.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from multiproxy.auth.shared import LOAD, Command
from multiproxy.worker import tasks

ANSWER_S = 0.25  # how long a request waits: only those that find out that Redis is away
CONNECT_S = 1.0
RETRY_S = 0.5
PING_S = 1.0  # how late the end of a connection is noticed that nobody uses
MOST_WAITING = 10_000


class LimitStore:
    """``ask`` and ``tell`` at any time; ``on_change`` hears why it is away, "" when it is there."""

    def __init__(self, url: str, on_change: Callable[[str], None] = lambda reason: None) -> None:
        self.is_up = False
        self._url = url
        self._on_change = on_change
        self._told: str | None = None  # what ``on_change`` heard last
        self._waiting: list[tuple[Command, asyncio.Future[Any] | None]] = []
        self._wake = asyncio.Event()
        self._tried = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Connect; returns when that was tried once."""
        self._task = tasks.start(self._run())
        await self._tried.wait()

    async def ask(self, command: Command) -> Any:
        """What Redis answers, or None when it is away."""
        if not self.is_up or len(self._waiting) >= MOST_WAITING:
            return None
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._put(command, answer)
        try:
            async with asyncio.timeout(ANSWER_S):
                return await answer
        except TimeoutError:
            return None

    def tell(self, command: Command) -> None:
        """Have a command run whose answer nobody needs, if Redis is there."""
        if self.is_up and len(self._waiting) < MOST_WAITING:
            self._put(command, None)

    async def close(self) -> None:
        """Say what is still to be said, and hang up."""
        if self._task is not None:
            await self.ask(("PING",))
            self._task.cancel()
            await asyncio.wait([self._task])

    def _put(self, command: Command, answer: "asyncio.Future[Any] | None") -> None:
        self._waiting.append((command, answer))
        self._wake.set()

    # -- the task ------------------------------------------------------------------------------

    async def _run(self) -> None:
        # An optional package; only those who share limits need it.
        from redis.asyncio import ConnectionPool
        from redis.asyncio.retry import Retry
        from redis.backoff import NoBackoff
        from redis.exceptions import RedisError

        pool: Any = ConnectionPool.from_url(self._url, protocol=2, retry=Retry(NoBackoff(), 0))
        while True:
            connection = pool.make_connection()
            try:
                async with asyncio.timeout(CONNECT_S):
                    await connection.connect()
                    await _say(connection, [LOAD])
                self.is_up = True
                self._tell_change("")
                self._tried.set()
                await self._talk(connection)
            except TimeoutError:
                self._tell_change("no answer")
            except (RedisError, OSError) as error:
                self._tell_change(str(error) or type(error).__name__)
            finally:
                self.is_up = False
                self._tried.set()
                _answer_none(self._waiting)
                self._waiting.clear()
                await connection.disconnect(nowait=True)
            await asyncio.sleep(RETRY_S)

    async def _talk(self, connection: Any) -> None:
        """Carry commands and answers until the connection, or Redis, fails."""
        while True:
            if not self._waiting:
                self._wake.clear()
                try:
                    async with asyncio.timeout(PING_S):
                        await self._wake.wait()
                except TimeoutError:
                    self._put(("PING",), None)
            batch = self._waiting.copy()
            self._waiting.clear()
            try:
                async with asyncio.timeout(ANSWER_S):
                    answers = await _say(connection, [command for command, _ in batch])
            except BaseException:
                _answer_none(batch)
                raise
            for (_, waits), answer in zip(batch, answers, strict=True):
                if waits is not None and not waits.done():
                    waits.set_result(answer)

    def _tell_change(self, reason: str) -> None:
        # A Redis that stays away may do so for one reason after the other.
        if self._told is None or bool(reason) != bool(self._told):
            self._told = reason
            self._on_change(reason)


def _answer_none(waiting: Sequence[tuple[Command, "asyncio.Future[Any] | None"]]) -> None:
    for _, answer in waiting:
        if answer is not None and not answer.done():
            answer.set_result(None)


async def _say(connection: Any, commands: Sequence[Command]) -> list[Any]:
    """Send commands in one piece and return their answers.

    Raises:
        RedisError, OSError: the connection failed, or Redis refused one of them.
    """
    await connection.send_packed_command(connection.pack_commands(commands), check_health=False)
    return [await connection.read_response() for _ in commands]
