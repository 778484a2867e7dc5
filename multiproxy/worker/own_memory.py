"""How much memory this process holds for itself, and how much its machine lets it have."""

import resource
from collections.abc import Iterator
from pathlib import Path

_STATM = "/proc/self/statm"
_MEMINFO = "/proc/meminfo"
_GROUPS = "/sys/fs/cgroup"
_OWN_GROUP = "/proc/self/cgroup"
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


def available(
    meminfo: str = _MEMINFO, groups: str = _GROUPS, own_group: str = _OWN_GROUP
) -> int | None:
    """Three quarters of what the machine, container or service may have; None if unknown.

    Source: Linux, Documentation/admin-guide/cgroup-v2.rst (memory.max); version 1 for older hosts.
    """
    limits = [*_of_machine(meminfo), *_of_groups(Path(groups), own_group)]
    return int(min(limits) * _SHARE) if limits else None


def _of_machine(meminfo: str) -> Iterator[int]:
    try:
        text = Path(meminfo).read_text()
    except OSError:
        return
    for line in text.splitlines():
        if line.startswith("MemTotal:"):
            yield int(line.split()[1]) * 1024


def _of_groups(root: Path, own_group: str) -> Iterator[int]:
    """Limits of the root, which is a container's own, and of our group and those above it."""
    files = [root / "memory.max", root / "memory/memory.limit_in_bytes"]
    try:
        lines = Path(own_group).read_text().splitlines()
    except OSError:
        lines = []
    for line in lines:
        if line.startswith("0::/"):  # version 2
            group = Path(line[4:])
            files += [root / each / "memory.max" for each in (group, *group.parents)]
    for file in files:
        try:
            text = file.read_text().strip()
        except OSError:
            continue
        if text.isdigit():  # else "max"
            yield int(text)
