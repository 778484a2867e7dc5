"""The judge: reads what the load saw from standard input, and tells its verdict at the end.

A record is one line of JSON, and for an ended request the raw bytes that came. What was begun
and never ended hangs, whatever became of the load, so the classes always add up to what was
sent. The last line on standard output is the report.
"""

import json
import sys
from collections import Counter, defaultdict
from typing import Any, BinaryIO

from faults.asked import Asked
from faults.verdict import Verdict, judge

from judge import Outcome

MOST_EXAMPLES = 5


class Bench:
    """All requests of one run."""

    def __init__(self, *, keeps_all: bool) -> None:
        self._keeps_all = keeps_all
        self._open: dict[int, Asked] = {}
        self._sent = 0
        self._outcomes: Counter[str] = Counter()
        self._of_prefix: dict[str, Counter[str]] = defaultdict(Counter)
        self._examples: dict[str, list[str]] = defaultdict(list)
        self._all: list[dict[str, Any]] = []

    def sent(self, asked: Asked) -> None:
        self._open[asked.number] = asked
        self._sent += 1

    def ended(self, number: int, how: str, raw: bytes, at: float) -> None:
        asked = self._open.pop(number)
        self._count(asked, judge(asked, raw, how), at)

    def close(self) -> dict[str, Any]:
        for asked in self._open.values():
            self._count(asked, Verdict(Outcome.HANG.value, "no end was ever told"), 0.0)
        return {
            "sent": self._sent,
            "outcomes": self._outcomes,
            "of_prefix": self._of_prefix,
            "examples": self._examples,
            "all": self._all,
        }

    def _count(self, asked: Asked, verdict: Verdict, at: float) -> None:
        outcome = verdict.outcome
        self._outcomes[outcome] += 1
        self._of_prefix[asked.nonce.partition(".")[0]][outcome] += 1
        examples = self._examples[outcome]
        if verdict.why and len(examples) < MOST_EXAMPLES:
            examples.append(f"{asked.nonce} ({asked.dialect}): {verdict.why}")
        if self._keeps_all:
            self._all.append(
                {
                    "number": asked.number,
                    "outcome": outcome,
                    "seen": verdict.seen,
                    "status": verdict.status,
                    "at": at,
                }
            )


def read(source: BinaryIO, bench: Bench) -> None:
    """Take records until the load closes its end."""
    while line := source.readline():
        if not line.endswith(b"\n"):
            return  # the load died while it wrote
        record = json.loads(line)
        if "sent" in record:
            bench.sent(Asked(**record["sent"]))
            continue
        raw = source.read(record["size"])
        if len(raw) < record["size"]:
            return
        bench.ended(record["ended"], record["how"], raw, record["at"])


if __name__ == "__main__":
    the_bench = Bench(keeps_all="--all" in sys.argv)
    read(sys.stdin.buffer, the_bench)
    print(json.dumps(the_bench.close()))
