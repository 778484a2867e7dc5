"""A small process that outlives this one for a moment, and ends what was started.

A server that runs somebody's command knows nothing of a lifeline, and a signal that the kernel
sends at a parent's death reaches the child but not what that child has started. So the process
groups of all such servers are written down with a helper on the other end of a pipe: at the end
of the pipe, however it came to that, it ends them. It is this very file, run on its own.
"""

import contextlib
import os
import select
import signal
import sys
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from multiproxy.supervisor.children import Children

# -I: neither the environment nor the working directory can put another module in its way.
COMMAND = (sys.executable, "-I", __file__)
MOST_HELPERS = 5  # started one after the other; a sixth would end like them
GRACE_S = 5.0  # between the polite signal and the other one
_LOOK_S = 0.05


class LastWill:
    """The supervisor's side. Groups are known by the process that leads them."""

    def __init__(self, children: "Children") -> None:
        self._children = children
        self._groups: set[int] = set()
        self._pipe = -1
        self._helpers = 0

    def add(self, group: int) -> None:
        """Have a group ended after our end.

        Raises:
            OSError: the system has no room for the helper.
        """
        self._groups.add(group)
        if self._pipe < 0:
            self._start()
        else:
            self._write([f"+{group}\n"])

    def remove(self, group: int) -> None:
        """All of the group are gone; an unknown group is fine."""
        if group in self._groups:
            self._groups.remove(group)
            self._write([f"-{group}\n"])

    def close(self) -> None:
        """Let the helper go: it ends whatever groups are left."""
        pipe, self._pipe = self._pipe, -1
        if pipe >= 0:
            os.close(pipe)

    def _start(self) -> None:
        self._helpers += 1
        theirs, self._pipe = os.pipe()
        os.set_blocking(self._pipe, False)
        try:
            self._children.start([*COMMAND, str(theirs)], (theirs,), self._on_exit, silent=True)
        finally:
            os.close(theirs)
        self._write(f"+{group}\n" for group in self._groups)

    def _write(self, lines: Iterable[str]) -> None:
        # Full or broken: the helper is gone, and the next one is told everything.
        with contextlib.suppress(OSError):
            if self._pipe >= 0:
                os.write(self._pipe, "".join(lines).encode())

    def _on_exit(self, status: int) -> None:
        if self._pipe >= 0:  # somebody killed it
            self.close()
            if self._groups and self._helpers < MOST_HELPERS:
                with contextlib.suppress(OSError):
                    self._start()


def read_groups(fd: int) -> set[int]:
    """The groups that are left when the pipe ends."""
    groups: set[int] = set()
    with open(fd, "rb") as pipe:
        for line in pipe:
            if line.startswith(b"+"):
                groups.add(int(line[1:]))
            else:
                groups.discard(int(line[1:]))
    return groups


def end(groups: Iterable[int]) -> None:
    """Ask them to end, and kill what is left after a while."""
    left = [group for group in groups if _signal(group, signal.SIGTERM)]
    deadline = time.monotonic() + GRACE_S
    while left and time.monotonic() < deadline:
        select.select([], [], [], _LOOK_S)
        left = [group for group in left if _signal(group, 0)]
    for group in left:
        _signal(group, signal.SIGKILL)


def _signal(group: int, number: int) -> bool:
    """Whether there was anybody to get it."""
    try:
        os.killpg(group, number)
    except (ProcessLookupError, PermissionError):
        return False
    return True


def main() -> None:
    """Wait for the end of the pipe that argv names."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # it ends after the supervisor, not with it
    end(read_groups(int(sys.argv[1])))


if __name__ == "__main__":
    main()
