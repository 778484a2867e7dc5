"""What a tree of processes has used: CPU, memory and system calls, as the kernel counts them."""

import contextlib
import re
import signal
import subprocess
from pathlib import Path
from typing import NamedTuple

_CALL = re.compile(r"^\s*[\d.]+\s+[\d.]+\s+\d+\s+(\d+)\s+(?:\d+\s+)?(\w+)$", re.MULTILINE)

TRANSFERS = ("read", "readv", "recvfrom", "recvmsg", "write", "writev", "sendto", "sendmsg")


class Usage(NamedTuple):
    """Sums over processes. ``cpu_s`` comes from the scheduler, its parts from 10 ms ticks."""

    cpu_s: float
    user_ticks: int
    system_ticks: int
    rss: int  # bytes


def tree(pid: int) -> list[int]:
    """``pid`` and its living descendants."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                children.setdefault(int(_stat(int(entry.name))[1]), []).append(int(entry.name))
    found = [pid]
    for parent in found:
        found += children.get(parent, [])
    return found


def usage(pids: list[int]) -> Usage:
    """What these processes have used since they started, threads included."""
    ticks = [_stat(pid)[11:13] for pid in pids]
    user, system = sum(int(user) for user, _ in ticks), sum(int(system) for _, system in ticks)
    nanoseconds = sum(
        int(thread.joinpath("schedstat").read_text().split()[0])
        for pid in pids
        for thread in Path(f"/proc/{pid}/task").iterdir()
    )
    pages = sum(int(Path(f"/proc/{pid}/statm").read_text().split()[1]) for pid in pids)
    return Usage(nanoseconds / 1e9, user, system, pages * 4096)


def _stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat behind the name: state, parent, ... user and system ticks."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


class CallCounter:
    """Counts the system calls of some processes between ``start`` and ``stop``; slows them down."""

    def __init__(self, pids: list[int]) -> None:
        self._pids = pids
        self._tracer: subprocess.Popen[str] | None = None

    def start(self) -> None:
        """Attach, and return when all processes are traced.

        Raises:
            OSError: strace is not installed, or may not attach.
        """
        command = ["strace", "-f", "-c"]
        for pid in self._pids:
            command += ["-p", str(pid)]
        self._tracer = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        assert self._tracer.stderr is not None
        for _ in self._pids:
            line = self._tracer.stderr.readline()
            if "attached" not in line:
                raise OSError(f"strace could not attach: {line.strip()}")

    def stop(self) -> dict[str, int]:
        """Detach; calls by name."""
        assert self._tracer is not None
        self._tracer.send_signal(signal.SIGINT)
        table = self._tracer.communicate(timeout=10)[1]
        return {name: int(count) for count, name in _CALL.findall(table) if name != "total"}
