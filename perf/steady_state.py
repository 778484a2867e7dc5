"""One contestant under one load: what it used and what its clients saw between two marks."""

import json
import subprocess
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import processes
from contestants import Contestant
from report import Figures

_LOAD = Path(__file__).with_name("load.py")
_SETTLE_S = 1.0  # from all streams flowing to the first mark
_MARGIN_S = 1.5  # streams last this much longer than the last mark
_STRACE_S = 2.0


@dataclass(frozen=True, slots=True)
class Shape:
    """How much load, for how long. ``rate`` is per stream, ``request_rate`` over all."""

    streams: int = 200
    rate: int = 50
    connections: int = 50
    request_rate: int = 2000
    seconds: float = 10.0


@dataclass(frozen=True, slots=True)
class Cores:
    """``proxy`` is for the contestant alone."""

    proxy: int
    others: int


class LoadProcess:
    """A running ``load.py``: ``mark`` asks for its counts, ``finish`` waits for its end."""

    def __init__(self, core: int, arguments: list[str]) -> None:
        command = ["taskset", "-c", str(core), sys.executable, str(_LOAD), *arguments]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        )
        self._read()  # the load flows

    def mark(self) -> dict[str, Any]:
        """Counts since the start, latencies since the last mark."""
        assert self._process.stdin is not None
        self._process.stdin.write("mark\n")
        return self._read()

    def finish(self) -> dict[str, Any]:
        """The outcomes of every request."""
        result = self._read()
        self._process.communicate(timeout=30)
        return result

    def _read(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError("the load process ended early")
        read: dict[str, Any] = json.loads(line)
        return read


def measure(contestant: Contestant, load: LoadProcess, seconds: float) -> Figures:
    """One steady state: CPU and counts between two marks, then the outcomes of it all."""
    pids = processes.tree(contestant.process.pid) if contestant.process else []
    time.sleep(_SETTLE_S)
    load.mark()
    before, at = [processes.usage([pid]) for pid in pids], load.mark()
    time.sleep(seconds)
    after, end = [processes.usage([pid]) for pid in pids], load.mark()
    result = load.finish()
    count, elapsed = end["done"] - at["done"], end["at"] - at["at"]
    figures: Figures = {
        "per_second": count / elapsed,
        "p50_us": end["p50_us"],
        "p99_us": end["p99_us"],
        "max_us": end["max_us"],
        "outcomes": result["outcomes"],
        "why": result["why"],
    }
    if pids and count:
        spent = [late.cpu_s - early.cpu_s for early, late in zip(before, after, strict=True)]
        figures["cpu_us"] = sum(spent) * 1e6 / count
        figures["cpu_us_by_process"] = [round(one * 1e6 / count, 2) for one in spent]
        figures["core_share"] = sum(spent) / elapsed
        figures["system_share"] = _system_share(before, after)
        figures["rss_per_stream"] = sum(one.rss for one in after)
    if result["first_p50_us"]:
        figures["first_p50_us"] = result["first_p50_us"]
        figures["first_p99_us"] = result["first_p99_us"]
    return figures


def _system_share(before: list[processes.Usage], after: list[processes.Usage]) -> float:
    """The kernel's part of the CPU used between two moments."""
    system = sum(one.system_ticks for one in after) - sum(one.system_ticks for one in before)
    user = sum(one.user_ticks for one in after) - sum(one.user_ticks for one in before)
    return system / max(1, user + system)


def measure_streams(
    contestant: Contestant, shape: Shape, cores: Cores, run: str, dialect: str = "chat"
) -> Figures:
    """Many paced streams."""
    pids = processes.tree(contestant.process.pid) if contestant.process else []
    idle = processes.usage(pids).rss
    load = LoadProcess(cores.others, _stream_arguments(contestant, shape, run, dialect))
    figures = measure(contestant, load, shape.seconds)
    if "rss_per_stream" in figures:
        figures["rss_per_stream"] = (figures["rss_per_stream"] - idle) / shape.streams
    return figures


def measure_requests(contestant: Contestant, shape: Shape, cores: Cores, run: str) -> Figures:
    """Many small requests on kept connections."""
    load = LoadProcess(cores.others, _request_arguments(contestant, shape, run))
    figures = measure(contestant, load, shape.seconds)
    figures.pop("rss_per_stream", None)
    return figures


def count_stream_calls(contestant: Contestant, shape: Shape, cores: Cores, run: str) -> Figures:
    """System calls per event, at a tenth of the streams: a traced process is a slow one."""
    gentle = replace(shape, streams=max(10, shape.streams // 10), seconds=_STRACE_S)
    return _count_calls(contestant, cores, _stream_arguments(contestant, gentle, run))


def count_request_calls(contestant: Contestant, shape: Shape, cores: Cores, run: str) -> Figures:
    """System calls per request, at a tenth of the rate."""
    rate = max(100, shape.request_rate // 10)
    gentle = replace(shape, connections=10, request_rate=rate, seconds=_STRACE_S)
    return _count_calls(contestant, cores, _request_arguments(contestant, gentle, run))


def _count_calls(contestant: Contestant, cores: Cores, arguments: list[str]) -> Figures:
    assert contestant.process is not None
    load = LoadProcess(cores.others, arguments)
    time.sleep(_SETTLE_S)
    counter = processes.CallCounter(processes.tree(contestant.process.pid))
    counter.start()
    before = load.mark()["done"]
    time.sleep(_STRACE_S)
    done = load.mark()["done"] - before
    calls = counter.stop()
    result = load.finish()
    by_name = {name: round(count / done, 3) for name, count in calls.items()}
    return {
        "calls": sum(calls.values()) / done,
        "transfers": sum(calls.get(name, 0) for name in processes.TRANSFERS) / done,
        "calls_by_name": dict(sorted(by_name.items(), key=lambda item: -item[1])[:8]),
        "per_second": done / _STRACE_S,
        "outcomes": result["outcomes"],
        "why": result["why"],
    }


def _stream_arguments(
    contestant: Contestant, shape: Shape, run: str, dialect: str = "chat"
) -> list[str]:
    seconds = shape.seconds + _SETTLE_S + _MARGIN_S + shape.streams * 0.003  # they open in turn
    return [
        *("--url", contestant.address, "--run", run, "--seconds", str(seconds)),
        *("--streams", str(shape.streams), "--rate", str(shape.rate), "--dialect", dialect),
    ]


def _request_arguments(contestant: Contestant, shape: Shape, run: str) -> list[str]:
    seconds = shape.seconds + _SETTLE_S + _MARGIN_S
    return [
        *("--url", contestant.address, "--run", run, "--seconds", str(seconds)),
        *("--connections", str(shape.connections), "--rate", str(shape.request_rate)),
    ]
