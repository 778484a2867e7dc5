"""``multiproxy status``: one screen of text, or the overview's JSON."""

import argparse
import json
from collections.abc import Iterator, Mapping
from typing import Any

from multiproxy.cli import exit_codes
from multiproxy.cli.instance import Instance, talk
from multiproxy.supervisor.dashboard import formats
from multiproxy.supervisor.log import printable

Json = Mapping[str, Any]

SERVING = ("up", "sleeping", "stopped")  # or will, when a request comes
NOW_S = 3  # "now" is the mean of the last complete seconds


def status(options: argparse.Namespace) -> int:
    """Print how a running MultiProxy is."""
    return talk(options, lambda instance: _status(instance, options))


def _status(instance: Instance, options: argparse.Namespace) -> int:
    overview = instance.get("overview")
    print(json.dumps(overview) if options.json else "\n".join(lines(overview, instance.url)))
    return exit_codes.OK if serves(overview) else exit_codes.FAILED


def serves(overview: Json) -> bool:
    """Whether a request could be answered now."""
    return overview["health"]["ready"] and any(b["state"] in SERVING for b in overview["backends"])


def lines(overview: Json, url: str) -> list[str]:
    """The whole screen."""
    return [head(overview, url), "", *table(overview), "", *summary(overview)]


def head(overview: Json, url: str) -> str:
    health = overview["health"]
    workers = f"{health['workers_serving']} of {health['workers_total']} workers"
    up = formats.span(health["uptime_s"])
    return f"MultiProxy at {url}, up {up}, {workers}, {printable(health['config_path'])}"


def table(overview: Json) -> list[str]:
    """A row for each backend, in the order of the config."""
    if not overview["backends"]:
        return ["  no backends yet"]
    columns = ("backend", "state", "slots", "tok/s", "TTFT p50", "failed", "model")
    rows = [columns, *(_row(overview, backend) for backend in overview["backends"])]
    widths = [max(len(row[i]) for row in rows) for i in range(len(columns))]
    right = (2, 3, 4, 5)
    return [
        "  "
        + "  ".join(
            cell.rjust(width) if place in right else cell.ljust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


def _row(overview: Json, backend: Json) -> tuple[str, ...]:
    sums = overview["window"]["by_backend"].get(backend["id"], {})
    model = ", ".join(backend["models"][:2]) or "–"
    if backend["state"] == "down":
        model = backend["reason"] or "not answering"
    total = backend["slots_total"]
    return (
        printable(backend["id"]),
        backend["state"],
        f"{backend['slots_busy']}/{'–' if total is None else total}",
        "".join(formats.rate(speed(overview, backend["id"]))),
        " ".join(formats.seconds(sums.get("ttft_p50"))).strip(),
        " ".join(formats.percent(sums.get("failed_share"))).strip(),
        printable(model),
    )


def speed(overview: Json, backend: str) -> float:
    """Output tokens per second now."""
    recent = overview["pulse"]["output"].get(backend, [])[-NOW_S:]
    return sum(recent) / len(recent) if recent else 0.0


def summary(overview: Json) -> Iterator[str]:
    running = overview["running"]
    queued = sum(each["phase"] == "queued" for each in running)
    total = sum(speed(overview, backend["id"]) for backend in overview["backends"])
    sums, span = overview["window"]["total"], overview["window"]["name"]
    ttft = [" ".join(formats.seconds(sums[name])).strip() for name in ("ttft_p50", "ttft_p95")]
    failed = " ".join(formats.percent(sums["failed_share"])).strip()
    yield (
        f"{len(running) - queued} requests running, {queued} waiting · "
        f"{''.join(formats.rate(total))} output tok/s"
    )
    yield (
        f"last {span}: {sums['requests']:,} requests, {failed} failed, "
        f"TTFT p50 {ttft[0]}, p95 {ttft[1]}"
    )
    for problem in overview["health"]["problems"]:
        yield f"warning: {printable(problem)}"
    if overview["health"]["reload_error"]:
        yield f"warning: the last reload failed: {printable(overview['health']['reload_error'])}"
