"""The plain values that the dashboard shows; with ``contract``, all that it knows.

The pages know these dataclasses and nothing of shared memory, sockets or configuration.

Units: times of day are Unix seconds (float), durations are seconds, sizes are tokens.
``None`` means unknown and is shown as a dash; ``0`` means zero and is shown as zero. Every
string may come from outside (model names, user agents, a backend's error): it is text.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

FLOW_STEP_S = 0.2  # of RunningView.flow


class BackendState(StrEnum):
    CHECKING = "checking"  # not probed yet
    UP = "up"
    LOADING = "loading"
    SLEEPING = "sleeping"  # unloaded by its own idle timer; wakes on the next request
    STOPPED = "stopped"  # its command is run when a request waits for it
    DRAINING = "draining"  # finishes what it has, gets nothing new
    DOWN = "down"


class Phase(StrEnum):
    """Where a running exchange is; the order is the order in time."""

    RECEIVING = "receiving"  # the client is still sending its body
    QUEUED = "queued"  # waits in MultiProxy for a slot
    CONNECTING = "connecting"  # sent to a backend, no sign of life yet
    PREFILL = "prefill"  # the backend works on the prompt
    DECODING = "decoding"  # tokens flow


class Outcome(StrEnum):
    """How an exchange ended, the classes of the error rate."""

    OK = "ok"
    CLIENT_LEFT = "client_left"
    REJECTED = "rejected"  # 4xx, by us or by the backend: the request's own fault
    UPSTREAM_ERROR = "upstream_error"
    TIMEOUT = "timeout"
    NO_BACKEND = "no_backend"  # none up, or no slot within the queue's patience
    BROKEN_STREAM = "broken_stream"  # failed after the client had seen the first event

    @property
    def is_failure(self) -> bool:
        """Whether it counts against the error rate; leaving and 4xx are classes of their own."""
        return self not in (Outcome.OK, Outcome.CLIENT_LEFT, Outcome.REJECTED)


@dataclass(frozen=True, slots=True)
class LineView:
    """A line that a server wrote."""

    at: float
    text: str


@dataclass(frozen=True, slots=True)
class ServerView:
    """The command of a backend that we run ourselves; ``command`` is without secrets.

    ``stage`` is a name of ``server_life.Stage``; ``reason`` is why its last try failed.
    """

    command: str
    stage: str
    pid: int | None = None
    started_at: float | None = None
    starts: int = 0
    deaths: int = 0  # ends that nobody asked for
    reason: str = ""
    start: str = "on_demand"
    ttl_s: float | None = None
    exclusive: str = ""
    lines: tuple[LineView, ...] = ()  # what it wrote last, oldest first


@dataclass(frozen=True, slots=True)
class BackendView:
    """One row of the backends table. ``address`` is host:port, never with credentials."""

    id: str
    address: str
    state: BackendState
    since: float | None = None  # when this state began
    models: tuple[str, ...] = ()
    slots_busy: int = 0  # exchanges of ours in flight there
    slots_total: int | None = None
    context_size: int | None = None  # tokens per slot
    weight: int = 1
    tags: tuple[str, ...] = ()
    last_check_at: float | None = None
    last_check_s: float | None = None  # how long the backend took to answer it
    checks_failed: int = 0  # since the start
    reason: str = ""  # why it is not up, in words
    detail: str = ""  # quantisation, build
    held: bool = False  # drained by an operator, until resumed
    leaves: bool = False  # not in the configuration any more
    server: ServerView | None = None  # of one that is run from a command


@dataclass(frozen=True, slots=True)
class ChangeView:
    """From ``at`` on a backend was in that state."""

    at: float
    state: BackendState
    reason: str = ""


@dataclass(frozen=True, slots=True)
class ModelView:
    """A name that clients may ask for, and where it goes; ``backends`` are ids.

    Without configured models: what the backends report.
    """

    name: str
    backends: tuple[str, ...] = ()  # of a split: of all its parts
    aliases: tuple[str, ...] = ()
    parts: tuple[tuple[str, int], ...] = ()  # of a split: model and weight
    fallback: tuple[str, ...] = ()
    mirror: str = ""  # the model that gets copies
    send_as: str = ""
    is_default: bool = False  # serves every name that nothing else matches


@dataclass(frozen=True, slots=True)
class RunningView:
    """An exchange that has not ended.

    ``flow`` is the token rhythm: tokens per 200 ms, oldest first, at most 60, the last one
    is now; it may be shorter for a young exchange and empty when unknown.
    """

    id: str
    started_at: float
    elapsed_s: float
    phase: Phase
    model: str
    backend: str = ""  # "" until one is chosen
    key: str = ""  # the principal's name, never the key
    api: str = ""  # "chat", "messages", "embeddings", ...
    stream: bool = True
    queue_position: int | None = None  # 1 is next
    prompt_tokens: int | None = None
    cached_tokens: int | None = None
    prefill_progress: float | None = None  # 0..1 of prompt_tokens, the cached part included
    output_tokens: int = 0
    ttft_s: float | None = None
    tokens_per_s: float | None = None  # over the last 2 s
    attempts: int = 1
    flow: tuple[int, ...] = ()
    client: str = ""
    user_agent: str = ""
    copy_of: str = ""  # id of the request that it mirrors; nobody gets its answer


@dataclass(frozen=True, slots=True)
class AttemptView:
    """One request at one backend; moments in seconds since the request's head was there.

    ``reason`` is a name of ``routing.placement.Reason`` in lower case, "" unknown; ``busy`` of
    ``slots`` were taken there, and ``ready`` of ``candidates`` backends could be chosen from.
    """

    backend: str
    reason: str
    busy: int
    slots: int  # 0: no bound known
    ready: int
    candidates: int
    waited_s: float  # for a slot, before ``chosen_s``
    chosen_s: float
    sent_s: float | None
    first_s: float | None  # of a streamed answer's events
    ended_s: float
    error: str = ""  # code of the failure
    was_retried: bool = False  # another attempt followed, or nobody was left for one
    broke_at: str = ""  # "system", "tools", "message 4": where the prompt left the turn before
    reread_tokens: int = 0  # for that


@dataclass(frozen=True, slots=True)
class FinishedView:
    """An exchange that has ended; the last attempt's backend, and the sum of all attempts.

    ``queue_s + prefill_s + decode_s`` need not reach ``total_s``: what is left is reading the
    body, connecting and failed attempts. ``termination`` is the access log's two letters,
    who ended it and in which phase (``--`` fine, ``CD`` client left during data).
    """

    id: str
    started_at: float
    total_s: float
    status: int  # HTTP status the client saw; 0 when it left before one
    outcome: Outcome
    model: str
    requested_model: str = ""  # as the client named it
    backend: str = ""
    key: str = ""
    api: str = ""
    stream: bool = True
    prompt_tokens: int | None = None
    cached_tokens: int | None = None
    output_tokens: int | None = None
    ttft_s: float | None = None  # streams only: a non-stream has no first token
    tokens_per_s: float | None = None  # (output - 1) / (last - first)
    queue_s: float = 0.0
    prefill_s: float | None = None
    decode_s: float | None = None
    attempts: int = 1
    termination: str = "--"
    finish_reason: str = ""
    error: str = ""
    client: str = ""
    user_agent: str = ""
    split: str = ""  # the model that was split, of which ``model`` is a part
    copy_of: str = ""  # id of the request that it mirrors; nobody got its answer
    path: tuple[AttemptView, ...] = ()  # empty when not kept; some in the middle may be left out

    @property
    def ended_at(self) -> float:
        return self.started_at + self.total_s


@dataclass(frozen=True, slots=True)
class HealthView:
    """MultiProxy itself. ``problems`` are sentences for the operator, worst first."""

    uptime_s: float
    workers_serving: int
    workers_total: int
    config_path: str = ""
    api_url: str = ""  # base URL for clients, such as http://127.0.0.1:8001/v1
    ready: bool = True
    loaded_at: float | None = None  # when the config in use was loaded
    reload_error: str = ""  # first line of the last reload's errors; "" when it went well
    problems: tuple[str, ...] = ()
    config_text: str = ""  # what is in use as YAML, secrets masked
    history_path: str = ""  # "" when nothing outlives a restart
    history_bytes: int = 0
    lag_s: float = 0.0  # the worst of the last seconds, by which a worker's loop was late


@dataclass(frozen=True, slots=True)
class EventView:
    """Something that happened: a backend changed state, a reload, a worker was replaced.

    ``seq`` grows by one per event. ``kind`` is "ok", "warn" or "err". ``mark`` is what a chart
    writes at its line; "" draws none.
    """

    seq: int
    at: float
    kind: str
    text: str
    mark: str = ""


@dataclass(frozen=True, slots=True)
class Window:
    """A stretch of time up to now that a page can show."""

    name: str  # as in the URL
    label: str  # as on the switch
    words: str  # "the last ..."
    span_s: int
    step_s: int  # of one point of a chart
    columns: int  # of the heat map
    refresh_s: float  # how often its numbers are made anew


WINDOWS: Mapping[str, Window] = {
    window.name: window
    for window in (
        Window("5m", "5 m", "5 minutes", 300, 1, 30, 0.0),
        Window("1h", "1 h", "hour", 3600, 10, 30, 10.0),
        Window("24h", "24 h", "24 hours", 86_400, 300, 24, 60.0),
        Window("7d", "7 d", "7 days", 604_800, 3600, 28, 60.0),
    )
}
DEFAULT_WINDOW = "5m"


@dataclass(frozen=True, slots=True)
class SummaryView:
    """What some exchanges add up to. ``streams`` is how many the first-token times come from."""

    requests: int = 0
    failures: int = 0
    prompt_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0
    streams: int = 0
    ttft_p50: float | None = None
    ttft_p95: float | None = None
    speed: float | None = None  # tokens/s of the median stream

    @property
    def processed_tokens(self) -> int:
        return self.prompt_tokens - self.cached_tokens

    @property
    def failed_share(self) -> float | None:
        """Of the exchanges that could succeed: leaving and 4xx count as well-served."""
        return self.failures / self.requests if self.requests else None

    @property
    def cached_share(self) -> float | None:
        """Of all prompt tokens, not of requests: a long cached prompt saves more."""
        return self.cached_tokens / self.prompt_tokens if self.prompt_tokens else None


@dataclass(frozen=True, slots=True)
class UsageView:
    """What one model, backend or key used in one hour. ``start`` is the hour's, Unix time."""

    start: int
    name: str  # "" for requests without one
    requests: int = 0
    failures: int = 0
    prompt_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0
    compute_s: float = 0.0  # that backends were busy: prefill and decode

    @property
    def processed_tokens(self) -> int:
        return self.prompt_tokens - self.cached_tokens

    @property
    def spent_tokens(self) -> int:
        """Compute spent: what had to be worked on. The cached part cost nothing."""
        return self.processed_tokens + self.output_tokens


USAGE_GROUPS = ("model", "backend", "key")


@dataclass(frozen=True, slots=True)
class PulseView:
    """The last 120 complete seconds, one value per second, the newest last."""

    output: Mapping[str, Sequence[float]]  # tokens/s by backend
    prompt: Sequence[float]  # processed tokens/s: the cached part cost nothing
    ended: Sequence[float]  # requests
    failed: Sequence[float]
    stream_speed: float | None  # tokens/s of the median running stream


@dataclass(frozen=True, slots=True)
class WindowView:
    """One window, ending now. ``is_exact`` tells percentiles of samples from those of buckets."""

    window: Window
    span_s: float  # what the sums really cover: whole bins, so a little less
    output: Mapping[str, Sequence[float]]  # tokens/s by backend, a point each ``window.step_s``
    total: SummaryView  # without mirrored requests, as is ``heat``
    by_backend: Mapping[str, SummaryView]
    by_model: Mapping[str, SummaryView]
    by_part: Mapping[str, Mapping[str, SummaryView]]  # of each split, by model
    heat: Sequence[Sequence[int]]  # columns, oldest first, of counts per row of TTFT_BOUNDS
    is_exact: bool
