"""What ``/metrics`` tells: which families there are, and what each exchange adds to them.

``gen_ai_*`` are named as OpenTelemetry's conventions for generative AI are translated to
Prometheus; their bounds are supersets of the conventions', because a local prefill passes ten
seconds easily and a small model a hundred tokens a second. Labels never carry what a client
made up: a model that is not served is ``_other``.
"""

from multiproxy.config import Metrics as Settings
from multiproxy.supervisor.dashboard.views import FinishedView, Outcome
from multiproxy.supervisor.metrics_now import Now
from multiproxy.supervisor.prometheus import OTHER, Counter, Histogram, render
from multiproxy.supervisor.rollups.recorder import series_of

_DOUBLES = tuple(0.01 * 2**i for i in range(18))  # 0.01 .. 1310.72
_FIRST_TOKEN = (
    0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0,
    20.0, 40.0, 80.0, 160.0, 320.0,
)  # fmt: skip
_PER_TOKEN = (
    0.0025, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 2.5, 5.0,
)  # fmt: skip
_TOKENS = tuple(4**i for i in range(14))  # 1 .. 67,108,864
_QUEUE = (0.001, 0.01, 0.1, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 40.0, 80.0, 160.0, 320.0)

PROVIDER = "llama_cpp"
_GEN_AI = ("gen_ai_operation_name", "gen_ai_provider_name", "gen_ai_request_model", "backend")
_OPERATIONS = {
    "chat": "chat", "messages": "chat", "responses": "chat", "completions": "text_completion",
    "completion": "text_completion", "embeddings": "embeddings", "embedding": "embeddings",
}  # fmt: skip


def operation(api: str) -> str:
    """``gen_ai.operation.name`` of an endpoint."""
    return _OPERATIONS.get(api, OTHER)


class Metrics:
    """Grows with ``observe``; ``exposition`` adds what is true now."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._duration = Histogram(
            "gen_ai_server_request_duration_seconds",
            "Time from a request's head to the last byte of its answer.",
            _DOUBLES, (*_GEN_AI, "error_type"),
        )  # fmt: skip
        self._ttft = Histogram(
            "gen_ai_server_time_to_first_token_seconds",
            "Time from a request's head to the first token of its stream.",
            _FIRST_TOKEN, _GEN_AI,
        )  # fmt: skip
        self._per_token = Histogram(
            "gen_ai_server_time_per_output_token_seconds",
            "Mean time between the tokens of an answer, after its first.",
            _PER_TOKEN, _GEN_AI,
        )  # fmt: skip
        self._usage = Histogram(
            "gen_ai_client_token_usage",
            "Tokens of a request: its prompt, the cached part included, and its answer.",
            _TOKENS, (*_GEN_AI, "gen_ai_token_type"),
        )  # fmt: skip
        self._inference = {
            part: Counter(
                f"gen_ai_client_inference_usage_{part}_tokens_total", help,
                (*_GEN_AI, "gen_ai_token_modality"),
            )
            for part, help in (
                ("input", "Prompt tokens, the cached ones included."),
                ("cache_read_input", "Prompt tokens that came from a cache."),
                ("output", "Generated tokens, reasoning included."),
            )
        }  # fmt: skip
        key = ("key",) if settings.key_label else ()
        self._tokens = Counter(
            "multiproxy_tokens_total",
            "Tokens, by what was done with them.", ("type", "model", "backend", *key),
        )  # fmt: skip
        self._requests = Counter(
            "multiproxy_requests_total",
            "Finished requests, by how they ended.", ("status", "model", "backend", "api", *key),
        )  # fmt: skip
        self._queue = Histogram(
            "multiproxy_queue_seconds",
            "Time that requests waited here for a free slot.", _QUEUE, ("model",),
        )  # fmt: skip
        self._retries = Counter(
            "multiproxy_retries_total",
            "Attempts that failed and were made again elsewhere.", ("backend", "reason"),
        )  # fmt: skip

    def observe(self, x: FinishedView) -> None:
        """Add an exchange that has ended."""
        model, backend = series_of(x)[0] or OTHER, x.backend
        labels = (operation(x.api), PROVIDER, model, backend)
        error = "" if x.outcome is Outcome.OK else x.outcome.value
        self._duration.observe(x.total_s, *labels, error)
        if x.ttft_s is not None:
            self._ttft.observe(x.ttft_s, *labels)
        if x.tokens_per_s:
            self._per_token.observe(1 / x.tokens_per_s, *labels)
        self._observe_tokens(x, labels)
        key = (x.key,) if self._settings.key_label else ()
        self._requests.add(1, x.outcome.value, model, backend, x.api, *key)
        if backend:
            self._queue.observe(x.queue_s, model)
        for attempt in x.path:
            if attempt.was_retried:
                self._retries.add(1, attempt.backend, attempt.error or OTHER)

    def _observe_tokens(self, x: FinishedView, labels: tuple[str, str, str, str]) -> None:
        prompt, output = x.prompt_tokens or 0, x.output_tokens or 0
        cached = min(x.cached_tokens or 0, prompt)
        if not prompt and not output:
            return
        key = (x.key,) if self._settings.key_label else ()
        for kind, amount in (
            ("prompt_processed", prompt - cached), ("prompt_cached", cached), ("output", output),
        ):  # fmt: skip
            self._tokens.add(amount, kind, *labels[2:], *key)
        if self._settings.genai_tokens in ("legacy", "both"):
            self._usage.observe(prompt, *labels, "input")
            self._usage.observe(output, *labels, "output")
        if self._settings.genai_tokens in ("next", "both"):
            for part, amount in (
                ("input", prompt),
                ("cache_read_input", cached),
                ("output", output),
            ):
                self._inference[part].add(amount, *labels, "text")

    def exposition(self, now: Now, openmetrics: bool) -> str:
        """The answer to a scrape."""
        observed = [
            self._duration, self._ttft, self._per_token, self._usage, *self._inference.values(),
            self._tokens, self._requests, self._queue, self._retries,
        ]  # fmt: skip
        current = now.families()
        overflow = Counter(
            "multiproxy_metrics_overflows_total",
            f"Observations counted as {OTHER} because a metric had too many series.",
        )
        overflow.add(sum(family.overflows for family in observed + current))
        return render([*observed, *current, overflow], openmetrics)
