"""One contestant under one load: what it used and what its clients saw between two marks."""

import json
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import processes
from contestants import Contestant
from figures import Figures
from scenarios import Scenario, gentle

_LOAD = Path(__file__).with_name("load.py")
_SETTLE_S = 1.0  # from all streams flowing to the first mark
_MARGIN_S = 1.5  # streams last this much longer than the last mark
_STRACE_S = 2.0


@dataclass(frozen=True, slots=True)
class Cores:
    """``proxy`` is for the contestant alone."""

    proxy: int
    others: int


class LoadProcess:
    """A running ``load.py``: ``mark`` asks for its counts, ``finish`` waits for its end."""

    def __init__(self, core: int, arguments: list[str]) -> None:
        command = ["taskset", "-c", str(core), sys.executable, str(_LOAD), *arguments]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        )
        self._read()  # the load flows

    def mark(self) -> dict[str, Any]:
        """Counts since the start, latencies since the last mark."""
        assert self._process.stdin is not None
        self._process.stdin.write("mark\n")
        return self._read()

    def finish(self) -> dict[str, Any]:
        """The outcomes of every request."""
        result = self._read()
        self._process.communicate(timeout=30)
        return result

    def _read(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError("the load process ended early")
        read: dict[str, Any] = json.loads(line)
        return read


def measure(
    contestant: Contestant, scenario: Scenario, cores: Cores, run: str, seconds: float
) -> Figures:
    """One steady state: CPU and counts between two marks, then the outcomes of it all.

    Raises:
        RuntimeError, OSError: the contestant or the load has ended.
    """
    pids = processes.tree(contestant.process.pid) if contestant.process else []
    idle = processes.usage(pids)
    load = _load(contestant, scenario, cores, run, seconds)
    time.sleep(_SETTLE_S)
    load.mark()
    before, at = [processes.usage([pid]) for pid in pids], load.mark()
    time.sleep(seconds)
    after, end = [processes.usage([pid]) for pid in pids], load.mark()
    result = load.finish()
    count, elapsed = end["done"] - at["done"], end["at"] - at["at"]
    figures: Figures = {
        "per_second": count / elapsed,
        "p50_us": end["p50_us"],
        "p99_us": end["p99_us"],
        "max_us": end["max_us"],
        "outcomes": result["outcomes"],
        "why": result["why"],
    }
    if pids and count:
        spent = [late.cpu_s - early.cpu_s for early, late in zip(before, after, strict=True)]
        figures["cpu_us"] = sum(spent) * 1e6 / count
        figures["cpu_us_by_process"] = [round(one * 1e6 / count, 2) for one in spent]
        figures["core_share"] = sum(spent) / elapsed
        figures["system_share"] = _system_share(before, after)
        if scenario.memory:
            grown = sum(one.rss for one in after) - idle.rss
            figures["rss_per_stream"] = grown / scenario.streams
    if result["first_p50_us"]:
        figures["first_p50_us"] = result["first_p50_us"]
        figures["first_p99_us"] = result["first_p99_us"]
    return figures


def _system_share(before: list[processes.Usage], after: list[processes.Usage]) -> float:
    """The kernel's part of the CPU used between two moments."""
    system = sum(one.system_ticks for one in after) - sum(one.system_ticks for one in before)
    user = sum(one.user_ticks for one in after) - sum(one.user_ticks for one in before)
    return system / max(1, user + system)


def count_calls(
    contestant: Contestant, scenario: Scenario, cores: Cores, run: str, *, skip: int = 0
) -> Figures:
    """System calls per event or request, at a tenth of the load: a traced process is slow.

    All of it is traced, beginnings and ends too, so that calls and events are of the same time.
    The first ``skip`` processes are not looked at.

    Raises:
        RuntimeError, OSError: the contestant or the load has ended, or strace cannot attach.
    """
    assert contestant.process is not None
    counter = processes.CallCounter(processes.tree(contestant.process.pid)[skip:])
    counter.start()
    try:
        result = _load(contestant, gentle(scenario), cores, run, _STRACE_S).finish()
    finally:
        calls = counter.stop()
    done = result["done"]
    if not done:
        raise RuntimeError(f"nothing came while calls were counted: {result['why']}")
    by_name = {name: round(count / done, 3) for name, count in calls.items()}
    return {
        "calls": sum(calls.values()) / done,
        "transfers": sum(calls.get(name, 0) for name in processes.TRANSFERS) / done,
        "calls_by_name": dict(sorted(by_name.items(), key=lambda item: -item[1])[:8]),
        "outcomes": result["outcomes"],
        "why": result["why"],
    }


def _load(
    contestant: Contestant, scenario: Scenario, cores: Cores, run: str, seconds: float
) -> LoadProcess:
    planned = seconds + _SETTLE_S + _MARGIN_S
    where = ["--url", contestant.address, "--run", run]
    return LoadProcess(cores.others, where + scenario.arguments(planned))
