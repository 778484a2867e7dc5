"""What a load is, and what has been counted of it so far."""

import json
import time
from collections import Counter
from dataclasses import dataclass, field

from judge import Outcome, percentile


@dataclass(frozen=True, slots=True)
class Load:
    """What to send where, for so many ``seconds``.

    ``streams`` each bring ``rate`` events per second, or ``tokens`` over all the time;
    ``connections`` together ask ``rate`` requests per second (0: as fast as they are answered)
    for ``tokens`` each.
    """

    host: str
    port: int
    run: str
    rate: float
    seconds: float
    question: str
    streams: int = 0
    connections: int = 0
    tokens: int = 0  # of each answer
    period_us: int = 20_000  # between these
    size: int = 1024  # of an answer without tokens
    ballast: int = 0  # blocks of text in each request
    hang_s: float = 10.0  # past its planned end, a request without an end is a hang

    @property
    def address(self) -> str:
        """For the Host field."""
        return f"{self.host}:{self.port}"

    def stream_plan(self) -> tuple[int, int]:
        """How many events a stream has, and the microseconds between them."""
        if self.tokens:
            return self.tokens, int(self.seconds * 1e6 / max(1, self.tokens - 1))
        return int(self.rate * self.seconds), int(1e6 / self.rate)


@dataclass(slots=True)
class Tally:
    """What has been counted so far; ``latencies`` (us) since the last mark only."""

    done: int = 0  # events, or requests
    latencies: list[int] = field(default_factory=list)
    first: list[int] = field(default_factory=list)  # request sent to first event, us
    outcomes: Counter[str] = field(default_factory=Counter)
    whys: Counter[str] = field(default_factory=Counter)

    def mark(self) -> dict[str, object]:
        """The counts now; starts the latencies anew."""
        latencies, self.latencies = self.latencies, []
        return {
            "at": time.monotonic(),
            "done": self.done,
            "p50_us": percentile(latencies, 0.5),
            "p99_us": percentile(latencies, 0.99),
            "max_us": percentile(latencies, 1.0),
        }

    def end(self, outcome: Outcome, why: str) -> None:
        """Count one request's end."""
        self.outcomes[outcome.value] += 1
        if why:
            self.whys[why] += 1

    def result(self) -> dict[str, object]:
        """The last line: every request in exactly one outcome."""
        return {
            "outcomes": dict(self.outcomes),
            "why": dict(self.whys.most_common(5)),
            "done": self.done,
            "first_p50_us": percentile(self.first, 0.5),
            "first_p99_us": percentile(self.first, 0.99),
        }


def request_bytes(host: str, path: str, body: dict[str, object]) -> bytes:
    """One POST with a JSON body."""
    data = json.dumps(body).encode()
    head = (
        f"POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n"
        f"Accept: */*\r\nUser-Agent: perf\r\nContent-Length: {len(data)}\r\n\r\n"
    )
    return head.encode() + data


def now_us() -> int:
    """CLOCK_MONOTONIC, which backend and load share."""
    return time.monotonic_ns() // 1000


def flows(count: int) -> None:
    """Tell whoever drives this process that the load flows."""
    print(json.dumps({"flowing": count}), flush=True)
