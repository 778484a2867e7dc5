"""A run's figures: medians and spreads over its rounds, as a table and as a result file."""

import json
import os
import platform
import statistics
import subprocess
import time
from pathlib import Path
from typing import NamedTuple, TypedDict

_ROOT = Path(__file__).resolve().parent.parent


class Figures(TypedDict, total=False):
    """One contestant in one round, one kind of load. Times in microseconds."""

    cpu_us: float  # user and system, all processes, per event or request
    cpu_us_by_process: list[float]  # the started process first
    system_share: float  # of cpu_us
    core_share: float  # how full the proxy's core was, by the proxy
    per_second: float  # events or requests
    p50_us: int  # latency from the planned time
    p99_us: int
    max_us: int
    first_p50_us: int  # streams only: from request sent to first event
    first_p99_us: int
    rss_per_stream: float  # bytes
    calls: float  # system calls per event or request
    transfers: float  # of these: reads and writes
    calls_by_name: dict[str, float]
    outcomes: dict[str, int]
    why: dict[str, int]


class Spread(NamedTuple):
    """The middle and the ends of the rounds."""

    median: float
    low: float
    high: float


def spread(values: list[float]) -> Spread:
    """Median, smallest and largest."""
    return Spread(statistics.median(values), min(values), max(values))


# Kinds of load that are streams which have to be translated: a dialect, and "stream".
TRANSLATED = ("messages stream", "responses stream")

# kind of load -> columns: title, key, divisor, format
_COLUMNS: dict[str, list[tuple[str, str, float, str]]] = {
    "stream": [
        ("CPU us/event", "cpu_us", 1, ".1f"),
        ("system %", "system_share", 0.01, ".0f"),
        ("core %", "core_share", 0.01, ".0f"),
        ("events/s", "per_second", 1, ".0f"),
        ("p50 ms", "p50_us", 1000, ".2f"),
        ("p99 ms", "p99_us", 1000, ".2f"),
        ("first p50 ms", "first_p50_us", 1000, ".2f"),
        ("KB/stream", "rss_per_stream", 1000, ".1f"),
    ],
    "stream calls": [
        ("calls/event", "calls", 1, ".2f"),
        ("reads+writes/event", "transfers", 1, ".2f"),
        ("events/s", "per_second", 1, ".0f"),
    ],
    "request calls": [
        ("calls/request", "calls", 1, ".2f"),
        ("reads+writes/request", "transfers", 1, ".2f"),
        ("requests/s", "per_second", 1, ".0f"),
    ],
    "request": [
        ("CPU us/request", "cpu_us", 1, ".1f"),
        ("system %", "system_share", 0.01, ".0f"),
        ("core %", "core_share", 0.01, ".0f"),
        ("requests/s", "per_second", 1, ".0f"),
        ("p50 ms", "p50_us", 1000, ".2f"),
        ("p99 ms", "p99_us", 1000, ".2f"),
    ],
}
_COLUMNS |= {kind: _COLUMNS["stream"] for kind in TRANSLATED}


def table(kind: str, rounds: dict[str, list[Figures]]) -> str:
    """One kind of load as text: the median of each figure, CPU and latency with their spread.

    ``rounds`` is ``[contestant][round]``. CPU is also given in multiples of nginx's.
    """
    base = _median(rounds.get("nginx", []), "cpu_us")
    lines = [["", *(title for title, *_ in _COLUMNS[kind]), "x nginx", "not ok"]]
    for name, figures in rounds.items():
        cells = [name]
        for _, key, divisor, shape in _COLUMNS[kind]:
            values = [float(one[key]) / divisor for one in figures if key in one]  # type: ignore[literal-required]
            cells.append(_cell(values, shape, spreads=key in ("cpu_us", "p99_us")))
        cpu = _median(figures, "cpu_us")
        cells.append(f"{cpu / base:.2f}" if base and cpu else "")
        cells.append(_failures(figures))
        lines.append(cells)
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    return "\n".join(
        "  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True))
        for line in lines
    )


def translation_costs(figures: dict[str, dict[str, list[Figures]]]) -> list[str]:
    """For each kind of translated stream one line: its CPU per event beside the relay's.

    The ratio is taken within a round, where both had the same machine.
    """
    lines = []
    for kind in TRANSLATED:
        for name, translated in figures.get(kind, {}).items():
            ratios = [
                one["cpu_us"] / relayed["cpu_us"]
                for one, relayed in zip(translated, figures["stream"][name], strict=True)
                if one.get("cpu_us") and relayed.get("cpu_us")
            ]
            if ratios:
                cell = _cell(ratios, ".2f", spreads=True)
                lines.append(f"{name}: an event of {kind} costs {cell} x the relay of Chat")
    return lines


def _cell(values: list[float], shape: str, spreads: bool) -> str:
    if not values:
        return ""
    middle = spread(values)
    text = format(middle.median, shape)
    if spreads and len(values) > 1:
        text += f" ({middle.low:{shape}}..{middle.high:{shape}})"
    return text


def _median(figures: list[Figures], key: str) -> float:
    values = [float(one[key]) for one in figures if key in one]  # type: ignore[literal-required]
    return statistics.median(values) if values else 0.0


def not_ok(figures: list[Figures]) -> int:
    """How many requests of these rounds did not end well."""
    return sum(
        count
        for one in figures
        for outcome, count in one.get("outcomes", {}).items()
        if outcome != "ok"
    )


def _failures(figures: list[Figures]) -> str:
    """Failed of sent; a zero in n requests proves less than 3/n (95 %)."""
    sent = sum(sum(one.get("outcomes", {}).values()) for one in figures)
    return f"{not_ok(figures)} of {sent}"


def commit() -> str:
    """The checkout's commit, marked when files differ from it."""
    command = ["git", "-C", str(_ROOT), "describe", "--always", "--dirty", "--abbrev=10"]
    try:
        return subprocess.run(command, capture_output=True, text=True).stdout.strip() or "unknown"
    except OSError:
        return "unknown"


def machine() -> dict[str, object]:
    """Where the figures come from."""
    processor = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        ),
        platform.machine(),
    )
    return {
        "processor": processor,
        "cores": os.cpu_count(),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "load_average": os.getloadavg(),
    }


def store(folder: Path, run: dict[str, object]) -> Path:
    """Write a result file named after the time and commit; returns its path."""
    path = folder / f"{time.strftime('%Y%m%d-%H%M%S')}-{run['commit']}.json"
    path.write_text(json.dumps(run, indent=1) + "\n")
    return path
