"""Runs first in every process of a MultiProxy under test: a defence is off, or the clock wrong.

Or it counts its tasks and timers when it is asked to.
"""

import asyncio
import gc
import json
import os
import signal
import threading
import time
from pathlib import Path

if name := os.environ.get("MULTIPROXY_SABOTAGE"):
    from faults.defences import DEFENCES

    DEFENCES[name].switch_off()


def follow(path: Path) -> None:
    """Let wall clocks be wrong by the seconds in a file, whatever they become."""
    wrong_s = 0.0
    right, right_ns = time.time, time.time_ns
    time.time = lambda: right() + wrong_s
    time.time_ns = lambda: right_ns() + int(wrong_s * 1e9)

    def look() -> None:
        nonlocal wrong_s
        while True:
            wrong_s = float(path.read_text() or wrong_s) if path.exists() else wrong_s
            time.sleep(0.05)

    threading.Thread(target=look, daemon=True).start()


if clock := os.environ.get("MULTIPROXY_CLOCK"):
    follow(Path(clock))


def count(folder: Path) -> None:
    """At SIGUSR2, write to a file named by the process how many tasks and timers wait in it."""

    def write(*_: object) -> None:
        living = gc.get_objects()
        tasks = sum(isinstance(each, asyncio.Task) and not each.done() for each in living)
        timers = [each for each in living if type(each).__name__ == "TimerHandle"]
        counted = {"tasks": tasks, "timers": sum(not each.cancelled() for each in timers)}
        draft = folder / f"{os.getpid()}.new"
        draft.write_text(json.dumps(counted))
        draft.replace(folder / str(os.getpid()))

    signal.signal(signal.SIGUSR2, write)


if counts := os.environ.get("MULTIPROXY_COUNTS"):
    count(Path(counts))
