"""A whole fault run: backends that an injector owns, MultiProxy, a load and its judge.

Each is a process of its own. ``Arena`` starts and ends them; ``Report`` is the judge's verdict.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from multiproxy_process import ROOT, MultiProxyProcess, free_port

PATHS = os.pathsep.join(str(ROOT / part) for part in ("", "tests", "perf"))
ENVIRONMENT = os.environ | {"PYTHONPATH": PATHS}
SABOTAGE = ROOT / "tests/faults/sabotage"  # its sitecustomize runs first in every worker

FAST = {"tokens_per_second": 0, "prompt_tokens_per_second": 0, "slots": 16}


@dataclass(frozen=True, slots=True)
class Report:
    """What the judge said. ``all`` has every request, in the order of their ends, if asked."""

    sent: int
    outcomes: Counter[str]
    of_prefix: dict[str, dict[str, int]]
    examples: dict[str, list[str]]
    all: list[dict[str, Any]]

    def check(self, *allowed: str) -> None:
        """Every request is in exactly one class, and in one of those that are allowed."""
        assert sum(self.outcomes.values()) == self.sent
        assert set(self.outcomes) <= set(allowed), self.told

    @property
    def told(self) -> str:
        """One line for people, and the first examples of what was not right."""
        lines = [f"{self.sent} requests: {dict(sorted(self.outcomes.items()))}"]
        for outcome, examples in self.examples.items():
            lines += [f"  {outcome}: {example}" for example in examples]
        return "\n".join(lines)


class Running:
    """A load that runs, and its judge."""

    def __init__(self, wanted: dict[str, Any], *, keeps_all: bool) -> None:
        command = [sys.executable, "-m", "faults.judge_process", *(["--all"] if keeps_all else [])]
        self._judge = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=ENVIRONMENT
        )
        self._load = subprocess.Popen(
            [sys.executable, "-m", "faults.load", json.dumps(wanted)],
            stdout=self._judge.stdin,
            env=ENVIRONMENT,
        )
        assert self._judge.stdin is not None
        self._judge.stdin.close()  # the load holds it alone, so its end is the judge's

    def is_running(self) -> bool:
        return self._load.poll() is None

    def stop(self) -> None:
        """Let it ask nothing new, and finish what runs."""
        self._load.send_signal(signal.SIGUSR1)

    def report(self, limit_s: float = 600.0) -> Report:
        """Wait for the end of the load, and return the judge's verdict."""
        with self._judge, self._load:
            assert self._judge.stdout is not None
            try:
                assert self._load.wait(limit_s) == 0, "the load failed"
                told = json.loads(self._judge.stdout.read())
            finally:
                self._load.kill()
                self._judge.kill()
        return Report(**told | {"outcomes": Counter(told["outcomes"])})


class Injector:
    """The injector's process; ``backend`` numbers count from 0 in the order of their starts."""

    def __init__(self) -> None:
        self.ports: list[int] = []
        self._process = subprocess.Popen(
            [sys.executable, "-m", "faults.injector"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=ENVIRONMENT,
        )

    def tell(self, what: str, **more: Any) -> Any:
        """Give one command; returns its answer."""
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(json.dumps({"do": what, **more}).encode() + b"\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())

    def start(self, lives: list[list[str]] | None = None, **more: Any) -> int:
        """Start a backend; ``more`` are members of the injector's ``Backend``."""
        port = free_port()
        self.ports.append(port)
        settings = FAST | more.pop("settings", {})
        return self.tell("start", port=port, settings=settings, lives=lives or [[]], **more)

    def end(self) -> None:
        """End it and all backends."""
        with self._process:
            assert self._process.stdin is not None
            self._process.stdin.close()


class Arena:
    """Backends, a MultiProxy in front of them, and loads on demand."""

    def __init__(self) -> None:
        self.injector = Injector()
        self._folder = tempfile.TemporaryDirectory(prefix="multiproxy-faults-")
        self.proxies: list[MultiProxyProcess] = []

    def serve(
        self, *, workers: int = 1, backends: list[int] | None = None,
        **config: Any,
    ) -> MultiProxyProcess:  # fmt: skip
        """Start a MultiProxy for all backends, or those; without a defence if one is sabotaged."""
        ports = self.injector.ports if backends is None else backends
        listed = [
            {"id": f"b{number}", "url": f"http://127.0.0.1:{port}"}
            for number, port in enumerate(ports)
        ]
        environment = {}
        if {"MULTIPROXY_SABOTAGE", "MULTIPROXY_CLOCK", "MULTIPROXY_COUNTS"} & os.environ.keys():
            environment = {"PYTHONPATH": os.pathsep.join((str(SABOTAGE), PATHS))}
        folder = Path(self._folder.name, str(len(self.proxies)))
        folder.mkdir()
        config = {"backends": listed, "history": False, "log": {"format": "json"}, **config}
        proxy = MultiProxyProcess(config, folder, workers=workers, environment=environment)
        self.proxies.append(proxy)
        proxy.wait_until_ready()
        return proxy

    def load(self, port: int, *, keeps_all: bool = False, **wanted: Any) -> Running:
        """Let a load run; see ``load.Wanted``."""
        return Running({"port": port, **wanted}, keeps_all=keeps_all)

    def end(self) -> None:
        """End everything."""
        for proxy in self.proxies:
            proxy.end()
        self.injector.end()
        self._folder.cleanup()
