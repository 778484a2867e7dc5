"""A folder for files that must not outlive this process: in memory where the system can."""

import shutil
import tempfile
from pathlib import Path

_IN_MEMORY = Path("/dev/shm")


class PrivateFolder:
    """A folder that only this user can read, gone after ``remove``."""

    def __init__(self) -> None:
        base = _IN_MEMORY if _IN_MEMORY.is_dir() else None
        try:
            self._path = Path(tempfile.mkdtemp(prefix="multiproxy-", dir=base))
        except OSError:  # /dev/shm may be read-only in a container
            self._path = Path(tempfile.mkdtemp(prefix="multiproxy-"))

    def file(self, name: str) -> str:
        """Return the path of a file in it."""
        return str(self._path / name)

    def remove(self) -> None:
        """Delete it with everything in it. Idempotent."""
        shutil.rmtree(self._path, ignore_errors=True)
