"""The watch over names: changes are told, and trouble changes nothing."""

import asyncio

import pytest
from supervisor.log_lines import LogLines

from multiproxy.config import Url
from multiproxy.config.discovered import Place
from multiproxy.supervisor import discovery
from multiproxy.supervisor.discovery import Discovery, find
from multiproxy.supervisor.dns_message import Record, Type
from multiproxy.supervisor.resolver import CannotResolve, Found, Settings

GPU = Url("http", "gpu", 8080, "", "dns")
ONE, TWO = Place("10.0.0.1", 8080), Place("10.0.0.2", 8080)


class Names:
    """What a name server says, one answer after the other; waits when there is no more."""

    def __init__(self):
        self.answers = asyncio.Queue()

    async def __call__(self, url):
        answer = await self.answers.get()
        if isinstance(answer, Exception):
            raise answer
        return frozenset(answer), 0.0


@pytest.fixture
async def watched(monkeypatch):
    for name in ("LEAST_S", "AGAIN_S"):
        monkeypatch.setattr(discovery, name, 0.0)
    names, log = Names(), LogLines()
    watch = Discovery(log, names)
    watch.follow([GPU])
    yield watch, names, log
    await watch.close()


async def heard(watch, names, *answers):
    """Give answers, and come back when all have been understood."""
    for answer in (*answers, answers[-1]):  # the last again: then the first of it was handled
        names.answers.put_nowait(answer)
    while not names.answers.empty():
        await asyncio.sleep(0)


async def test_the_first_answer_is_waited_for(watched):
    watch, names, _ = watched
    names.answers.put_nowait([TWO, ONE])
    await watch.first(10)
    assert (watch.places, watch.has_changed) == ({GPU: (ONE, TWO)}, True)


async def test_silence_does_not_hold_up_the_start(watched):
    watch, _, _ = watched
    await watch.first(0.01)
    assert (watch.places, watch.has_changed) == ({}, False)


async def test_a_change_is_told_until_it_is_taken_and_the_same_again_is_none(watched):
    watch, names, log = watched
    await heard(watch, names, [ONE])
    watch.taken()
    await heard(watch, names, [ONE])
    assert not watch.has_changed
    await heard(watch, names, [ONE, TWO])
    assert watch.has_changed
    assert log.lines == ["gpu is 1 server: 10.0.0.1", "gpu is 2 servers: 10.0.0.1, 10.0.0.2"]


async def test_trouble_is_told_once_and_takes_no_server_away(watched):
    watch, names, log = watched
    await heard(watch, names, [ONE])
    watch.taken()
    failed = CannotResolve("cannot resolve gpu: 10.0.0.10 does not answer")
    await heard(watch, names, failed, failed, failed)
    await heard(watch, names, [])
    assert (watch.places, watch.has_changed) == ({GPU: (ONE,)}, False)
    await heard(watch, names, [ONE])
    assert log.lines[1:] == [str(failed), "gpu has no servers in DNS", "gpu is found again"]


async def test_a_name_that_is_no_longer_followed_is_forgotten(watched):
    watch, names, _ = watched
    await heard(watch, names, [ONE])
    watch.follow([])
    assert watch.places == {}


async def test_a_service_is_its_targets_with_their_ports(monkeypatch):
    asked = []

    async def services(name, settings):
        records = [record_of("a.org", 1), record_of("b.org", 2)]
        return Found(records, 30)

    async def addresses(name, settings):
        asked.append(name)
        host = {"a.org.": "10.0.0.1", "b.org.": "10.0.0.2"}[name]
        return Found([record_of(host, 0)], 20)

    monkeypatch.setattr(discovery, "services", services)
    monkeypatch.setattr(discovery, "addresses", addresses)
    found, ttl_s = await find(Url("http", "_l._tcp.org", 0, "", "srv"), Settings)
    assert (found, ttl_s) == ({Place("10.0.0.1", 1), Place("10.0.0.2", 2)}, 20)
    assert asked == ["a.org.", "b.org."]


def record_of(host, port):
    return Record(Type.SRV, 30, host, port)
