"""Two replicas and a real Redis: one sum, and no request that waits for a Redis that is away."""

import asyncio
import hashlib

import pytest
from redis_process import start_redis

from multiproxy.config import Key
from multiproxy.errors import RateLimited
from multiproxy.scoreboard import Scoreboard
from multiproxy.worker.endpoints import _POST
from multiproxy.worker.gate import Gate, Shared
from multiproxy.worker.limit_store import LimitStore

SECRET = "sk-ann-0123456789"
MINUTE = 3_036_053  # since 2020 began
CHAT = _POST[b"/v1/chat/completions"]


class Replica:
    """One worker of a replica: its own memory, its own conversation with Redis."""

    def __init__(self, name, redis, **limits):
        self.board = Scoreboard.create()
        self.said = []
        self.store = LimitStore(redis.url, self.said.append)
        digest = f"sha256:{hashlib.sha256(SECRET.encode()).hexdigest()}"
        self.key = Key("ann", digest, max_concurrent=1_000_000, **limits)
        shared = Shared(self.store, {"ann": name})
        self.gate = Gate([self.key], {"ann": 0}, self.board.keys, 0, shared)

    async def ask(self):
        """One request as an exchange makes it: its visit, or None when it was refused."""
        visit = None
        try:
            visit = self.gate.admit(CHAT, {b"x-api-key": SECRET.encode()})
            await self.gate.ask(visit.principal)
        except RateLimited as error:
            self.refusal = error
            if visit is not None:
                visit.close(0)
            return None
        return visit

    async def asks(self, count):
        """How many of so many at once are let in."""
        visits = await asyncio.gather(*(self.ask() for _ in range(count)))
        return sum(visit is not None for visit in visits)

    async def until(self, is_up):
        async with asyncio.timeout(10):
            while self.store.is_up is not is_up:
                await asyncio.sleep(0.01)


def stop_clock(monkeypatch, now):
    monkeypatch.setattr("multiproxy.worker.gate.time.time", lambda: float(now))
    monkeypatch.setattr("multiproxy.worker.gate.time.time_ns", lambda: now * 10**9)


@pytest.fixture
def redis(tmp_path):
    redis = start_redis(tmp_path)
    yield redis
    redis.thaw()
    redis.kill()


@pytest.fixture
async def replicas(redis, monkeypatch):
    """``a, b = await replicas(2, requests_per_minute=60)``, in a minute that stands still."""
    stop_clock(monkeypatch, 1_760_000_010)
    begun = []

    async def begin(count, **limits):
        for _ in range(count):
            begun.append(Replica(f"r{len(begun)}.1", redis, **limits))
            await begun[-1].store.start()
        return begun[-count:]

    yield begin
    for each in begun:
        await each.store.close()
        each.board.close()


async def test_of_a_burst_at_two_replicas_exactly_the_limit_is_let_in(replicas):
    a, b = await replicas(2, requests_per_minute=60)
    let_in = await asyncio.gather(*(each.asks(7) for _ in range(10) for each in (a, b)))
    assert sum(let_in) == 60
    assert a.refusal.retry_after_s == b.refusal.retry_after_s == 32
    assert sum(each.board.keys.requests(0, MINUTE) for each in (a, b)) == 60


async def test_the_minute_before_counts_for_all(replicas, monkeypatch):
    a, b = await replicas(2, requests_per_minute=10)
    assert (await a.asks(4), await b.asks(4)) == (4, 4)
    stop_clock(monkeypatch, 1_760_000_070)
    # 30 s into the next minute half of the eight are still within the last 60 s.
    assert await a.asks(10) + await b.asks(10) == 6


async def test_tokens_of_one_replica_end_the_other_s_minute_and_day(replicas):
    for limit, code in (("tokens_per_minute", None), ("tokens_per_day", "insufficient_quota")):
        a, b = await replicas(2, **{limit: 1000})
        (await a.ask()).close(600)
        (await b.ask()).close(399)
        (await a.ask()).close(1)
        assert (await a.ask(), await b.ask()) == (None, None)
        assert a.refusal.code == b.refusal.code == (code or "rate_limit_exceeded")
        await asyncio.gather(a.store.ask(("FLUSHDB",)))


async def test_a_replica_that_restarts_is_a_new_one_and_nothing_is_forgiven(replicas):
    (a,) = await replicas(1, tokens_per_day=1000)
    (await a.ask()).close(1000)
    await a.store.close()
    (again,) = await replicas(1, tokens_per_day=1000)
    assert await again.ask() is None


async def test_without_redis_each_replica_counts_for_itself(replicas, redis):
    a, b = await replicas(2, requests_per_minute=10)
    assert await a.asks(6) == 6
    redis.kill()
    assert (await a.asks(100), await b.asks(100)) == (4, 10)
    await a.until(False)
    assert await a.ask() is None
    redis.start()
    await a.until(True)
    await b.until(True)
    assert (await a.ask(), await b.ask()) == (None, None)
    assert [bool(reason) for reason in a.said] == [False, True, False]


async def test_a_redis_that_came_back_empty_is_reminded(replicas, redis):
    a, b = await replicas(2, tokens_per_day=1000)
    (await a.ask()).close(1000)
    redis.kill()
    redis.start()
    for each in (a, b):
        await each.until(False)
        await each.until(True)
    assert await b.ask() is not None
    a.gate.tell_all()
    await a.store.ask(("PING",))
    assert await b.ask() is None


async def test_nobody_waits_for_a_redis_that_is_known_to_be_away(replicas, redis):
    (a,) = await replicas(1, requests_per_minute=1000)
    redis.freeze()
    assert await a.asks(50) == 50  # those that find out wait for a moment
    await a.until(False)
    with pytest.raises(StopIteration):
        a.ask().send(None)  # done in one step
    assert a.said[1:] == ["no answer"]


async def test_a_client_that_leaves_while_it_is_asked_leaves_the_others_their_answers(replicas):
    (a,) = await replicas(1, requests_per_minute=1000)
    for _ in range(20):
        leaving = asyncio.create_task(a.ask())
        staying = asyncio.create_task(a.ask())
        await asyncio.sleep(0)
        leaving.cancel()
        assert await staying is not None
        answer = await a.store.ask(("ECHO", "mine"))
        assert answer == b"mine"
        await asyncio.wait([leaving])
    assert a.said == [""]


async def test_a_script_that_redis_forgot_is_told_again(replicas):
    (a,) = await replicas(1, requests_per_minute=2)
    assert await a.asks(1) == 1
    await a.store.ask(("SCRIPT", "FLUSH"))
    assert await a.asks(1) == 1
    await a.until(False)
    await a.until(True)
    assert await a.asks(3) == 0


async def test_what_a_key_used_is_gone_from_redis_in_time(replicas, redis):
    (a,) = await replicas(1, requests_per_minute=9, tokens_per_minute=9, tokens_per_day=9)
    (await a.ask()).close(3)
    await a.store.ask(("PING",))
    left = {}
    for name in (f"requests:{MINUTE}", f"tokens:{MINUTE}", "day:20370"):
        left[name] = int(redis.ask("TTL", "multiproxy:{ann}:" + name)[1:])
    assert [round(seconds, -2) for seconds in left.values()] == [200, 200, 172800]
