"""What goes wrong during a soak, and when: one act after another, each in its own rhythm.

Kills are the injector's (``kill_every``) and leaving clients the load's; the rest is here. Acts
only begin things: what they begin ends by itself, or by a later act.
"""

import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress

import yaml
from faults.arena import ENVIRONMENT, Arena
from faults.toxic import WHOLE
from multiproxy_process import MultiProxyProcess, free_port

SETTLES_S = 120.0  # from the last reload until the old workers are gone
FROZEN_S = 25.0  # longer than three probes
CROWD_S = 30.0
CROWD = 4  # clients of each kind
MIB = 1 << 20
HARM = (
    "cut:after_events=3,count=5",
    "cut:after_events=2,reset=1,count=5",
    "stall:after_events=3,count=2",
    "error-event:after_events=3,count=5",
    "early-end:after_events=2,count=5",
    "no-terminator:count=5",
    "bad-chunk-size:after_events=2,count=5",
    "length-and-chunked:count=5",
    "extra-bytes:count=5",
    "switching-protocols:count=2",
    "endless-1xx:count=2",
    "status:status=503,retry_after=1,count=5",
    "status:status=500,count=5",
    "late-release:seconds=2,count=5",
    "die:after_events=2,count=1",
)
# Timeouts of the proxy that these acts must run into within minutes.
TIMEOUTS = {"idle": "8s", "write_stall": "10s", "head": "5s", "body_idle": "5s", "drain": "60s"}

HEAD = "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"


def chat(text: str, **more: object) -> bytes:
    """A streamed request, whole."""
    body = json.dumps({"stream": True, "messages": [{"role": "user", "content": text}], **more})
    return f"{HEAD}Content-Length: {len(body)}\r\n\r\n{body}".encode()


def large(body: bytes) -> bytes:
    """A request whose body is refused, once it is looked at."""
    return f"{HEAD}Connection: close\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


CROWDS = (
    chat("never read", max_tokens=1_000_000, ignore_eos=True),
    HEAD.encode(),  # a head without an end
    f"{HEAD}Content-Length: 1000\r\n\r\n{{".encode(),  # a body without one
    b"",  # says nothing at all
)
BODIES = (
    large(b'{"messages":[' + b"{}," * (2 * MIB) + b"{}]}"),
    large(json.dumps({"messages": [{"role": "user", "content": "x " * (2 * MIB)}]}).encode()),
)


class Troubles:
    """All acts of one run. Call ``act`` about every second; ``done`` counts what was done."""

    def __init__(self, arena: Arena, proxy: MultiProxyProcess, seed: int, settled: float) -> None:
        """Behind the moment ``settled`` no worker is replaced, so that each can be watched."""
        self.done: Counter[str] = Counter()
        self._settled = settled
        self._arena = arena
        self._proxy = proxy
        self._chance = random.Random(seed)
        self._config = yaml.safe_load(proxy.config_path.read_text())
        self._crowd: list[socket.socket] = []
        self._frozen = -1
        self._is_less = False
        now = time.monotonic()
        acts: list[tuple[float, Callable[[], None]]] = [
            (45.0, self._spoil_answers),
            (60.0, self._reload),
            (60.0, self._crowd_in),
            (120.0, self._send_large_bodies),
            (180.0, self._freeze),
            (240.0, self._kill_worker),
        ]
        self._due = [(now + every / 2, every, act) for every, act in acts]

    def act(self, now: float) -> None:
        """Do what is due."""
        for number, (due, every, act) in enumerate(self._due):
            if now >= due:
                self._due[number] = (due + every, every, act)
                act()
                self.done[act.__name__.strip("_")] += 1

    def end(self) -> None:
        """All backends run again, all clients are gone."""
        self._thaw()
        self._crowd_out()

    def _spoil_answers(self) -> None:
        """The next answers of a backend that is not frozen are those of another bad server."""
        backend = self._chance.randrange(len(self._arena.injector.ports))
        if backend != self._frozen:
            harm = HARM[self.done["spoil_answers"] % len(HARM)]
            self._arena.injector.tell("faults", backend=backend, faults=[harm])

    def _reload(self) -> None:
        """In turns: one backend less, all backends, a file that cannot be read; later only that.

        A reload replaces the workers.
        """
        turn = self.done["reload"] % 3
        if time.monotonic() > self._settled - SETTLES_S:
            turn = 1 if self._is_less else 2
        if turn == 0:
            less = self._config | {"backends": self._config["backends"][:-1]}
            self._proxy.write_config(less)
            self._is_less = True
        else:
            self._proxy.write_config(self._config if turn == 1 else "backends: [")
            self._is_less = self._is_less and turn != 1
        self._proxy.reload()

    def _crowd_in(self) -> None:
        """Clients that never read, or never end what they began; the last crowd leaves."""
        self._crowd_out()
        for said in CROWDS * CROWD:
            client = socket.create_connection(("127.0.0.1", self._proxy.port), timeout=5)
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            with suppress(OSError):
                client.sendall(said)
            self._crowd.append(client)

    def _crowd_out(self) -> None:
        while self._crowd:
            self._crowd.pop().close()

    def _send_large_bodies(self) -> None:
        for body in BODIES:
            with (
                suppress(OSError),
                socket.create_connection(("127.0.0.1", self._proxy.port), timeout=20) as client,
            ):
                client.sendall(body)
                while client.recv(65536):
                    pass

    def _kill_worker(self) -> None:
        """One ends at once; the supervisor starts another."""
        if time.monotonic() < self._settled - SETTLES_S:
            os.kill(self._proxy.worker_pids()[0], signal.SIGKILL)

    def _freeze(self) -> None:
        """One backend stops, as if its machine hung; the next act but three thaws it."""
        self._frozen = self._chance.randrange(len(self._arena.injector.ports))
        self._arena.injector.tell("stop", backend=self._frozen)
        self._due.append((time.monotonic() + FROZEN_S, float("inf"), self._thaw))

    def _thaw(self) -> None:
        if self._frozen >= 0:
            self._arena.injector.tell("continue", backend=self._frozen)
            self._frozen = -1
        self._due = [each for each in self._due if each[2] != self._thaw]


def bad_wire(arena: Arena, seed: int) -> subprocess.Popen[bytes]:
    """Lay a slow and slicing wire before the last backend; its port takes the backend's place."""
    port = free_port()
    flags = map(str, (port, arena.injector.ports[-1], seed, *WHOLE))
    wire = subprocess.Popen(
        [sys.executable, "-m", "faults.toxic", *flags], env=ENVIRONMENT, stdout=subprocess.PIPE
    )
    assert wire.stdout is not None
    wire.stdout.readline()
    arena.injector.ports[-1] = port
    return wire
