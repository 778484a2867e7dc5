"""Several hosts on one machine: network namespaces on one switch, each with a cable to pull."""

import contextlib
import ctypes
import os
import shutil
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

CLONE_NEWNET = 0x40000000  # of setns(2)
NAMESPACES = Path("/run/netns")


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True, text=True)


def _enter(path: str | Path) -> None:
    """Move this thread to a network namespace; sockets stay where they were opened."""
    libc = ctypes.CDLL(None, use_errno=True)
    descriptor = os.open(path, os.O_RDONLY)
    try:
        if libc.setns(descriptor, CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), f"cannot enter {path}")
    finally:
        os.close(descriptor)


class Network:
    """Hosts by their names. ``addresses`` are theirs; each has a loopback of its own, too."""

    def __init__(self, names: list[str]) -> None:
        self._mark = f"mp{os.getpid()}-"
        self._made: list[str] = []
        self.addresses = {name: f"10.99.0.{number}" for number, name in enumerate(names, 1)}
        self._switch = self._namespace("switch")
        _ip("-n", self._switch, "link", "add", "bridge", "type", "bridge")
        _ip("-n", self._switch, "link", "set", "bridge", "up")
        for name, address in self.addresses.items():
            self._connect(name, address)

    def _namespace(self, name: str) -> str:
        _ip("netns", "add", self._mark + name)
        self._made.append(self._mark + name)
        return self._mark + name

    def _connect(self, name: str, address: str) -> None:
        host = self._namespace(name)
        cable = ["type", "veth", "peer", "name", "eth0", "netns", host]
        _ip("-n", self._switch, "link", "add", name, *cable)
        _ip("-n", self._switch, "link", "set", name, "master", "bridge", "up")
        _ip("-n", host, "address", "add", f"{address}/24", "dev", "eth0")
        for device in ("lo", "eth0"):
            _ip("-n", host, "link", "set", device, "up")

    @contextlib.contextmanager
    def on(self, name: str) -> Iterator[None]:
        """This thread, and every process that it starts, is on that host."""
        home = f"/proc/self/task/{threading.get_native_id()}/ns/net"
        before = os.open(home, os.O_RDONLY)
        try:
            _enter(NAMESPACES / (self._mark + name))
            yield
        finally:
            _enter(f"/proc/self/fd/{before}")
            os.close(before)

    def pull(self, name: str) -> None:
        """Pull its cable: packets from and to it are lost, and nobody is told."""
        _ip("-n", self._switch, "link", "set", name, "nomaster")

    def plug(self, name: str) -> None:
        _ip("-n", self._switch, "link", "set", name, "master", "bridge")

    def close(self) -> None:
        for name in self._made:
            _ip("netns", "delete", name)


def start_network(names: list[str]) -> Network:
    """Return it; where namespaces are not permitted, or without ``ip``, the test is skipped."""
    if not shutil.which("ip"):
        if "MULTIPROXY_SKIP_NOTHING" in os.environ:
            pytest.fail("there is no ip (iproute2) here")
        pytest.skip("there is no ip (iproute2) here")
    probe = f"mp{os.getpid()}-probe"
    tried = subprocess.run(["ip", "netns", "add", probe], capture_output=True, text=True)
    if tried.returncode != 0:
        pytest.skip(f"network namespaces are not permitted here: {tried.stderr.strip()}")
    _ip("netns", "delete", probe)
    return Network(names)
