"""What a proxy costs per streamed event and per request, next to its peers, in one run.

    python perf/compare.py --rounds 3              # everything; takes its time
    python perf/compare.py --quick --no-store      # does it work, and roughly what does it cost
    python perf/compare.py --only multiproxy,nginx --scenarios stream,request
    python perf/compare.py --cmd "myproxy ..." --proxy-url 127.0.0.1:9000

The proxy under test has one core to itself; backend and load share the other one.
See perf/README.md for how to read the figures.
"""

import argparse
import os
import shutil
import sys
import tempfile
from collections.abc import Callable
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path

import contestants
import report
from contestants import Contestant
from figures import Figures, Results, not_ok, subtract_direct
from peers import NotInstalledError
from scenarios import Scenario, Shape, scenarios
from steady_state import Cores, count_calls, measure

_HERE = Path(__file__).resolve().parent
_TRACED = ("stream", "request")

_KNOWN: dict[str, Callable[[int, int, Path], Contestant]] = {
    "direct": lambda backend, port, home: contestants.direct(backend),
    "nginx": contestants.nginx,
    "haproxy": contestants.haproxy,
    "multiproxy": contestants.multiproxy,
    "sglang-router": partial(contestants.router, "sglang-router"),
    "vllm-router": partial(contestants.router, "vllm-router"),
    "litellm": contestants.litellm,
}


class Run:
    """The rounds of one run: ``results`` by scenario, contestant and round.

    ``out`` has who did not take part, or not to the end, and why.
    """

    def __init__(
        self, found: list[Contestant], shape: Shape, cores: Cores, chosen: list[str]
    ) -> None:
        self.results: Results = {}
        self.out: dict[str, str] = {}
        self._found = found
        self._shape = shape
        self._cores = cores
        self._chosen = chosen

    def round(self, number: int, *, traced: bool) -> None:
        """Every contestant once; the order turns each round."""
        turn = number % len(self._found)
        for contestant in self._found[turn:] + self._found[:turn]:
            if contestant.name in self.out:
                continue
            try:
                contestant.start(self._cores.proxy)
                self._measure(number, contestant, traced=traced and bool(contestant.command))
            except (RuntimeError, OSError) as error:
                self.out[contestant.name] = str(error)
                _say(f"{contestant.name} is out: {error}")
            finally:
                contestant.stop()

    def _measure(self, number: int, contestant: Contestant, *, traced: bool) -> None:
        for scenario in self._scenarios(contestant):
            _say(f"round {number + 1}: {contestant.name}, {scenario.name}")
            run = f"r{number}{contestant.name}{scenario.name}"
            run = "".join(sign for sign in run if sign.isalnum())
            figures = measure(contestant, scenario, self._cores, run, self._shape.seconds)
            self._kept(scenario.name, contestant).append(figures)
            if traced and scenario.name in _TRACED:
                calls = count_calls(contestant, scenario, self._cores, f"{run}calls")
                self._kept(f"{scenario.name} calls", contestant).append(calls)

    def _scenarios(self, contestant: Contestant) -> list[Scenario]:
        shape = self._shape.scaled(contestant.streams_share, contestant.requests_share)
        every = scenarios(shape, rewrites=contestant.rewrites, bodies=contestant.requests_share)
        return [
            each
            for each in every
            if each.dialect in contestant.dialects and each.name in self._chosen
        ]

    def _kept(self, name: str, contestant: Contestant) -> list[Figures]:
        return self.results.setdefault(name, {}).setdefault(contestant.name, [])


def find_contestants(
    args: argparse.Namespace, home: Path
) -> tuple[list[Contestant], dict[str, str]]:
    """Those asked for, each on a port of its own; and why others are not here."""
    found: list[Contestant] = []
    missing: dict[str, str] = {}
    for number, name in enumerate(_split(args.only)):
        try:
            found.append(_KNOWN[name](args.port, args.port + 1 + number, home))
        except NotInstalledError as error:
            missing[name] = str(error)
            _say(f"{name} is not installed: {error}")
    if args.proxy_url:
        found.append(contestants.foreign("other", args.cmd, args.proxy_url, home))
    return found, missing


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _split(names: str) -> list[str]:
    return [name for name in names.split(",") if name]


def _arguments() -> argparse.Namespace:
    every = [scenario.name for scenario in scenarios(Shape())]
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--quick", action="store_true", help="50 streams, 3 s of each load")
    parser.add_argument("--only", default=",".join(_KNOWN), help="contestants, with commas")
    parser.add_argument("--scenarios", default=",".join(every), help="loads, with commas")
    parser.add_argument("--streams", type=int, default=200)
    parser.add_argument("--rate", type=float, default=50, help="events per second and stream")
    parser.add_argument("--connections", type=int, default=50, help="for small requests")
    parser.add_argument("--request-rate", type=float, default=1000, help="per second; 0: no pause")
    parser.add_argument("--idle-streams", type=int, default=2000, help="at most 4096")
    parser.add_argument("--seconds", type=float, default=10.0, help="of each steady state")
    parser.add_argument("--no-strace", action="store_true", help="count no system calls")
    parser.add_argument("--cores", default="1,0", help="the proxy's and everybody else's")
    parser.add_argument(
        "--realtime", action="store_true", help="run before all other work (SCHED_RR, root only)"
    )
    parser.add_argument("--proxy-url", default="", help="host:port of one more proxy")
    parser.add_argument("--cmd", default="", help="starts it; its backend is at --port")
    parser.add_argument(
        "--port", type=int, default=18100, help="the backend's; the proxies get those behind it"
    )
    parser.add_argument("--no-store", action="store_true", help="write no result file")
    args = parser.parse_args()
    unknown = {*_split(args.only)} - {*_KNOWN} | {*_split(args.scenarios)} - {*every}
    if unknown:
        parser.error(f"unknown: {', '.join(sorted(unknown))}; there are {_KNOWN.keys()}, {every}")
    return args


def _shape(args: argparse.Namespace) -> Shape:
    shape = Shape(
        args.streams,
        args.rate,
        args.connections,
        args.request_rate,
        args.idle_streams,
        args.seconds,
    )
    if not args.quick:
        return shape
    few = min(500, args.request_rate)
    return replace(shape, streams=50, idle_streams=200, request_rate=few, seconds=3.0)


def main() -> None:
    """Run, print the tables, store the result."""
    args = _arguments()
    commit = report.commit()
    if not args.no_store and not report.is_clean(commit):
        sys.exit(f"{commit}: commit first, or use --no-store: nobody could repeat this result")
    shape = _shape(args)
    cores = Cores(*(int(core) for core in args.cores.split(",")))
    os.sched_setaffinity(0, {cores.others})
    if args.realtime:
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))
    machine = report.machine()
    with tempfile.TemporaryDirectory(prefix="perf-") as home, contestants.backend(args.port):
        found, missing = find_contestants(args, Path(home))
        run = Run(found, shape, cores, _split(args.scenarios))
        strace = not args.no_strace and shutil.which("strace") is not None
        try:
            for number in range(args.rounds):
                run.round(number, traced=strace and number == 0)
        except KeyboardInterrupt:
            _say("interrupted: this is shown, and not stored")
            args.no_store = True
    out = missing | run.out
    subtract_direct(run.results)
    report.show(run.results, out)
    if not args.no_store:
        stored: dict[str, object] = {
            "commit": commit,
            "machine": machine,
            "versions": {contestant.name: contestant.version for contestant in found},
            "out": out,
            "shares": {
                contestant.name: [contestant.streams_share, contestant.requests_share]
                for contestant in found
                if contestant.streams_share != 1 or contestant.requests_share != 1
            },
            "shape": asdict(shape),
            "rounds": run.results,
        }
        print(f"\nstored in {report.store(_HERE / 'results', stored)}")
    ours = [of.get("multiproxy", []) for of in run.results.values()]
    if "multiproxy" in out or any(not_ok(figures) for figures in ours):
        sys.exit("MultiProxy's answers were not all right: see 'not ok', and 'why' in the result")


if __name__ == "__main__":
    main()
