"""What is measured of one contestant under one load, and what rounds of it come to."""

import statistics
from typing import NamedTuple, TypedDict


class Figures(TypedDict, total=False):
    """One contestant in one round, under one load. Times in microseconds."""

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
    # What a proxy adds: the same less that of the direct way in the same round.
    added_p50_us: int
    added_p99_us: int
    added_first_us: int  # the median
    rss_per_stream: float  # bytes
    calls: float  # system calls per event or request
    transfers: float  # of these: reads and writes
    calls_by_name: dict[str, float]
    outcomes: dict[str, int]
    why: dict[str, int]


Results = dict[str, dict[str, list[Figures]]]  # by load, contestant and round


class Spread(NamedTuple):
    """The middle and the ends of the rounds."""

    median: float
    low: float
    high: float


def spread(values: list[float]) -> Spread:
    """Median, smallest and largest."""
    return Spread(statistics.median(values), min(values), max(values))


def values(figures: list[Figures], key: str) -> list[float]:
    """One figure of all rounds that have it."""
    if key == "first_process_us":  # of those with several: it starts the others and looks on
        parts = [one["cpu_us_by_process"] for one in figures if "cpu_us_by_process" in one]
        return [part[0] for part in parts if len(part) > 1]
    return [float(one[key]) for one in figures if key in one]  # type: ignore[literal-required]


def median(figures: list[Figures], key: str) -> float | None:
    """The middle of the rounds; None where it was not measured."""
    found = values(figures, key)
    return statistics.median(found) if found else None


def subtract_direct(results: Results) -> None:
    """Note in every round what was added to the direct way's latencies."""
    pairs = (("p50_us", "added_p50_us"), ("p99_us", "added_p99_us"))
    for contestants in results.values():
        for name, rounds in contestants.items():
            for one, direct in zip(rounds, contestants.get("direct", []), strict=False):
                for key, added in (*pairs, ("first_p50_us", "added_first_us")):
                    if name != "direct" and key in one and key in direct:
                        one[added] = one[key] - direct[key]  # type: ignore[literal-required]


def not_ok(figures: list[Figures]) -> int:
    """How many requests of these rounds did not end well."""
    return sum(
        count
        for one in figures
        for outcome, count in one.get("outcomes", {}).items()
        if outcome != "ok"
    )


def sent(figures: list[Figures]) -> int:
    """How many requests there were in these rounds."""
    return sum(sum(one.get("outcomes", {}).values()) for one in figures)
