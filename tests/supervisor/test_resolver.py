"""Asking name servers: which names, which servers, and what when they do not help."""

import asyncio
import contextlib

import pytest

from multiproxy.supervisor import resolver
from multiproxy.supervisor.dns_message import Record, Type
from multiproxy.supervisor.resolver import (
    CannotResolve,
    Found,
    Settings,
    addresses,
    candidates,
    read_settings,
    services,
    system_settings,
)


def test_the_systems_settings_are_read():
    text = (
        "# made by hand\nnameserver 10.0.0.10\nnameserver ::1\nnameserver 127.0.0.1#5353\n"
        "nameserver 9.9.9.9\nsearch llm.svc.cluster.local svc.cluster.local.\n"
        "options timeout:1 ndots:5\n"
    )
    assert read_settings(text) == Settings(
        (("10.0.0.10", 53), ("::1", 53), ("127.0.0.1", 5353)),
        ("llm.svc.cluster.local", "svc.cluster.local"),
        5,
    )
    assert read_settings("") == Settings()


def test_a_variable_names_another_file(tmp_path, monkeypatch):
    path = tmp_path / "resolv.conf"
    path.write_text("nameserver 1.2.3.4\n")
    monkeypatch.setenv("MULTIPROXY_RESOLV_CONF", str(path))
    assert system_settings().servers == (("1.2.3.4", 53),)
    path.unlink()
    assert system_settings() == Settings()


def test_short_names_are_looked_for_in_the_search_list_first():
    settings = Settings(search=("a.org", "b.org"), dots=2)
    assert list(candidates("gpu", settings)) == ["gpu.a.org", "gpu.b.org", "gpu"]
    assert list(candidates("gpu.x.y", settings)) == ["gpu.x.y", "gpu.x.y.a.org", "gpu.x.y.b.org"]
    assert list(candidates("gpu.", settings)) == ["gpu"]


class NameServer(asyncio.DatagramProtocol):
    """Answers by (name, type): a status, or data of records with a time to live of 9 s."""

    def __init__(self, zone):
        self.zone = zone
        self.asked = []
        self.flags = 0x8180

    def connection_made(self, transport):
        self.transport = transport

    def datagram_received(self, data, addr):
        for message in self.messages(data):
            self.transport.sendto(message, addr)

    def messages(self, data):
        labels, at = [], 12
        while data[at]:
            labels.append(data[at + 1 : at + 1 + data[at]].decode())
            at += 1 + data[at]
        kind = int.from_bytes(data[at + 1 : at + 3])
        name = ".".join(labels)
        self.asked.append((name, kind))
        found = self.zone.get((name, kind), 3)
        if found is None:
            return
        status, records = (found, []) if isinstance(found, int) else (0, found)
        body = b"".join(
            b"\xc0\x0c" + kind.to_bytes(2) + b"\0\1\0\0\0\x09" + len(each).to_bytes(2) + each
            for each in records
        )
        head = (self.flags | status).to_bytes(2) + b"\0\1" + len(records).to_bytes(2) + bytes(4)
        yield b"\0\0" + head + data[12:] + body  # somebody who guesses: another number
        yield data[:2] + head + data[12:] + body


@pytest.fixture
async def server():
    """``server(zone)``: a running one, and the settings that lead to it."""
    async with contextlib.AsyncExitStack() as stack:

        async def start(zone, port=0):
            loop = asyncio.get_running_loop()
            transport, protocol = await loop.create_datagram_endpoint(
                lambda: NameServer(zone), local_addr=("127.0.0.1", port)
            )
            stack.callback(transport.close)
            return protocol, Settings((transport.get_extra_info("sockname"),))

        yield start


ONE, TWO = bytes([10, 0, 0, 1]), bytes([10, 0, 0, 2])


async def test_all_addresses_of_a_name_are_found(server):
    _, settings = await server({("gpu", 1): [ONE, TWO]})
    assert await addresses("gpu", settings) == Found(
        (Record(Type.A, 9, "10.0.0.1"), Record(Type.A, 9, "10.0.0.2")), 9
    )


async def test_ipv6_counts_where_there_is_no_ipv4(server):
    _, settings = await server({("gpu", 1): 0, ("gpu", 28): [bytes(15) + b"\1"]})
    assert [each.host for each in (await addresses("gpu", settings)).records] == ["::1"]


async def test_only_the_best_priority_of_services_counts(server):
    zone = {("_l._tcp", 33): [b"\0\1\0\0\0\x50\1a\0", b"\0\2\0\0\0\x51\1b\0"]}
    _, settings = await server(zone)
    assert (await services("_l._tcp", settings)).records == (Record(Type.SRV, 9, "a", 80, 1),)


async def test_a_name_that_does_not_exist_has_no_servers(server):
    _, settings = await server({})
    assert await addresses("gpu", settings) == Found((), 0)


async def test_the_next_server_is_asked_when_one_refuses_or_is_silent(server, monkeypatch):
    monkeypatch.setattr(resolver, "TIMEOUT_S", 0.05)
    refusing, first = await server({("gpu", 1): 5})
    silent, second = await server({("gpu", 1): None})
    _, third = await server({("gpu", 1): [ONE]})
    settings = Settings(first.servers + second.servers + third.servers)
    assert len((await addresses("gpu", settings)).records) == 1
    assert refusing.asked == silent.asked == [("gpu", 1)]


async def test_no_answer_at_all_is_told_with_its_reason(server, monkeypatch):
    monkeypatch.setattr(resolver, "TIMEOUT_S", 0.05)
    refusing, settings = await server({("gpu", 1): 2})
    with pytest.raises(CannotResolve, match="cannot resolve gpu: 127.0.0.1 refused with status 2"):
        await addresses("gpu", settings)
    assert len(refusing.asked) == 2


async def test_a_long_answer_is_fetched_over_tcp(server):
    whole = NameServer({("gpu", 1): [ONE, TWO]})

    async def serve(reader, writer):
        size = int.from_bytes(await reader.readexactly(2))
        _, message = whole.messages(await reader.readexactly(size))
        writer.write(len(message).to_bytes(2) + message)
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as listener:
        small, settings = await server({("gpu", 1): []}, listener.sockets[0].getsockname()[1])
        small.flags |= 0x0200
        assert len((await addresses("gpu", settings)).records) == 2
