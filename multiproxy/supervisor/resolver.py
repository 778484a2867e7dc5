"""Asking the system's name servers, with the time for which an answer holds.

``getaddrinfo`` does not tell that time and knows no SRV records. As it does, we read
/etc/resolv.conf (name servers, search list, ndots); unlike it, we do not read /etc/hosts.
"""

import asyncio
import os
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from multiproxy.supervisor.dns_message import Answer, BadMessage, Record, Type, parse, question

RESOLV_CONF = "/etc/resolv.conf"
VARIABLE = "MULTIPROXY_RESOLV_CONF"
TIMEOUT_S = 2.0  # for one server
ROUNDS = 2  # how often each server is asked
MAX_SERVERS = 3  # as resolv.conf(5)
_NO_SUCH_NAME = 3
_DNS = 53


class CannotResolve(Exception):
    """No server gave an answer; it may give one later."""


class Found(NamedTuple):
    """All records of one name; ``ttl_s`` is the shortest of theirs."""

    records: tuple[Record, ...]
    ttl_s: int


@dataclass(frozen=True, slots=True)
class Settings:
    """Name servers as (address, port), and what is tried behind a short name."""

    servers: tuple[tuple[str, int], ...] = (("127.0.0.1", _DNS),)
    search: tuple[str, ...] = ()
    dots: int = 1


def read_settings(text: str) -> Settings:
    """The contents of a resolv.conf; a port may follow an address: ``nameserver 10.0.0.1#5353``."""
    servers: list[tuple[str, int]] = []
    search: tuple[str, ...] = ()
    dots = 1
    for line in text.splitlines():
        match line.partition("#")[0].split() if "nameserver" not in line else line.split():
            case ["nameserver", server, *_] if len(servers) < MAX_SERVERS:
                address, _, port = server.partition("#")
                servers.append((address, int(port) if port.isdecimal() else _DNS))
            case ["search" | "domain", *names]:
                search = tuple(name.strip(".") for name in names)
            case ["options", *options]:
                given = [option[6:] for option in options if option.startswith("ndots:")]
                dots = min(int(given[-1]), 15) if given and given[-1].isdecimal() else dots
    return Settings(tuple(servers) or Settings().servers, search, dots)


def system_settings() -> Settings:
    """Those of this machine, read again each time: DHCP and VPNs change them."""
    try:
        with open(os.environ.get(VARIABLE) or RESOLV_CONF, encoding="utf-8") as file:
            return read_settings(file.read())
    except (OSError, UnicodeDecodeError):
        return Settings()


async def addresses(name: str, settings: Settings) -> Found:
    """The A records of a name, or else its AAAA records; none at all is an answer too.

    Not both: where a server has two addresses, it would count as two servers.

    Raises:
        CannotResolve
    """
    for whole in candidates(name, settings):
        for kind in (Type.A, Type.AAAA):
            records = (await _ask(whole, kind, settings)).records
            if records:
                return _found(records)
    return Found((), 0)


async def services(name: str, settings: Settings) -> Found:
    """The SRV records of a name that have the best priority.

    Raises:
        CannotResolve
    """
    for whole in candidates(name, settings):
        records = (await _ask(whole, Type.SRV, settings)).records
        if records:
            best = min(record.priority for record in records)
            return _found(tuple(record for record in records if record.priority == best))
    return Found((), 0)


def candidates(name: str, settings: Settings) -> Iterator[str]:
    """The full names that a short one may mean, in the order of resolv.conf(5)."""
    if name.endswith(".") or not settings.search:
        yield name.rstrip(".")
        return
    is_long = name.count(".") >= settings.dots
    if is_long:
        yield name
    for domain in settings.search:
        yield f"{name}.{domain}"
    if not is_long:
        yield name


def _found(records: tuple[Record, ...]) -> Found:
    return Found(records, min(record.ttl for record in records))


async def _ask(name: str, kind: Type, settings: Settings) -> Answer:
    """Raises CannotResolve."""
    reason = "no name server"
    for _ in range(ROUNDS):
        for server in settings.servers:
            try:
                asked = question(secrets.randbelow(65536), name, kind)
                async with asyncio.timeout(TIMEOUT_S):
                    answer = await _datagram(server, asked)
                    if answer.truncated:
                        answer = await _stream(server, asked)
            except TimeoutError:
                reason = f"{server[0]} does not answer"
            except (OSError, BadMessage, asyncio.IncompleteReadError) as error:
                reason = f"{server[0]}: {error}"
            else:
                if answer.status in (0, _NO_SUCH_NAME):
                    return answer
                reason = f"{server[0]} refused with status {answer.status}"
    raise CannotResolve(f"cannot resolve {name}: {reason}")


class _Question(asyncio.DatagramProtocol):
    """One query; what is not its answer is passed over, as others may send to our port."""

    def __init__(self, asked: bytes) -> None:
        self._asked = asked
        self.answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()

    def datagram_received(self, data: bytes, addr: object) -> None:
        try:
            answer = parse(data, self._asked)
        except BadMessage:
            return
        if not self.answer.done():
            self.answer.set_result(answer)

    def error_received(self, exc: Exception) -> None:
        if not self.answer.done():
            self.answer.set_exception(exc)


async def _datagram(server: tuple[str, int], asked: bytes) -> Answer:
    loop = asyncio.get_running_loop()
    transport, protocol = await loop.create_datagram_endpoint(
        lambda: _Question(asked), remote_addr=server
    )
    try:
        transport.sendto(asked)
        return await protocol.answer
    finally:
        transport.close()


async def _stream(server: tuple[str, int], asked: bytes) -> Answer:
    """The same over TCP, each message behind its size. Source: RFC 1035 section 4.2.2."""
    reader, writer = await asyncio.open_connection(*server)
    try:
        writer.write(len(asked).to_bytes(2) + asked)
        size = int.from_bytes(await reader.readexactly(2))
        return parse(await reader.readexactly(size), asked)
    finally:
        writer.close()
