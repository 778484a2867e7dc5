"""Runs the test of each defence with the defence switched off; exit statuses as one JSON line.

    PYTHONPATH=.:tests:perf python -m faults.kill_list [--with] [--every N]

``--with`` leaves the defences on: then every test must pass. ``--every 4`` takes a quarter.
"""

import argparse
import json
import os
import sys

import pytest
from faults.defences import DEFENCES, SABOTAGED

QUIET = ["-q", "-x", "--no-header", "-p", "no:cacheprovider", "--timeout", "20"]
AT_ONCE = os.cpu_count() or 1


def start(name: str, *, keeps: bool) -> int:
    """Fork a process that runs a defence's test; returns its id."""
    sys.stdout.flush()
    pid = os.fork()
    if pid:
        return pid
    status = 99
    try:
        quiet = os.open(os.devnull, os.O_WRONLY)
        os.dup2(quiet, 1)
        os.dup2(quiet, 2)
        if not keeps:
            os.environ[SABOTAGED] = name  # for the workers that the test may start
            DEFENCES[name].switch_off()
        status = int(pytest.main([f"tests/{DEFENCES[name].test}", *QUIET]))
    finally:
        os._exit(status)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--with", action="store_true", dest="keeps")
    parser.add_argument("--every", type=int, default=1)
    arguments = parser.parse_args()
    left = list(DEFENCES)[:: arguments.every]
    running: dict[int, str] = {}
    statuses: dict[str, int] = {}
    while left or running:
        while left and len(running) < AT_ONCE:
            name = left.pop(0)
            running[start(name, keeps=arguments.keeps)] = name
        pid, status = os.wait()
        statuses[running.pop(pid)] = os.waitstatus_to_exitcode(status)
    print(json.dumps(statuses))


if __name__ == "__main__":
    main()
