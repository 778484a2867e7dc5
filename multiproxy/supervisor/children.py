"""Child processes: started with inherited descriptors, reaped when SIGCHLD says so."""

import subprocess
from collections.abc import Callable, Mapping, Sequence

from multiproxy.supervisor import own_code

OnExit = Callable[[int], None]


class Children:
    """All processes the supervisor started. ``reap`` calls each one's ``on_exit`` once."""

    def __init__(self) -> None:
        self._running: dict[int, tuple[subprocess.Popen[bytes], OnExit]] = {}

    def start(
        self,
        command: Sequence[str],
        inherit: Sequence[int],
        on_exit: OnExit,
        *,
        silent: bool = False,
        output: int | None = None,
        environ: Mapping[str, str] | None = None,
    ) -> "subprocess.Popen[bytes]":
        """Run ``command`` with the descriptors ``inherit`` under their numbers.

        ``on_exit`` gets the exit status, negative for the signal that ended it. What a
        ``silent`` one prints is thrown away, its errors are not; ``output`` is a descriptor that
        gets both. ``environ`` is its environment, by default what our own code needs.

        Raises:
            OSError: the system has no room for another process, or there is no such program.
        """
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL if silent else output,
            stderr=output,
            env=own_code.environ() if environ is None else environ,
            pass_fds=inherit,
            # Ctrl+C in a terminal goes to its whole process group, but a worker must not end
            # before the supervisor has decided to drain.
            process_group=0,
        )
        self._running[process.pid] = (process, on_exit)
        return process

    def reap(self) -> None:
        """Collect every process that has ended."""
        for pid, (process, on_exit) in list(self._running.items()):
            status = process.poll()
            if status is not None:
                del self._running[pid]
                on_exit(status)

    def kill_all(self) -> None:
        """End every process now and wait for it."""
        for process, _ in self._running.values():
            process.kill()
        for process, _ in self._running.values():
            process.wait()
        self.reap()

    def __len__(self) -> int:
        return len(self._running)
