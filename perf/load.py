"""The client side of a run: many streams, or many small requests, each one judged.

A process of its own. It prints one JSON line when the load flows, one for every line ``mark``
on its standard input (events so far, and the latencies since the mark before), and one at
the end with the outcomes. ``measure.py`` drives it; it can also be run by hand:

    python perf/load.py --url 127.0.0.1:8001 --streams 20 --rate 50 --seconds 5
"""

import argparse
import asyncio
import contextlib
import json
import sys

import uvloop

from dialect_judges import DIALECTS
from requesters import run_requests
from streams import run_streams
from tally import Load, Tally


def _answer_marks(tally: Tally) -> None:
    line = sys.stdin.readline()
    if line:
        print(json.dumps(tally.mark()), flush=True)
    else:
        asyncio.get_running_loop().remove_reader(sys.stdin.fileno())


async def main(load: Load) -> None:
    """One run, reported on standard output."""
    tally = Tally()
    with contextlib.suppress(PermissionError):  # /dev/null and files: nobody wants marks
        asyncio.get_running_loop().add_reader(sys.stdin.fileno(), _answer_marks, tally)
    await (run_streams(load, tally) if load.streams else run_requests(load, tally))
    print(json.dumps(tally.result()), flush=True)


def _arguments() -> Load:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", required=True, help="host:port of the proxy")
    parser.add_argument("--run", default="hand")
    parser.add_argument("--streams", type=int, default=0)
    parser.add_argument("--dialect", choices=DIALECTS, default="chat", help="of the streams")
    parser.add_argument("--connections", type=int, default=0, help="for small requests")
    parser.add_argument("--rate", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--size", type=int, default=1024, help="bytes of a small answer")
    args = parser.parse_args()
    if not args.streams and not args.connections:
        parser.error("one of --streams and --connections is needed")
    host, _, port = args.url.partition(":")
    return Load(
        host,
        int(port),
        args.run,
        args.rate,
        args.seconds,
        args.streams,
        args.dialect,
        args.connections,
        args.size,
    )


if __name__ == "__main__":
    uvloop.run(main(_arguments()))
