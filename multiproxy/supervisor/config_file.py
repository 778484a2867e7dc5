"""Whether the configuration file has changed: asked often, answered once it has settled.

It looks, because being told (inotify) fails where it matters: network file systems, container
mounts, and a link that somebody points elsewhere. A change counts when the file, as the path
leads to it now, has other bytes than before and stayed the same for SETTLE_S.
"""

import os
from collections.abc import Callable

LOOK_S = 0.25
SETTLE_S = 0.4  # an editor may write in several steps

_Sight = tuple[str, int, int, int, int]


class ConfigFile:
    """The file at ``path``. ``clock`` gives monotonic seconds."""

    def __init__(self, path: str, clock: Callable[[], float]) -> None:
        self._path = path
        self._clock = clock
        self._look_at = 0.0
        self._seen = self._judged = self._look()
        self._settled_at = 0.0
        self._bytes = self._read()

    def has_changed(self) -> bool:
        """Whether there are new contents to load; True once for each."""
        now = self._clock()
        if now < self._look_at:
            return False
        self._look_at = now + LOOK_S
        sight = self._look()
        if sight != self._seen:
            self._seen = sight
            self._settled_at = now + SETTLE_S
            return False
        # A file that is away comes back: some editors write by removing it first.
        if sight is None or sight == self._judged or now < self._settled_at:
            return False
        self._judged = sight
        before, self._bytes = self._bytes, self._read()
        return self._bytes != before

    def _look(self) -> _Sight | None:
        """Which file the path leads to, and its state; None when there is none."""
        try:
            state = os.stat(self._path)
        except OSError:
            return None
        target = os.path.realpath(self._path)
        return target, state.st_dev, state.st_ino, state.st_mtime_ns, state.st_size

    def _read(self) -> bytes | None:
        try:
            with open(self._path, "rb") as file:
                return file.read()
        except OSError:
            return None
