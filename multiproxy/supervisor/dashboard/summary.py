"""What a list of finished exchanges adds up to, for one backend, one model or all."""

from collections.abc import Iterable
from statistics import median

from multiproxy.supervisor.dashboard.minute import percentile
from multiproxy.supervisor.dashboard.views import FinishedView


class Summary:
    """Sums and percentiles; a value nobody reported is None, not 0."""

    def __init__(self, exchanges: Iterable[FinishedView]) -> None:
        self.requests = 0
        self.failures = 0
        self.prompt_tokens = 0
        self.cached_tokens = 0
        self.output_tokens = 0
        ttfts: list[float] = []
        speeds: list[float] = []
        for x in exchanges:
            self.requests += 1
            self.failures += x.outcome.is_failure
            self.prompt_tokens += x.prompt_tokens or 0
            self.cached_tokens += x.cached_tokens or 0
            self.output_tokens += x.output_tokens or 0
            if x.ttft_s is not None:
                ttfts.append(x.ttft_s)
            if x.tokens_per_s is not None:
                speeds.append(x.tokens_per_s)
        ttfts.sort()
        self.ttft_p50 = percentile(ttfts, 0.5)
        self.ttft_p95 = percentile(ttfts, 0.95)
        self.speed = median(speeds) if speeds else None

    @property
    def failed_share(self) -> float | None:
        return self.failures / self.requests if self.requests else None

    @property
    def cached_share(self) -> float | None:
        """Of all prompt tokens, not of requests: a long cached prompt saves more."""
        return self.cached_tokens / self.prompt_tokens if self.prompt_tokens else None
