"""How much memory this process holds for itself, and how much its machine lets it have."""

import resource
from collections.abc import Iterator
from pathlib import Path

_STATM = "/proc/self/statm"
_MEMINFO = "/proc/meminfo"
_GROUPS = "/sys/fs/cgroup"
_PAGE = resource.getpagesize()
_SHARE = 0.75  # of what there is: the supervisor and the kernel's buffers need some as well


def held(statm: str = _STATM) -> int:
    """Return the private bytes of this process; 0 where nobody can tell.

    The scoreboard is shared with all others and does not count.
    """
    try:
        with open(statm, "rb") as file:
            _, resident, shared, *_ = file.read().split()
    except OSError:  # no Linux, or no descriptor is left
        return 0
    return (int(resident) - int(shared)) * _PAGE


def available(meminfo: str = _MEMINFO, groups: str = _GROUPS) -> int | None:
    """Three quarters of the machine's bytes, or of those of the container; None if unknown.

    Source: Linux, Documentation/admin-guide/cgroup-v2.rst (memory.max); version 1 for older hosts.
    """
    limits = [*_of_machine(meminfo), *_of_groups(Path(groups))]
    return int(min(limits) * _SHARE) if limits else None


def _of_machine(meminfo: str) -> Iterator[int]:
    try:
        text = Path(meminfo).read_text()
    except OSError:
        return
    for line in text.splitlines():
        if line.startswith("MemTotal:"):
            yield int(line.split()[1]) * 1024


def _of_groups(root: Path) -> Iterator[int]:
    """Limits as a container sees them, which is the root of its own groups."""
    for name in ("memory.max", "memory/memory.limit_in_bytes"):
        try:
            text = (root / name).read_text().strip()
        except OSError:
            continue
        if text.isdigit():  # else "max"
            yield int(text)
