"""The client side of a run: many streams, or many requests, each one judged.

A process of its own. It prints one JSON line when the load flows, one for every line ``mark``
on its standard input (events so far, and the latencies since the mark before), and one at
the end with the outcomes. ``steady_state.py`` drives it; it can also be run by hand:

    python perf/load.py --url 127.0.0.1:8001 --streams 20 --rate 50 --seconds 5
"""

import argparse
import asyncio
import contextlib
import json
import sys

import uvloop

from plan import blocks_in
from questions import QUESTIONS, STREAMED
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
    parser.add_argument("--question", choices=QUESTIONS, default="chat")
    parser.add_argument("--streams", type=int, default=0)
    parser.add_argument("--connections", type=int, default=0, help="for requests")
    parser.add_argument("--rate", type=float, default=50, help="per stream, or of all requests")
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--tokens", type=int, default=0, help="of the answer to a request")
    parser.add_argument("--size", type=int, default=1024, help="bytes of an answer without tokens")
    parser.add_argument("--ballast", type=int, default=0, help="bytes of text in a request")
    args = vars(parser.parse_args())
    if not args["streams"] and not args["connections"]:
        parser.error("one of --streams and --connections is needed")
    if args["streams"] and args["question"] not in STREAMED:
        parser.error(f"streams are one of {', '.join(STREAMED)}")
    host, _, port = args.pop("url").partition(":")
    ballast = blocks_in(args.pop("ballast"))
    return Load(host=host, port=int(port), ballast=ballast, **args)


if __name__ == "__main__":
    uvloop.run(main(_arguments()))
