"""The fault injector: owns the backends, and ends, stops and revives them.

A process of its own, and each backend is a child of it: a simulated llama-server, forked in
milliseconds, so that hundreds can die in a run. It takes commands as lines of JSON on standard
input and answers each with one line. What happens to backends is kept until it is asked for.
When its standard input closes it ends with all its children.

    {"do": "start", "port": 1, "settings": {...}, "lives": [["die:after_events=3"], []]}
    {"do": "kill", "backend": 0}    also "stop", "continue", "remove"; "kill_every" with "seconds"
    {"do": "faults", "backend": 0, "faults": ["cut"]}
    {"do": "events"}
"""

import asyncio
import contextlib
import http.client
import json
import os
import random
import select
import signal
import sys
import time
from dataclasses import dataclass, field
from typing import Any

from multiproxy.simulator import Fault, Server, Settings

TICK_S = 0.02


@dataclass(slots=True)
class Backend:
    """One backend through all its lives.

    ``lives`` are the faults of each life, in turns. It comes back ``rests_s`` after a death,
    or never, if that is negative.
    """

    port: int
    settings: dict[str, Any]
    lives: list[list[str]] = field(default_factory=lambda: [[]])
    rests_s: float = 0.0
    pid: int = 0
    life: int = -1
    back_at: float | None = None

    def start(self) -> None:
        """Begin the next life; returns when it accepts connections."""
        self.life += 1
        self.back_at = None
        faults = [Fault.parse(spec) for spec in self.lives[self.life % len(self.lives)]]
        settings = Settings(control=True, faults=faults, **self.settings)
        ready, told = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            os.close(ready)
            _be_a_backend(settings, self.port, told)
        os.close(told)
        os.read(ready, 1)
        os.close(ready)


def _be_a_backend(settings: Settings, port: int, told: int) -> None:
    """The child: serve until killed."""
    try:
        signal.set_wakeup_fd(-1)
        null = os.open(os.devnull, os.O_RDWR)
        os.dup2(null, 0)
        os.dup2(null, 1)
        os.dup2(null, 2)  # asyncio tells there of every write to a client that left
        asyncio.run(_serve(settings, port, told))
    finally:
        os._exit(1)


async def _serve(settings: Settings, port: int, told: int) -> None:
    # Not uvloop: asyncio hands what is written to the kernel at once, so a backend that dies
    # behind its n-th event has sent n.
    server = Server(settings, die=lambda: os._exit(1))
    await server.listen("127.0.0.1", port)
    os.write(told, b".")
    os.close(told)
    await asyncio.Event().wait()


class Injector:
    """All backends, and what happened to them."""

    def __init__(self) -> None:
        self._backends: list[Backend] = []
        self._events: list[dict[str, Any]] = []
        self._chance = random.Random()
        self._every_s = 0.0
        self._kill_at = float("inf")
        self._rest = b""
        self._deaths, told = os.pipe()
        os.set_blocking(told, False)
        os.set_blocking(self._deaths, False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(told)

    def run(self) -> None:
        """Obey until standard input closes."""
        source = sys.stdin.fileno()
        while True:
            ready = select.select([source, self._deaths], [], [], TICK_S)[0]
            if self._deaths in ready:
                os.read(self._deaths, 65536)
            if source in ready:
                data = os.read(source, 65536)
                if not data:
                    return
                *lines, self._rest = (self._rest + data).split(b"\n")
                for line in lines:
                    print(json.dumps(self._obey(json.loads(line))), flush=True)
            self._bury()
            self._act(time.monotonic())

    def end(self) -> None:
        """Take every backend along."""
        for backend in self._backends:
            self._signal(backend, signal.SIGKILL)

    def _obey(self, command: dict[str, Any]) -> Any:
        what = command.pop("do")
        if what == "start":
            backend = Backend(**command)
            backend.start()
            self._backends.append(backend)
            return len(self._backends) - 1
        if what == "events":
            events, self._events = self._events, []
            return events
        if what == "kill_every":
            self._chance = random.Random(command["seed"])
            self._every_s = command["seconds"]
            self._kill_at = time.monotonic() + self._every_s if self._every_s else float("inf")
            return None
        backend = self._backends[command["backend"]]
        if what == "faults":
            return _control(backend.port, {"faults": command["faults"]})
        if what == "remove":
            backend.rests_s = -1.0
        if what == "revive":
            backend.start()
            return None
        numbers = {"stop": signal.SIGSTOP, "continue": signal.SIGCONT}
        self._signal(backend, numbers.get(what, signal.SIGKILL))
        return time.monotonic()

    def _signal(self, backend: Backend, number: int) -> None:
        if backend.pid:
            os.kill(backend.pid, number)

    def _bury(self) -> None:
        """Note who died, and when it shall live again."""
        with contextlib.suppress(ChildProcessError):
            while (pid := os.waitpid(-1, os.WNOHANG)[0]) != 0:
                number, backend = next(
                    each for each in enumerate(self._backends) if each[1].pid == pid
                )
                now = time.monotonic()
                self._events.append({"died": number, "life": backend.life, "at": now})
                backend.pid = 0
                if backend.rests_s >= 0:
                    backend.back_at = now + backend.rests_s

    def _act(self, now: float) -> None:
        """Do what is due."""
        for backend in self._backends:
            if backend.back_at is not None and now >= backend.back_at:
                backend.start()
        if now >= self._kill_at:
            self._kill_at = now + self._every_s
            living = [backend for backend in self._backends if backend.pid]
            if living:
                self._signal(self._chance.choice(living), signal.SIGKILL)


def _control(port: int, body: dict[str, Any]) -> Any:
    """What the backend answers; None if it is dead or frozen just now."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("POST", "/simulator/fault", json.dumps(body))
        return json.loads(connection.getresponse().read())
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()


if __name__ == "__main__":
    injector = Injector()
    try:
        injector.run()
    finally:
        injector.end()
