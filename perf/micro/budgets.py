"""What each path may cost, in counts, and whether it still keeps to that.

    python perf/micro/budgets.py            # what it costs now, and what is over its budget
    python perf/micro/budgets.py --write    # what it costs now is the budget from now on

Budgets are kept per version of Python: their instructions differ. A commit that needs more has
to write them, and to say why.
"""

import argparse
import asyncio
import json
import math
import sys
from pathlib import Path
from typing import TypedDict

sys.path[:0] = [str(Path(__file__).resolve().parent.parent)]

from micro.counting import instructions, kept_blocks, peak_bytes  # noqa: E402
from micro.paths import PATHS  # noqa: E402

FILE = Path(__file__).with_name("budgets.json")
VERSION = f"{sys.version_info.major}.{sys.version_info.minor}"
_NAMED = 0.01  # of a path's instructions: functions with less are only in its sum
_SLACK = 1.02  # some functions do more at the turn of a second
_SLACK_INSTRUCTIONS = 2
_SLACK_BLOCKS = 0.5


class Cost(TypedDict):
    """Of one walk along a path. ``writes`` go to sockets, ``kept_blocks`` stay in memory."""

    instructions: int
    writes: float
    kept_blocks: float
    peak_bytes: int
    by_function: dict[str, int]


async def cost_of(name: str) -> Cost:
    """What one path costs now."""
    walk = PATHS[name]()
    await walk.begin()
    before = walk.writes
    by_function = await instructions(walk.step, walk.steps)
    writes = (walk.writes - before) / walk.steps
    total = sum(by_function.values())
    cost: Cost = {
        "instructions": total,
        "writes": writes,
        "kept_blocks": await kept_blocks(walk.step, walk.steps),
        "peak_bytes": await peak_bytes(walk.step),
        "by_function": {
            function: count for function, count in by_function.items() if count >= total * _NAMED
        },
    }
    await walk.end()
    return cost


def excesses(cost: Cost, budget: Cost) -> list[str]:
    """One line for each count that is over its budget."""
    found = []
    for what, slack in (("writes", 0.0), ("kept_blocks", _SLACK_BLOCKS)):
        if cost[what] > budget[what] + slack:  # type: ignore[literal-required]
            found.append(f"{what} {cost[what]}, budget {budget[what]}")  # type: ignore[literal-required]
    if cost["peak_bytes"] > budget["peak_bytes"] * _SLACK:
        found.append(f"peak_bytes {cost['peak_bytes']}, budget {budget['peak_bytes']}")
    if _is_over(cost["instructions"], budget["instructions"]):
        found.append(f"instructions {cost['instructions']}, budget {budget['instructions']}")
    for function, count in cost["by_function"].items():
        allowed = budget["by_function"].get(function, int(budget["instructions"] * _NAMED))
        if _is_over(count, allowed):
            found.append(f"instructions of {function} {count}, budget {allowed}")
    return found


def _is_over(count: int, budget: int) -> bool:
    return count > math.ceil(budget * _SLACK) + _SLACK_INSTRUCTIONS


def read() -> dict[str, dict[str, Cost]]:
    """The budgets by version of Python and path."""
    budgets: dict[str, dict[str, Cost]] = json.loads(FILE.read_text()) if FILE.exists() else {}
    return budgets


async def _all() -> dict[str, Cost]:
    return {name: await cost_of(name) for name in PATHS}


def main() -> None:
    """Print what each path costs; compare it with the budgets, or write them."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--write", action="store_true", help="make this the budget")
    write = parser.parse_args().write
    costs, budgets = asyncio.run(_all()), read()
    over = False
    print(f"{'':30}instructions  writes  kept blocks  peak bytes")
    for name, cost in costs.items():
        counts = f"{cost['instructions']:12}  {cost['writes']:6.1f}  {cost['kept_blocks']:11.1f}"
        print(f"{name:30}{counts}  {cost['peak_bytes']:10}")
        budget = budgets.get(VERSION, {}).get(name)
        for line in excesses(cost, budget) if budget and not write else ():
            over = True
            print(f"    {line}")
    if write:
        FILE.write_text(json.dumps(dict(sorted((budgets | {VERSION: costs}).items())), indent=1))
        with FILE.open("a") as file:
            file.write("\n")
    elif VERSION not in budgets:
        print(f"there are no budgets for Python {VERSION}: --write makes them")
    sys.exit(1 if over else 0)


if __name__ == "__main__":
    main()
