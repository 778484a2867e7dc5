"""Keys' use over a restart, and what is said of the limit store."""

import asyncio
from types import SimpleNamespace

import pytest
from redis_process import start_redis

from multiproxy.config import Config, Key, Limits
from multiproxy.scoreboard import Scoreboard
from multiproxy.supervisor.history.store import Loaded
from multiproxy.supervisor.key_rows import KeyRows
from multiproxy.supervisor.limit_watch import LimitWatch
from multiproxy.supervisor.rollups.totals import Counters

DAY = 20_370
NOON = DAY * 86_400 + 43_200.0
KEY = Key("ann", f"sha256:{'0' * 64}", tokens_per_day=1000)


class Place:
    """The watch of a supervisor with one key."""

    def __init__(self, store=None):
        self.board = Scoreboard.create()
        self.rows = KeyRows(self.board.keys)
        self.rows.assign(["ann"], 1)
        self.config = Config(keys=(KEY,), limits=Limits(store=store))
        self.said = []
        log = SimpleNamespace(info=self.said.append, warning=self.said.append)
        self.watch = LimitWatch(self.config, self.board.keys, self.rows, log)

    @property
    def used(self):
        return self.board.keys.tokens_of_day(0, DAY)

    async def until_said(self, count):
        async with asyncio.timeout(10):
            while len(self.said) < count:
                await asyncio.sleep(0.01)


@pytest.fixture
def redis(tmp_path):
    redis = start_redis(tmp_path)
    yield redis
    redis.kill()


@pytest.fixture
async def begin():
    places = []

    def begin(store=None):
        places.append(Place(store))
        return places[-1]

    yield begin
    for place in places:
        await place.watch.close()
        place.board.close()


def used(group, name, hours_of_day, tokens):
    counters = Counters(prompt_tokens=tokens - 1, output_tokens=1)
    return group, DAY * 86_400 + hours_of_day * 3600, name, counters


PAST = Loaded(
    [],
    [],
    [
        used("key", "ann", 0, 100), used("key", "ann", 11, 50), used("key", "ann", -1, 7777),
        used("key", "gone", 3, 9999), used("model", "ann", 3, 9999),
    ],
)  # fmt: skip


async def test_what_a_key_used_today_is_taken_from_the_history(begin):
    place = begin()
    place.board.keys.count_tokens(0, 0, 1, DAY, 30)
    place.watch.restore(PAST, NOON)
    assert place.used == 180
    assert place.board.keys.tokens_of_day(0, DAY + 1) == 0


async def test_with_a_store_the_store_remembers_and_nothing_counts_twice(begin):
    place = begin("redis://127.0.0.1:1/0")
    place.watch.restore(PAST, NOON)
    assert place.used == 0


async def test_a_store_that_goes_and_comes_back_is_told_of_once_each_and_reminded(
    begin, redis, monkeypatch
):
    monkeypatch.setattr("multiproxy.worker.gate.time.time", lambda: NOON)
    place = begin(redis.url)
    place.watch.follow(place.config)
    await place.until_said(1)
    where = f"limits.store 127.0.0.1:{redis.port}"
    place.board.keys.count_tokens(0, 0, 1, DAY, 345)
    redis.kill()
    await place.until_said(2)
    redis.start()
    await place.until_said(3)
    assert place.said[0] == place.said[2] == f"{where}: what keys use is counted over all replicas"
    assert place.said[1].startswith(f"{where} cannot be used (")
    assert place.said[1].endswith("): until it can, each replica counts for itself")
    await place.watch._store.ask(("PING",))
    assert b"\r\n345\r\n" in redis.ask("HVALS", f"multiproxy:{{ann}}:day:{DAY}")


async def test_a_reload_may_change_the_store_and_passwords_are_not_told(begin, redis):
    place = begin()
    place.watch.follow(place.config)
    url = f"redis://:secret-word@127.0.0.1:{redis.port}/0"
    place.watch.follow(Config(keys=(KEY,), limits=Limits(store=url)))
    await place.until_said(1)
    assert "AUTH" in place.said[0] and "secret" not in repr((place.said, place.watch._config))
    place.watch.follow(Config(keys=(KEY,), limits=Limits(store=redis.url)))
    await place.until_said(2)
    assert "over all replicas" in place.said[1]
