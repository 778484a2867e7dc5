"""What a proxy costs per streamed event and per request, next to its peers, in one run.

    python perf/measure.py --rounds 3              # everything, about 25 s per contestant and round
    python perf/measure.py --quick                 # does it work, and roughly what does it cost
    python perf/measure.py --strace --only multiproxy,nginx
    python perf/measure.py --cmd "myproxy ..." --proxy-url 127.0.0.1:9000

The proxy under test has one core to itself; backend and load share the other one.
See perf/README.md for how to read the figures.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path

import contestants
import report
from contestants import Contestant
from report import Figures
from steady_state import (
    Cores,
    Shape,
    count_request_calls,
    count_stream_calls,
    measure_requests,
    measure_streams,
)

Measure = Callable[[Contestant, Shape, Cores, str], Figures]

_HERE = Path(__file__).resolve().parent
_PORT = 18100  # the backend's; contestants get the ones behind it
_NAMES = ["direct", "nginx", "haproxy", "multiproxy"]


def run_rounds(
    found: list[Contestant],
    shape: Shape,
    cores: Cores,
    rounds: int,
    strace: bool,
    dialects: list[str],
) -> dict[str, dict[str, list[Figures]]]:
    """All rounds: figures by kind of load, contestant and round. The order turns each round."""
    figures: dict[str, dict[str, list[Figures]]] = {}
    for number in range(rounds):
        turn = number % len(found)
        for contestant in found[turn:] + found[:turn]:
            print(f"round {number + 1}: {contestant.name}", file=sys.stderr, flush=True)
            kinds: dict[str, Measure] = {"stream": measure_streams, "request": measure_requests}
            if contestant.translates:
                kinds |= {
                    f"{each} stream": partial(measure_streams, dialect=each) for each in dialects
                }
            if strace and contestant.command:
                kinds |= {"stream calls": count_stream_calls, "request calls": count_request_calls}
            contestant.start(cores.proxy)
            try:
                for kind, measure in kinds.items():
                    run = f"r{number}{contestant.name}{kind.replace(' ', '')}"
                    rounds_of = figures.setdefault(kind, {}).setdefault(contestant.name, [])
                    rounds_of.append(measure(contestant, shape, cores, run))
            finally:
                contestant.stop()
    return figures


def find_contestants(args: argparse.Namespace, home: Path) -> list[Contestant]:
    """Those asked for, each on a port of its own."""
    known = {
        "direct": lambda: contestants.direct(_PORT),
        "nginx": lambda: contestants.nginx(_PORT, _PORT + 1, home),
        "haproxy": lambda: contestants.haproxy(_PORT, _PORT + 2, home),
        "multiproxy": lambda: contestants.multiproxy(_PORT, _PORT + 3, home),
    }
    found = [known[name]() for name in args.only.split(",") if name]
    if args.proxy_url:
        found.append(contestants.foreign("other", args.cmd, args.proxy_url, home))
    return found


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--quick", action="store_true", help="50 streams for 3 s")
    parser.add_argument("--only", default=",".join(_NAMES), help="contestants, with commas")
    parser.add_argument(
        "--dialects", default="messages,responses", help="to be translated, with commas"
    )
    parser.add_argument("--streams", type=int, default=200)
    parser.add_argument("--rate", type=int, default=50, help="events per second and stream")
    parser.add_argument("--connections", type=int, default=50, help="for small requests")
    parser.add_argument("--request-rate", type=int, default=2000, help="per second; 0: no pause")
    parser.add_argument("--seconds", type=float, default=10.0, help="of steady state")
    parser.add_argument("--strace", action="store_true", help="count system calls as well")
    parser.add_argument("--cores", default="1,0", help="the proxy's and everybody else's")
    parser.add_argument(
        "--realtime", action="store_true", help="run before all other work (SCHED_RR, root only)"
    )
    parser.add_argument("--proxy-url", default="", help="host:port of one more proxy")
    parser.add_argument("--cmd", default="", help=f"starts it; its backend is port {_PORT}")
    parser.add_argument("--no-store", action="store_true", help="write no result file")
    return parser.parse_args()


def main() -> None:
    """Run, print the tables, store the result."""
    args = _arguments()
    shape = Shape(args.streams, args.rate, args.connections, args.request_rate, args.seconds)
    if args.quick:
        few = min(500, args.request_rate)
        shape = replace(shape, streams=50, request_rate=few, seconds=3.0)
    cores = Cores(*(int(core) for core in args.cores.split(",")))
    os.sched_setaffinity(0, {cores.others})
    if args.realtime:
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))
    machine = report.machine()
    backend = subprocess.Popen([sys.executable, str(_HERE / "backend.py"), "--port", str(_PORT)])
    try:
        with tempfile.TemporaryDirectory(prefix="perf-") as home:
            found = find_contestants(args, Path(home))
            dialects = [each for each in args.dialects.split(",") if each]
            figures = run_rounds(found, shape, cores, args.rounds, args.strace, dialects)
    finally:
        backend.terminate()
        backend.wait()
    for kind, rounds in figures.items():
        print(f"\n{kind}\n{report.table(kind, rounds)}")
    print("", *report.translation_costs(figures), sep="\n")
    if not args.no_store:
        run: dict[str, object] = {
            "commit": report.commit(),
            "machine": machine,
            "versions": {contestant.name: contestant.version for contestant in found},
            "shape": asdict(shape),
            "rounds": figures,
        }
        print(f"\nstored in {report.store(_HERE / 'results', run)}")
    if any(report.not_ok(of) for rounds in figures.values() for of in rounds.values()):
        sys.exit("some answers were not right: see 'not ok' and the result file's 'why'")


if __name__ == "__main__":
    main()
