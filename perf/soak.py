"""Does anything grow? Hours of every kind of request and fault, and what the processes hold.

    PYTHONPATH=.:tests:perf python perf/soak.py --hours 2

Clients of all dialects ask, leave early or speak no HTTP, and a backend is killed again and
again; the judge of the fault runs (``tests/faults``) looks at every answer. The private memory
and the descriptors of each process are read every ten seconds; behind the warm-up a line is laid
through the memory by least squares. It exits with 1 if an answer was wrong or hung, if memory
rises faster than ``--most``, or if a socket is left behind.
"""

import argparse
import random
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

from faults.arena import Arena, Report
from faults.asked import PATHS
from faults.books import settled_sockets, sockets
from multiproxy_process import memory_of

BACKENDS = 3
WORKERS = 2
SAMPLE_S = 10.0
KILL_S = 20.0
TELL_S = 300.0
MIB = 1 << 20
MIX = {
    "dialects": list(PATHS), "streamed": 0.8, "tokens": (3, 60), "at_once": 16, "kept": 0.7,
    "leaving": 0.2, "garbage": 0.02, "pause_s": 0.1,
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

    def slope(self, since: float) -> float:
        """MiB per hour behind ``since``."""
        samples = [each for each in zip(self.at, self.memory, strict=True) if each[0] >= since]
        if len(samples) < 2:
            return 0.0
        mean_at = sum(at for at, _ in samples) / len(samples)
        mean = sum(memory for _, memory in samples) / len(samples)
        rise = sum((at - mean_at) * (memory - mean) for at, memory in samples)
        return rise / sum((at - mean_at) ** 2 for at, _ in samples) * 3600 / MIB

    def told(self) -> str:
        """The last sample."""
        return f"{self.name} {self.memory[-1] / MIB:.1f} MiB, {self.descriptors[-1]} descriptors"


def soak(
    arena: Arena, seconds: float, seed: int, history: Path
) -> tuple[Report, list[Process], bool]:
    """Run it; returns the judge's report, the samples, and whether all sockets are gone again."""
    for _ in range(BACKENDS):
        arena.injector.start(settings={"tokens_per_second": 500})
    proxy = arena.serve(workers=WORKERS, history={"path": str(history)})
    workers = [Process(f"worker {n}", pid) for n, pid in enumerate(proxy.worker_pids())]
    processes = [Process("supervisor", proxy.pid), *workers]
    before = sockets(proxy)
    arena.injector.tell("kill_every", seconds=KILL_S, seed=seed)
    running = arena.load(proxy.port, requests=10**9, seconds=seconds, seed=seed, **MIX)
    began = told = time.monotonic()
    while running.is_running():
        now = time.monotonic()
        for process in processes:
            process.look(now - began)
        if now - told >= TELL_S:
            told = now
            line = "; ".join(process.told() for process in processes)
            print(f"{(now - began) / 60:.0f} min: {line}", flush=True)
        time.sleep(SAMPLE_S)
    arena.injector.tell("kill_every", seconds=0, seed=seed)
    report = running.report()
    return report, processes, settled_sockets(proxy, before) == before


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
            report, processes, is_clean = soak(
                arena, arguments.hours * 3600, arguments.seed, Path(folder, "history.db")
            )
    finally:
        arena.end()
    print(report.told)
    slopes = {each.name: each.slope(arguments.warm_up * 3600) for each in processes}
    for process in processes:
        print(f"{process.told()}, {slopes[process.name]:+.2f} MiB/h behind the warm-up")
    print("all sockets are gone" if is_clean else "sockets are left")
    is_right = not {"wrong", "hang"} & set(report.outcomes)
    return 0 if is_right and is_clean and max(slopes.values()) <= arguments.most else 1


if __name__ == "__main__":
    sys.exit(main())
