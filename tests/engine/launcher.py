"""Starts and ends real llama.cpp servers for tests."""

import json
import select
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from asking import ask

SCRIPT = Path(__file__).parent / "llama_serve.py"
LOADING_LIMIT_S = 30.0


class Engine:
    """One running llama-server; ``url`` is where it answers, ``log`` what it wrote to stderr."""

    def __init__(self, model: Path, log: Path, parameters: dict[str, object]) -> None:
        self.log = log
        self._command = [sys.executable, str(SCRIPT), str(model)]
        self._parameters = {"port": 0} | parameters
        self._start()

    def _start(self) -> None:
        with self.log.open("ab") as stderr:
            self._process = subprocess.Popen(
                [*self._command, json.dumps(self._parameters)],
                stdout=subprocess.PIPE,
                stderr=stderr,
                text=True,
            )
        assert self._process.stdout is not None
        readable, _, _ = select.select([self._process.stdout], [], [], LOADING_LIMIT_S)
        line = self._process.stdout.readline() if readable else ""
        if not line.startswith("READY "):
            self.end()
            raise RuntimeError(f"llama-server did not start:\n{self.log.read_text()[-4000:]}")
        self.url = line.split()[1]
        self.port = int(self.url.rpartition(":")[2])

    @property
    def pid(self) -> int:
        return self._process.pid

    def kill(self) -> None:
        """End it as a crash would: the kernel closes its connections."""
        self._process.kill()
        self._process.wait()

    def freeze(self) -> None:
        """Let it hang: its port still accepts, nothing answers."""
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._process.send_signal(signal.SIGCONT)

    def restart(self) -> None:
        """Start it again after `kill`, on the same port."""
        self.end()
        self._parameters["port"] = self.port
        self._start()

    def end(self) -> None:
        """Make sure that it is gone, whatever its state; may be called twice."""
        self._process.kill()
        self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()

    def ask(self, method: str, path: str, body: object = None) -> tuple[int, Any]:
        """Return (status, JSON answer) of one request that goes to it directly."""
        return ask(self.url, method, path, body)

    def busy_slots(self) -> int:
        _, slots = self.ask("GET", "/slots")
        return sum(slot["is_processing"] for slot in slots)
