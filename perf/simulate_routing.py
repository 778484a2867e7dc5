"""Compare routing policies on simulated agent traffic: ``python perf/simulate_routing.py``.

Discrete events, no clock and no sockets; the same seed gives the same figures. ``multiproxy``
is the code of ``multiproxy/routing`` itself, with what it learns from answers only.
"""

import argparse
import gc
import sys
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from resource import RUSAGE_SELF, getrusage
from statistics import fmean
from time import perf_counter

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from routing_fleet import Backend, Clock
from routing_policies import POLICIES, Ours, Policy
from routing_traffic import Request, Session, Traffic

SLOTS = 4
PREFILL = 4000.0  # tokens per second
DECODE = 50.0
LARGE = 100_000  # requests: then the memory is told, too


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one policy made of the traffic. Times in seconds."""

    policy: str
    requests: int
    prompt: int
    read: int  # prompt tokens that were not in a cache
    ttft: Sequence[float]  # sorted
    makespan: float
    imbalance: float  # the busiest backend's requests over the mean
    placement_us: float | None
    memory: tuple[int, ...]  # MiB of the process, after each tenth of the requests

    def percentile(self, share: float) -> float:
        return self.ttft[min(len(self.ttft) - 1, int(len(self.ttft) * share))]


class Tally:
    """What ended requests add up to: 8 bytes are kept of each, so that a million fit."""

    def __init__(self, expected: int) -> None:
        self.prompt = self.read = 0
        self.ttft = array("d")
        self.memory: list[int] = []
        self._step = max(1, expected // 10)

    def add(self, request: Request) -> None:
        self.prompt += request.tokens
        self.read += request.tokens - request.cached
        self.ttft.append(request.first - request.arrived)
        if len(self.ttft) % self._step == 0 and len(self.memory) < 10:
            self.memory.append(getrusage(RUSAGE_SELF).ru_maxrss // 1024)


def simulate(
    policy_class: type[Policy], backends: int, load: float, requests: int, seed: int
) -> Outcome:
    """Run one policy over the traffic until ``requests`` were served."""
    traffic = Traffic()
    fleet = [Backend(index, SLOTS, PREFILL, DECODE, 3 * SLOTS) for index in range(backends)]
    policy = policy_class(fleet, seed)
    rate = load * backends * SLOTS / traffic.work(PREFILL, DECODE)
    clock = Clock()
    done = Tally(requests)
    chance = Random(seed)
    budget = [requests]

    def arrive(session: Session) -> None:
        request = session.next_request(chance)
        request.arrived = clock.now
        follow(policy.arrive(request, clock.now))

    def end(request: Request) -> None:
        fleet[request.backend].end()
        done.add(request)
        session = request.session
        if session.done < len(session.turns):
            clock.at(clock.now + session.turns[session.done][2], lambda: arrive(session))
        follow(policy.left(request, clock.now))

    def follow(started: list[Request]) -> None:
        for request in started:
            clock.at(request.ended, lambda request=request: end(request))  # type: ignore[misc]

    def begin(session: Session) -> None:
        budget[0] -= len(session.turns)
        arrive(session)
        if budget[0] > 0:
            ahead = next(sessions)
            clock.at(ahead.begins, lambda: begin(ahead))

    sessions = traffic.sessions(seed, rate)
    begin(next(sessions))
    while clock.step():
        pass
    served = [each.served for each in fleet]
    spent = fmean(policy.spent_s) * 1e6 if isinstance(policy, Ours) else None
    return Outcome(
        policy.name, len(done.ttft), done.prompt, done.read, sorted(done.ttft), clock.now,
        max(served) / fmean(served), spent, tuple(done.memory),
    )  # fmt: skip


def show(outcomes: list[Outcome], title: str) -> None:
    """Print one table."""
    best = next((each.read for each in outcomes if each.policy == "oracle"), None)
    print(f"\n{title}")
    print(
        f"{'policy':<13}{'read again':>11}{'of oracle':>10}{'cached':>8}{'TTFT p50':>10}"
        f"{'p95':>9}{'p99':>9}{'makespan':>10}{'imbalance':>10}{'us each':>9}"
    )
    for each in outcomes:
        ratio = f"{each.read / best:.2f}" if best else "-"
        cost = f"{each.placement_us:.0f}" if each.placement_us is not None else "-"
        print(
            f"{each.policy:<13}{each.read / 1e6:>10.2f}M{ratio:>10}"
            f"{1 - each.read / each.prompt:>8.1%}{each.percentile(0.5):>9.2f}s"
            f"{each.percentile(0.95):>8.2f}s{each.percentile(0.99):>8.2f}s"
            f"{each.makespan:>9.0f}s{each.imbalance:>10.2f}{cost:>9}"
        )
        if each.requests >= LARGE:
            print(f"  MiB of the process after each tenth: {' '.join(map(str, each.memory))}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--backends", type=int, nargs="*", default=[4, 64])
    parser.add_argument("--load", type=float, nargs="*", default=[0.7, 0.95])
    parser.add_argument("--requests", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--policies", nargs="*", help="names; default: all")
    options = parser.parse_args()
    gc.disable()  # nothing here is in cycles; a worker has no thousand backends to walk, either
    for backends in options.backends:
        for load in options.load:
            began = perf_counter()
            outcomes = [
                simulate(policy, backends, load, options.requests, options.seed)
                for policy in POLICIES
                if not options.policies or policy.name in options.policies
            ]
            took = perf_counter() - began
            show(outcomes, f"{backends} backends of {SLOTS} slots at {load:.0%} ({took:.0f} s)")


if __name__ == "__main__":
    main()
