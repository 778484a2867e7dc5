"""Descriptors that children inherit: listening sockets, the config snapshot, the lifeline."""

import contextlib
import os
import random
import resource
import socket
import tempfile
from collections.abc import Collection

from multiproxy.config import Address

BACKLOG = 4096  # connections that wait while every worker is busy; the kernel may cut it lower

MOST_DESCRIPTORS = 65_536
_PORTS = range(17_000, 32_000)


class CannotListen(Exception):
    """An address could not be bound; ``str()`` says which, why, and how to find the holder."""


def listen(address: Address, what: str) -> socket.socket:
    """A listening socket, non-blocking. Port 0 lets the system choose.

    Raises:
        CannotListen: the address is taken, not ours, or unknown.
    """
    try:
        family, kind, protocol, _, where = _resolve(address)
        sock = socket.socket(family, kind, protocol)
    except OSError as error:
        raise CannotListen(f"{what} cannot listen on {address}: {error.strerror}") from error
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6 and address.host == "::":
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        sock.bind(where)
        sock.listen(BACKLOG)
    except OSError as error:
        sock.close()
        raise CannotListen(
            f"{what} cannot listen on {address}: {error.strerror}\n"
            f"who holds it: ss -ltnp 'sport = :{address.port}'  or  lsof -i :{address.port}"
        ) from error
    sock.setblocking(False)
    return sock


def _resolve(address: Address) -> tuple[int, int, int, str, tuple[object, ...]]:
    found = socket.getaddrinfo(
        address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )
    # "localhost" is often both; clients that are told 127.0.0.1 must find us.
    found.sort(key=lambda entry: entry[0] != socket.AF_INET)
    return found[0]


def bound_address(sock: socket.socket) -> Address:
    """Where a socket listens in fact."""
    host, port = sock.getsockname()[:2]
    return Address(host, port)


def file_of(data: bytes, name: str) -> int:
    """A descriptor to read ``data`` from, at its start; gone with its last user.

    Every child gets one of its own: those who share an open file share its position.
    """
    if hasattr(os, "memfd_create"):
        fd = os.memfd_create(name, os.MFD_CLOEXEC)
    else:
        fd, path = tempfile.mkstemp(prefix=name)
        os.unlink(path)
    with open(os.dup(fd), "wb") as file:
        file.write(data)
    os.lseek(fd, 0, os.SEEK_SET)
    return fd


def raise_descriptor_limit() -> None:
    """Let this process and its children open as many descriptors as the system allows.

    The usual soft limit of 1,024 is for programs that use ``select``; connections need more.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST_DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, MOST_DESCRIPTORS)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        # macOS says "unlimited" and refuses more than its kernel's own limit.
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def unused_port(taken: Collection[int]) -> int:
    """A port of 127.0.0.1 on which nobody listens now, and for which a program can be told.

    Below those that systems give to outgoing connections: one of them could hold it by chance
    when the program is started, minutes or days from now.

    Raises:
        CannotListen: there is none.
    """
    for _ in range(100):
        port = random.choice(_PORTS)
        if port not in taken and is_unused(port):
            return port
    raise CannotListen("no port of 127.0.0.1 is free for a command")


def is_unused(port: int) -> bool:
    """Whether nobody listens on a port of 127.0.0.1."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


class Lifeline:
    """A pipe nobody writes to: children hold ``fd`` and read its end when we are gone."""

    def __init__(self) -> None:
        self.fd, self._held = os.pipe()

    def close(self) -> None:
        os.close(self.fd)
        os.close(self._held)
