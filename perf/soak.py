"""Does anything grow? Hours of every kind of request and fault, and what the processes hold.

    PYTHONPATH=.:tests:perf python perf/soak.py --hours 2

Clients of all dialects ask, leave early or speak no HTTP; a backend is killed again and again,
and everything of ``soak_troubles`` happens. The judge of the fault runs (``tests/faults``) looks
at every answer. The private memory and the descriptors of each process are read every ten
seconds; behind the warm-up a line is laid through the memory by least squares. Reloads and kills
of workers, which replace them, are for the warm-up. It exits with 1 if an answer was wrong or
hung, if the log has a traceback, if memory rises faster than ``--most``, or if a socket, a task or
a timer is left behind.
"""

import argparse
import json
import os
import random
import re
import signal
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from faults.arena import Arena, Report
from faults.asked import PATHS
from faults.books import sockets
from multiproxy_process import TRACEBACK, MultiProxyProcess, memory_of
from waiting import until

from soak_troubles import TIMEOUTS, Troubles, bad_wire

BACKENDS = 3
WORKERS = 2
SAMPLE_S = 10.0
KILL_S = 20.0
RESTS_S = 1.0  # of a backend that was killed
IDLE_S = 60.0  # behind the load, before what is left is counted
TELL_S = 300.0
MIB = 1 << 20
MIX = {
    "dialects": list(PATHS), "streamed": 0.8, "tokens": (3, 60), "at_once": 16, "kept": 0.7,
    "leaving": 0.2, "garbage": 0.02, "pause_s": 0.1, "limit_s": 90.0,
}  # fmt: skip


@dataclass(slots=True)
class Process:
    """One process of MultiProxy and its samples: seconds since the start, bytes, descriptors."""

    name: str
    pid: int
    at: list[float] = field(default_factory=list)
    memory: list[int] = field(default_factory=list)
    descriptors: list[int] = field(default_factory=list)

    def look(self, now: float) -> None:
        """Add a sample. The scoreboard is shared memory and does not count."""
        self.at.append(now)
        self.memory.append(memory_of(self.pid))
        self.descriptors.append(sum(1 for _ in Path(f"/proc/{self.pid}/fd").iterdir()))

    @property
    def slope(self) -> float:
        """MiB per hour."""
        samples = list(zip(self.at, self.memory, strict=True))
        if len(samples) < 2:
            return 0.0
        mean_at = sum(at for at, _ in samples) / len(samples)
        mean = sum(memory for _, memory in samples) / len(samples)
        rise = sum((at - mean_at) * (memory - mean) for at, memory in samples)
        return rise / sum((at - mean_at) ** 2 for at, _ in samples) * 3600 / MIB

    def told(self) -> str:
        """The last sample."""
        return f"{self.name} {self.memory[-1] / MIB:.1f} MiB, {self.descriptors[-1]} descriptors"


@dataclass(frozen=True, slots=True)
class Result:
    """What the judge said, the samples, what was done, and what each worker holds when idle.

    ``before`` and ``after``: sockets, tasks and timers of each worker.
    """

    report: Report
    processes: list[Process]
    done: Counter[str]
    before: list[dict[str, int]]
    after: list[dict[str, int]]
    bugs: list[str]  # tracebacks in the log, each once


def held(proxy: MultiProxyProcess, counts: Path) -> list[dict[str, int]]:
    """What each worker holds now: see ``tests/faults/sabotage``."""
    holds = []
    for pid, of_sockets in zip(proxy.worker_pids(), sockets(proxy), strict=True):
        told = counts / str(pid)
        told.unlink(missing_ok=True)
        os.kill(pid, signal.SIGUSR2)
        until(told.exists)
        holds.append({"sockets": of_sockets, **json.loads(told.read_text())})
    return holds


def least_held(proxy: MultiProxyProcess, counts: Path) -> list[dict[str, int]]:
    """The least that each worker holds within half a minute: between two probes."""
    looks = []
    for _ in range(30):
        looks.append(held(proxy, counts))
        time.sleep(1)
    names = looks[0][0]
    return [
        {name: min(each[name] for each in of) for name in names} for of in zip(*looks, strict=True)
    ]


def _processes(proxy: MultiProxyProcess) -> list[Process]:
    workers = [Process(f"worker {n}", pid) for n, pid in enumerate(proxy.worker_pids())]
    return [Process("supervisor", proxy.pid), *workers]


def soak(arena: Arena, seconds: float, warm_up_s: float, seed: int, folder: Path) -> Result:
    """Run it."""
    for _ in range(BACKENDS):
        arena.injector.start(settings={"tokens_per_second": 500}, rests_s=RESTS_S)
    wire = bad_wire(arena, seed)
    os.environ["MULTIPROXY_COUNTS"] = str(folder)
    proxy = arena.serve(
        workers=WORKERS, history={"path": str(folder / "history.db")}, timeouts=TIMEOUTS
    )
    before = least_held(proxy, folder)
    arena.injector.tell("kill_every", seconds=KILL_S, seed=seed)
    running = arena.load(proxy.port, requests=10**9, seconds=seconds, seed=seed, **MIX)
    began = sampled = told = time.monotonic()
    settled = began + warm_up_s
    troubles = Troubles(arena, proxy, seed, settled)
    processes: list[Process] = []
    while running.is_running():
        now = time.monotonic()
        troubles.act(now)
        if now >= settled and now - sampled >= SAMPLE_S:
            sampled = now
            processes = processes or _processes(proxy)
            for process in processes:
                process.look(now - began)
        if now - told >= TELL_S:
            told = now
            line = "; ".join(process.told() for process in processes)
            print(f"{(now - began) / 60:.0f} min: {line}", flush=True)
        time.sleep(1)
    arena.injector.tell("kill_every", seconds=0, seed=seed)
    troubles.end()
    report = running.report()
    time.sleep(IDLE_S)
    after = least_held(proxy, folder)
    wire.kill()
    wire.wait()
    return Result(report, processes, troubles.done, before, after, bugs(proxy.log_text()))


def bugs(log: str) -> list[str]:
    """The tracebacks of a log, each once."""
    pattern = rf"^{re.escape(TRACEBACK)}:\n(?:[^{{\n].*\n)+"
    return sorted(set(re.findall(pattern, log, re.MULTILINE)))


def main() -> int:
    """Run, print, judge."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--hours", type=float, default=2.0)
    parser.add_argument("--warm-up", type=float, default=0.5, metavar="HOURS")
    parser.add_argument("--most", type=float, default=0.5, metavar="MIB_PER_HOUR")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1_000_000))
    arguments = parser.parse_args()
    print(f"seed {arguments.seed}", flush=True)
    arena = Arena()
    try:
        with tempfile.TemporaryDirectory(prefix="soak-") as folder:
            warm_up_s = arguments.warm_up * 3600
            result = soak(arena, arguments.hours * 3600, warm_up_s, arguments.seed, Path(folder))
    finally:
        arena.end()
    print(result.report.told)
    print(f"done besides kills: {dict(result.done)}")
    slopes = {each.name: each.slope for each in result.processes}
    for process in result.processes:
        print(f"{process.told()}, {slopes[process.name]:+.2f} MiB/h behind the warm-up")
    print(f"held before: {result.before}\nheld after:  {result.after}")
    print("\n".join(["bugs of ours:", *result.bugs]) if result.bugs else "no traceback in the log")
    is_right = not result.bugs and not {"wrong", "hang"} & set(result.report.outcomes)
    is_clean = all(
        mine[name] <= its[name]
        for its, mine in zip(result.before, result.after, strict=True)
        for name in its
    )
    return 0 if is_right and is_clean and max(slopes.values()) <= arguments.most else 1


if __name__ == "__main__":
    sys.exit(main())
