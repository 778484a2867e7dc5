"""A run's figures as tables and as a result file, with where they come from."""

import json
import os
import platform
import subprocess
import time
from pathlib import Path

from figures import Figures, Results, median, not_ok, sent, spread, values

_ROOT = Path(__file__).resolve().parent.parent

# Loads that are worth what they cost beside another: what is made of the same tokens.
_BESIDE = {
    "messages stream": ("stream", "{name}: an event of {load} costs {told} x the relay of Chat"),
    "responses stream": ("stream", "{name}: an event of {load} costs {told} x the relay of Chat"),
    "whole chat": (
        "short chat",
        "{name}: a token folded costs {told} x one streamed, requests too",
    ),
}

Column = tuple[str, str, float, str]  # title, key, divisor, format
_CPU: list[Column] = [
    ("CPU us/{unit}", "cpu_us", 1, ".1f"),
    ("1st process", "first_process_us", 1, ".1f"),
    ("system %", "system_share", 0.01, ".0f"),
    ("core %", "core_share", 0.01, ".0f"),
    ("{unit}s/s", "per_second", 1, ".0f"),
]
_LATENCY: list[Column] = [
    ("p50 ms", "p50_us", 1000, ".2f"),
    ("p99 ms", "p99_us", 1000, ".2f"),
    ("added p50", "added_p50_us", 1000, ".2f"),
    ("added p99", "added_p99_us", 1000, ".2f"),
]
_FIRST: list[Column] = [
    ("first p50 ms", "first_p50_us", 1000, ".2f"),
    ("added first", "added_first_us", 1000, ".2f"),
]
_MEMORY: list[Column] = [("KB/stream", "rss_per_stream", 1000, ".1f")]
_CALLS: list[Column] = [
    ("calls/{unit}", "calls", 1, ".2f"),
    ("reads+writes/{unit}", "transfers", 1, ".2f"),
]
_WITH_SPREAD = ("cpu_us", "p99_us", "added_p50_us", "added_p99_us", "added_first_us")


def unit(load: str) -> str:
    """What is counted under this load."""
    if load in ("whole chat", "short chat"):
        return "token"
    return "event" if "stream" in load else "request"


def _columns(load: str) -> list[Column]:
    if load.endswith(" calls"):
        return _CALLS
    if "stream" in load:
        return _CPU + _LATENCY + _MEMORY
    return _CPU + _LATENCY + (_FIRST if load == "first token" else [])


def table(load: str, rounds: dict[str, list[Figures]]) -> str:
    """One load as text: the median of each figure, some with their spread.

    ``rounds`` is ``[contestant][round]``. CPU is also given in multiples of nginx's. Columns
    that nobody has a figure for are left out.
    """
    base = median(rounds.get("nginx", []), "cpu_us")
    columns = [
        column
        for column in _columns(load)
        if any(values(figures, column[1]) for figures in rounds.values())
    ]
    lines = [["", *(title.format(unit=unit(load)) for title, *_ in columns), "x nginx", "not ok"]]
    for name, figures in rounds.items():
        cells = [name]
        for _, key, divisor, shape in columns:
            scaled = [value / divisor for value in values(figures, key)]
            cells.append(cell(scaled, shape, spreads=key in _WITH_SPREAD))
        cpu = median(figures, "cpu_us")
        cells.append(f"{cpu / base:.2f}" if base and cpu else "")
        # A zero in n requests proves less than 3/n (95 %).
        cells.append(f"{not_ok(figures)} of {sent(figures)}")
        lines.append(cells)
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    return "\n".join(
        "  ".join(text.rjust(width) for text, width in zip(line, widths, strict=True))
        for line in lines
    )


def show(results: Results, out: dict[str, str]) -> None:
    """Print everything, and who is missing."""
    for load, rounds in results.items():
        print(f"\n{load}\n{table(load, rounds)}")
    print("", *relative_costs(results), sep="\n")
    for name, why in out.items():
        print(f"without {name}: {why.splitlines()[0]}")


def relative_costs(results: Results) -> list[str]:
    """For each load that is held against another one line: its CPU beside the other's.

    The ratio is taken within a round, where both had the same machine.
    """
    lines = []
    for load, (other, line) in _BESIDE.items():
        for name, measured in results.get(load, {}).items():
            ratios = [
                one["cpu_us"] / beside["cpu_us"]
                for one, beside in zip(measured, results.get(other, {}).get(name, []), strict=False)
                if one.get("cpu_us") and beside.get("cpu_us")
            ]
            if ratios:
                told = cell(ratios, ".2f", spreads=True)
                lines.append(line.format(name=name, load=load, told=told))
    return lines


def cell(values: list[float], shape: str, spreads: bool) -> str:
    """The median, and in brackets the smallest and the largest if wanted."""
    if not values:
        return ""
    middle = spread(values)
    text = format(middle.median, shape)
    if spreads and len(values) > 1:
        text += f" ({middle.low:{shape}}..{middle.high:{shape}})"
    return text


def commit() -> str:
    """The checkout's commit, marked when files differ from it."""
    command = ["git", "-C", str(_ROOT), "describe", "--always", "--dirty", "--abbrev=10"]
    try:
        return subprocess.run(command, capture_output=True, text=True).stdout.strip() or "unknown"
    except OSError:
        return "unknown"


def is_clean(commit: str) -> bool:
    """Whether somebody else could get the very code that was measured."""
    return commit != "unknown" and not commit.endswith("-dirty")


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
