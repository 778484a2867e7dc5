"""What open dashboards cost the streams that are relayed meanwhile: none, ten, none, ten, ...

    python perf/dashboards.py --rounds 3 --realtime   # 200 streams, 10,000 events per second
    python perf/dashboards.py --quick                 # 50 streams for 3 s

One MultiProxy with one worker has a core to itself, its supervisor included; the viewers are with
backend and load on the other one. A viewer is a stream of the Overview that takes all it is sent.
The dashboards are drawn by the supervisor: the worker's CPU per event is what must not change.
"""

import argparse
import os
import socket
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import contestants
import steady_state
from figures import Figures, not_ok, spread
from scenarios import Scenario
from steady_state import Cores

_PORT = 18200  # not those of compare.py: both may run
_DASHBOARD = _PORT + 1003  # where contestants.multiproxy puts it
_PIECE = 65536


@dataclass(slots=True)
class Viewer:
    """One open dashboard; ``bytes`` is what it was sent."""

    bytes: int = 0

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Take the stream on a thread of its own until the block ends.

        Raises:
            RuntimeError: it was refused.
        """
        with socket.create_connection(("127.0.0.1", _DASHBOARD), timeout=30) as connection:
            connection.sendall(b"GET /live/overview HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
            first = connection.recv(_PIECE)
            if not first.startswith(b"HTTP/1.1 200"):
                raise RuntimeError(f"a dashboard's stream was refused: {first[:100]!r}")
            thread = threading.Thread(target=self._read, args=(connection,))
            thread.start()
            try:
                yield
            finally:
                connection.shutdown(socket.SHUT_RDWR)
                thread.join()

    def _read(self, connection: socket.socket) -> None:
        while piece := connection.recv(_PIECE):
            self.bytes += len(piece)


def measure(
    contestant: contestants.Contestant,
    scenario: Scenario,
    cores: Cores,
    viewers: int,
    run: str,
    seconds: float,
) -> tuple[Figures, int]:
    """One steady state beside so many dashboards, and the bytes that each of them was sent."""
    watching = [Viewer() for _ in range(viewers)]
    with ExitStack() as stack:
        for viewer in watching:
            stack.enter_context(viewer.watching())
        figures = steady_state.measure(contestant, scenario, cores, run, seconds)
    return figures, min((viewer.bytes for viewer in watching), default=0)


def line(viewers: int, figures: list[Figures], sent: int) -> str:
    """The medians of all rounds with so many dashboards, in brackets the smallest and largest."""
    # The started process is the supervisor; its children are the worker and nobody else.
    worker = [sum(one["cpu_us_by_process"][1:]) for one in figures]
    supervisor = [one["cpu_us_by_process"][0] for one in figures]
    cells = [
        f"{name} {middle:.2f} [{low:.2f}..{high:.2f}]"
        for name, values in (
            ("worker us/event", worker),
            ("supervisor us/event", supervisor),
            ("p50 ms", [one["p50_us"] / 1000 for one in figures]),
            ("p99 ms", [one["p99_us"] / 1000 for one in figures]),
        )
        for middle, low, high in [spread(values)]
    ]
    rate = spread([one["per_second"] for one in figures]).median
    return f"{viewers:3} dashboards: {'  '.join(cells)}  {rate:.0f} events/s, {sent} bytes each"


def run_rounds(
    contestant: contestants.Contestant,
    scenario: Scenario,
    cores: Cores,
    viewers: int,
    rounds: int,
    seconds: float,
) -> dict[int, tuple[list[Figures], int]]:
    """By number of dashboards: the figures of each round, and bytes. The order turns each round."""
    found: dict[int, list[Figures]] = {0: [], viewers: []}
    sent = dict.fromkeys(found, 0)
    contestant.start(cores.proxy)
    try:
        for number in range(rounds):
            for count in list(found)[:: 1 if number % 2 == 0 else -1]:
                run = f"d{number}v{count}"
                figures, sent[count] = measure(contestant, scenario, cores, count, run, seconds)
                found[count].append(figures)
    finally:
        contestant.stop()
    return {count: (found[count], sent[count]) for count in found}


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--viewers", type=int, default=10)
    parser.add_argument("--quick", action="store_true", help="50 streams for 3 s")
    parser.add_argument("--cores", default="1,0", help="the proxy's and everybody else's")
    parser.add_argument("--realtime", action="store_true", help="as in compare.py")
    return parser.parse_args()


def main() -> None:
    """Run the rounds, print a line for each number of dashboards."""
    args = _arguments()
    streams, seconds = (50, 3.0) if args.quick else (200, 10.0)
    scenario = Scenario("stream", "chat", streams, rate=50)
    cores = Cores(*(int(core) for core in args.cores.split(",")))
    os.sched_setaffinity(0, {cores.others})
    if args.realtime:
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))
    with tempfile.TemporaryDirectory(prefix="perf-") as home, contestants.backend(_PORT):
        proxy = contestants.multiproxy(_PORT, _PORT + 3, Path(home))
        found = run_rounds(proxy, scenario, cores, args.viewers, args.rounds, seconds)
    for viewers, (figures, sent) in found.items():
        print(line(viewers, figures, sent))
    if any(not_ok(figures) for figures, _ in found.values()):
        sys.exit("some answers were not right")


if __name__ == "__main__":
    main()
