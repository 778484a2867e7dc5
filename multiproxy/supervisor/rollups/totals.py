"""What finished exchanges add up to: counts and tokens, and how their times were spread."""

from dataclasses import dataclass, fields

from multiproxy.supervisor.dashboard.views import FinishedView, Outcome
from multiproxy.supervisor.rollups.histogram import LogHistogram


@dataclass(slots=True)
class Counters:
    """Plain sums; every field is a column of the history's tables. ``compute_s`` is the time
    that backends were busy with them: prefill and decode."""

    ok: int = 0
    client_left: int = 0
    rejected: int = 0
    upstream_error: int = 0
    timeout: int = 0
    no_backend: int = 0
    broken_stream: int = 0
    retried: int = 0
    prompt_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0
    compute_s: float = 0.0

    def add(self, x: FinishedView) -> None:
        name = x.outcome.value
        setattr(self, name, getattr(self, name) + 1)
        self.retried += x.attempts > 1
        prompt = x.prompt_tokens or 0
        self.prompt_tokens += prompt
        # A backend that says more was cached than there was must not make work negative.
        self.cached_tokens += min(x.cached_tokens or 0, prompt)
        self.output_tokens += x.output_tokens or 0
        self.compute_s += (x.prefill_s or 0.0) + (x.decode_s or 0.0)

    def merge(self, other: "Counters") -> None:
        # Spelled out: thousands of these are added up for one page.
        self.ok += other.ok
        self.client_left += other.client_left
        self.rejected += other.rejected
        self.upstream_error += other.upstream_error
        self.timeout += other.timeout
        self.no_backend += other.no_backend
        self.broken_stream += other.broken_stream
        self.retried += other.retried
        self.prompt_tokens += other.prompt_tokens
        self.cached_tokens += other.cached_tokens
        self.output_tokens += other.output_tokens
        self.compute_s += other.compute_s

    @property
    def requests(self) -> int:
        return self.ok + self.client_left + self.rejected + self.failures

    @property
    def failures(self) -> int:
        return self.upstream_error + self.timeout + self.no_backend + self.broken_stream

    @property
    def processed_tokens(self) -> int:
        """Prompt tokens that a backend had to work on."""
        return self.prompt_tokens - self.cached_tokens


COUNTERS = tuple(field.name for field in fields(Counters))
assert {outcome.value for outcome in Outcome} <= set(COUNTERS)


class Totals:
    """Counters, and histograms of time to first token (s) and of speed (tokens/s)."""

    __slots__ = ("counters", "speed", "ttft")

    def __init__(self) -> None:
        self.counters = Counters()
        self.ttft = LogHistogram()
        self.speed = LogHistogram()

    def add(self, x: FinishedView) -> None:
        self.counters.add(x)
        if x.ttft_s is not None:
            self.ttft.add(x.ttft_s)
        if x.tokens_per_s is not None:
            self.speed.add(x.tokens_per_s)

    def merge(self, other: "Totals") -> None:
        self.counters.merge(other.counters)
        self.ttft.merge(other.ttft)
        self.speed.merge(other.speed)
