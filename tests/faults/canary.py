"""N1: every prompt has a nonce, and no answer may hold another one's.

Clients of all dialects ask, leave and send garbage while a backend is killed every few seconds.
As many requests as wanted, with their seed:

    PYTHONPATH=.:tests:perf python -m faults.canary --requests 1000000
"""

import argparse
import random
import sys
from collections import Counter
from dataclasses import dataclass

from faults.arena import Arena, Report
from faults.asked import PATHS
from faults.books import metrics_of, requests_logged, settled_sockets, sockets

BACKENDS = 4
WORKERS = 2


@dataclass(frozen=True, slots=True)
class Result:
    """A canary run: what the judge said, how often a backend was killed, what was left."""

    report: Report
    kills: int
    before: list[int]  # sockets of each worker
    after: list[int]
    metrics: dict[str, float]
    logged: Counter[str]

    @property
    def told(self) -> str:
        """The figures in one line."""
        asked, garbage = self.of("n"), self.of("garbage")
        return (
            f"{sum(asked.values())} requests {dict(sorted(asked.items()))}, "
            f"{sum(garbage.values())} without HTTP {dict(sorted(garbage.items()))}, "
            f"{self.kills} kills; sockets {self.before} before, {self.after} after"
        )

    def of(self, prefix: str) -> Counter[str]:
        """The classes of requests (``n``) or of garbage (``garbage``)."""
        return Counter(self.report.of_prefix.get(prefix, {}))

    def check(self) -> None:
        """Nothing foreign, nothing hanging, nothing lost, nothing left."""
        asked = self.of("n")
        assert not {"wrong", "hang", "reset"} & asked.keys(), self.report.told
        assert set(self.of("garbage")) <= {"error-before", "reset"}, self.report.told
        assert sum(self.report.outcomes.values()) == self.report.sent
        counted = self.metrics["multiproxy_requests_total"]
        assert counted == sum(self.logged.values()) == self.report.sent
        for name in ("requests_running", "requests_queued", "backend_slots_busy", "live_streams"):
            assert self.metrics[f"multiproxy_{name}"] == 0, name
        pairs = zip(self.after, self.before, strict=True)
        assert all(after <= before for after, before in pairs), self.told


def run(arena: Arena, requests: int, *, kill_s: float, seed: int) -> Result:
    """One run of so many requests."""
    for _ in range(BACKENDS):
        arena.injector.start()
    proxy = arena.serve(workers=WORKERS)
    mix = {"dialects": list(PATHS), "streamed": 0.8, "at_once": 16, "kept": 0.7}
    before = sockets(proxy)  # idle connections to backends among them
    arena.injector.tell("kill_every", seconds=kill_s, seed=seed)
    running = arena.load(proxy.port, requests=requests, seed=seed, leaving=0.3, garbage=0.02, **mix)
    report = running.report(limit_s=7200)
    arena.injector.tell("kill_every", seconds=0, seed=seed)
    kills = len(arena.injector.tell("events"))
    after = settled_sockets(proxy, before)
    counted = metrics_of(proxy, report.sent)
    return Result(report, kills, before, after, counted, requests_logged(proxy))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--requests", type=int, default=100_000)
    parser.add_argument("--kill-every", type=float, default=5.0, metavar="SECONDS")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1_000_000))
    arguments = parser.parse_args()
    arena = Arena()
    try:
        result = run(arena, arguments.requests, kill_s=arguments.kill_every, seed=arguments.seed)
        print(f"seed {arguments.seed}: {result.told}")
        result.check()
    finally:
        arena.end()


if __name__ == "__main__":
    sys.exit(main())
