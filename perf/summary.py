"""The table of README.md that comes from the newest stored result: ``python perf/summary.py``.

It replaces what is between two comments in the file, and nothing else.
"""

import json
import re
from pathlib import Path
from typing import Any

from figures import Results, median, subtract_direct

_HERE = Path(__file__).resolve().parent
README = _HERE.parent / "README.md"
RESULTS = _HERE / "results"
_PLACE = re.compile(r"(<!-- perf/summary\.py writes this -->\n).*?(<!-- until here -->)", re.S)

# title, load, figure, divisor, format
_COLUMNS = [
    ("CPU µs per event", "stream", "cpu_us", 1, ".1f"),
    ("of Messages", "messages stream", "cpu_us", 1, ".1f"),
    ("of Responses", "responses stream", "cpu_us", 1, ".1f"),
    ("CPU µs per small request", "request", "cpu_us", 1, ".0f"),
    ("CPU ms per 1 MB request", "1000 KB body", "cpu_us", 1000, ".1f"),
    ("reads and writes per event", "stream calls", "transfers", 1, ".2f"),
    ("added per event, p50 ms", "stream", "added_p50_us", 1000, ".2f"),
    ("added to the first token, p50 ms", "first token", "added_first_us", 1000, ".2f"),
    ("KB per idle stream", "idle streams", "rss_per_stream", 1000, ".1f"),
]


def newest(folder: Path) -> dict[str, Any]:
    """The result that was stored last: their names begin with the time."""
    run: dict[str, Any] = json.loads(max(folder.glob("*.json")).read_text())
    return run


def summary(run: dict[str, Any]) -> str:
    """One row per figure that somebody has, one column per contestant, and where from."""
    results: Results = run["rounds"]
    subtract_direct(results)
    names = [name for name in run["versions"] if name != "direct"]
    lines = [f"| | {' | '.join(names)} |", f"|---|{'---|' * len(names)}"]
    for title, load, key, divisor, shape in _COLUMNS:
        middles = [median(results.get(load, {}).get(name, []), key) for name in names]
        if any(middle is not None for middle in middles):
            cells = ["" if each is None else format(each / divisor, shape) for each in middles]
            lines.append(f"| {title} | {' | '.join(cells)} |")
    machine, shape = run["machine"], run["shape"]
    rounds = max(len(of) for contestants in results.values() for of in contestants.values())
    lines.append("")
    lines.append(
        f"Medians of {rounds} rounds at commit {run['commit']}: {shape['streams']} streams of"
        f" {shape['rate']:g} events per second, then {shape['request_rate']:g} small requests per"
        f" second; the proxy alone on one core of {machine['processor']}, Python"
        f" {machine['python']}."
    )
    for name, (streams, requests) in run.get("shares", {}).items():
        lines[-1] += (
            f" {name} could not bear that and got one in {1 / streams:.0f} of the streams and one"
            f" in {1 / requests:.0f} of the requests."
        )
    return "\n".join(lines)


def written(page: str, table: str) -> str:
    """The page with this table in its place.

    Raises:
        ValueError: it has no place for it.
    """
    text, places = _PLACE.subn(lambda found: f"{found[1]}{table}\n{found[2]}", page)
    if places != 1:
        raise ValueError(f"{places} places for the table instead of one")
    return text


if __name__ == "__main__":
    README.write_text(written(README.read_text(), summary(newest(RESULTS))))
