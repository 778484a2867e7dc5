"""A whole MultiProxy, started as users start it, for tests that look at it from outside."""

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml
from asking import ask
from waiting import until

ROOT = Path(__file__).parent.parent
READY_LIMIT_S = 20.0
ALL_SERVE = '"ready: '  # the supervisor's line when its first workers all serve
TRACEBACK = "Traceback (most recent call last)"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def memory_of(pid: int) -> int:
    """Return the bytes of memory that a process holds for itself: no files, nothing shared."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) * 1024
    raise LookupError(pid)


class MultiProxyProcess:
    """``multiproxy serve`` with its workers, in a process group of its own.

    ``config`` is config.yaml as text, or what it holds; the listeners and the number of workers
    are given as flags. ``url`` is the API without ``/v1``. Usable once `wait_until_ready` returned.
    """

    def __init__(
        self,
        config: dict[str, Any] | str,
        folder: Path,
        *,
        workers: int = 1,
        environment: dict[str, str] | None = None,
    ) -> None:
        self.config_path = folder / "config.yaml"
        self.write_config(config)
        self._log_path = folder / "multiproxy.log"
        self.port, self.dashboard_port = free_port(), free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.dashboard_url = f"http://127.0.0.1:{self.dashboard_port}"
        command = [sys.executable, "-m", "multiproxy", "serve"]
        command += ["--config", str(self.config_path), "--workers", str(workers)]
        command += ["--listen", f"127.0.0.1:{self.port}"]
        command += ["--dashboard", f"127.0.0.1:{self.dashboard_port}"]
        with self._log_path.open("wb") as log:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=os.environ
                | {"PYTHONPATH": str(ROOT), "XDG_STATE_HOME": str(folder)}
                | (environment or {}),
                start_new_session=True,
            )

    def write_config(self, config: dict[str, Any] | str) -> None:
        """Replace config.yaml in one step, as an editor does; SIGHUP makes it count."""
        text = config if isinstance(config, str) else yaml.safe_dump(config, sort_keys=False)
        draft = self.config_path.with_suffix(".new")
        draft.write_text(text)
        draft.replace(self.config_path)

    # -- what it does --------------------------------------------------------------------------

    @property
    def pid(self) -> int:
        return self._process.pid

    def ask(self, method: str, target: str, body: object = None) -> tuple[int, Any]:
        """Return (status, JSON answer) of one request to the API."""
        return ask(self.url, method, target, body)

    def worker_pids(self) -> list[int]:
        return [pid for pid, arguments in self._children() if "worker" in arguments]

    def _children(self) -> list[tuple[int, list[str]]]:
        columns = ["-o", "pid=", "-o", "ppid=", "-o", "args="]
        table = subprocess.run(["ps", "-A", *columns], capture_output=True, text=True, check=True)
        rows = [line.split() for line in table.stdout.splitlines()]
        return [
            (int(pid), arguments) for pid, parent, *arguments in rows if int(parent) == self.pid
        ]

    def log_text(self) -> str:
        return self._log_path.read_text(errors="replace")

    def log_lines(self) -> list[dict[str, Any]]:
        """Return what it logged so far: one mapping per whole JSON line."""
        whole, _, _ = self.log_text().rpartition("\n")
        return [json.loads(line) for line in whole.splitlines() if line.startswith("{")]

    def wait_for_log(
        self, wanted: Callable[[dict[str, Any]], bool], limit_s: float = 10.0
    ) -> dict[str, Any]:
        """Return the first log line that is ``wanted``; lines come just after the answer's end."""
        try:
            return until(lambda: next(filter(wanted, self.log_lines()), None), limit_s)
        except TimeoutError as error:
            raise AssertionError(f"no such log line:\n{self.log_text()}") from error

    def wait_for_requests(self, count: int) -> list[dict[str, Any]]:
        """Return the access-log lines once there are ``count``; more or fewer fail the test."""

        def lines() -> list[dict[str, Any]]:
            return [line for line in self.log_lines() if line.get("event") == "request"]

        try:
            until(lambda: len(lines()) >= count)
        finally:
            assert len(lines()) == count, self.log_text()
        return lines()

    # -- its life ------------------------------------------------------------------------------

    def wait_until_ready(self) -> None:
        """Return once all of its workers serve, and one of them knows a backend.

        Raises RuntimeError when it ended, or did not become ready in time.
        """
        try:
            until(lambda: self._has_ended() or self._is_ready(), READY_LIMIT_S)
        except TimeoutError:
            self.end()
        if self._has_ended():
            raise RuntimeError(f"MultiProxy is not ready:\n{self.log_text()}")

    def _has_ended(self) -> bool:
        return self._process.poll() is not None

    def _is_ready(self) -> bool:
        if ALL_SERVE not in self.log_text():
            return False
        try:
            status, _ = self.ask("GET", "/readyz")
        except (OSError, http.client.HTTPException):
            return False
        return status == 200

    def reload(self) -> None:
        self._process.send_signal(signal.SIGHUP)

    def terminate(self) -> None:
        """Ask it to finish its requests and end; a second time: to end now."""
        self._process.terminate()

    def wait(self, limit_s: float = 20.0) -> int:
        """Return its exit code. Raises TimeoutExpired."""
        return self._process.wait(limit_s)

    def end(self) -> None:
        """End it and everything it started at once; may be called twice."""
        try:
            os.killpg(self._process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass  # the whole group is gone
        self._process.wait()
