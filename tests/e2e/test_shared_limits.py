"""Two replicas of two workers each, one Redis: a key's limits hold over all of them."""

import asyncio
import contextlib
import json
import sqlite3
import time

import pytest
from e2e.raw_client import ask, chat
from redis_process import start_redis

from multiproxy.simulator import Settings

FAST = Settings(slots=64, tokens_per_second=0, prompt_tokens_per_second=0)
ANN, BOB = "sk-ann-0123456789", "sk-bob-0123456789"
WORDS = 20


@pytest.fixture
def redis(tmp_path):
    redis = start_redis(tmp_path)
    yield redis
    redis.thaw()
    redis.kill()


def keys(**limits):
    return [{"name": "ann", "key": ANN, "max_concurrent": 1000, **limits},
            {"name": "bob", "key": BOB}]  # fmt: skip


async def statuses(count, *places):
    """What so many requests at once get, by turns from each of the places."""
    body = chat("hi", max_tokens=2)
    answers = [ask(places[i % len(places)].port, body, key=ANN) for i in range(count)]
    return [answer.status for answer in await asyncio.gather(*answers)]


async def until_half_of_a_minute_is_left():
    """A minute is the last 60 seconds: what came at its end is half forgotten soon after."""
    if time.time() % 60 > 40:
        await asyncio.sleep(60 - time.time() % 60)


async def until_logged(place, text, count=1):
    async with asyncio.timeout(20):
        while place.proxy.log_text().count(text) < count:
            await asyncio.sleep(0.02)


@pytest.mark.timeout(150)
async def test_requests_per_minute_hold_over_replicas_and_redis_may_come_and_go(house, redis):
    config = {"keys": keys(requests_per_minute=40), "limits": {"store": redis.url}}
    one = await house(FAST, workers=2, **config)
    two = await house(FAST, workers=2, **config)
    for place in (one, two):
        await until_logged(place, "what keys use is counted over all replicas")
    await until_half_of_a_minute_is_left()
    assert (await statuses(30, one, two)).count(200) == 30
    assert 10 <= (await statuses(60, one, two)).count(200) <= 11  # time goes on
    redis.kill()
    # From here on each counts for itself: both have let in some 20 of their 40.
    for place in (one, two):
        await until_logged(place, "until it can, each replica counts for itself")
        assert 10 <= (await statuses(60, place)).count(200) <= 35
    redis.start()
    for place in (one, two):
        await until_logged(place, "what keys use is counted over all replicas", 2)
        assert (await ask(place.port, chat("hi", max_tokens=2), key=BOB)).outcome == "ok"
    # Reminded of twice the limit, it lets nobody in.
    async with asyncio.timeout(20):
        while any(status == 200 for status in await statuses(8, one, two)):
            await asyncio.sleep(0.1)
    for place in (one, two):
        assert place.proxy.log_text().count("each replica counts for itself") == 1


async def test_a_budget_of_tokens_holds_within_one_request_per_replica(house, redis):
    config = {"keys": keys(tokens_per_day=1000), "limits": {"store": redis.url}}
    places = [await house(FAST, workers=2, **config) for _ in range(2)]
    used = []
    for number in range(200):
        body = {**chat("hi", max_tokens=WORDS, ignore_eos=True), "stream": False}
        answer = await ask(places[number % 2].port, body, key=ANN)
        if answer.status != 200:
            break
        usage = json.loads(answer.body)["usage"]
        used.append(usage["total_tokens"])
    assert b"insufficient_quota" in answer.body
    assert 1000 <= sum(used) < 1000 + 2 * max(used)
    body = chat("hi", max_tokens=2)
    assert [(await ask(each.port, body, key=ANN)).status for each in places] == [429, 429]
    (after,) = [await house(FAST, **config)]  # a replica that starts when the budget is used
    assert (await ask(after.port, body, key=ANN)).status == 429


async def test_without_redis_a_restart_does_not_forget_the_day(house, tmp_path):
    history = tmp_path / "history.db"
    config = {"keys": keys(tokens_per_day=20), "history": str(history)}
    place = await house(FAST, **config)
    body = chat("hi", max_tokens=WORDS, ignore_eos=True)
    assert (await ask(place.port, body, key=ANN)).outcome == "ok"
    assert (await ask(place.port, body, key=ANN)).status == 429
    place.proxy.terminate()
    await asyncio.to_thread(place.proxy.wait)
    with contextlib.closing(sqlite3.connect(history)) as database:
        (known,) = database.execute("SELECT count(*) FROM requests").fetchone()
    assert known == 2
    again = await house(FAST, **config)
    async with asyncio.timeout(20):  # the history is read beside the first requests
        while (await ask(again.port, {**body, "max_tokens": 1}, key=ANN)).status != 429:
            await asyncio.sleep(0.05)
