"""Every setting there is: its name, type, unit, default, bounds and one line of documentation.

Frozen values only; nothing here reads a file. The classes are the schema: `bind` builds them
from YAML by their type hints, `snapshot` carries them to the workers.
"""

from dataclasses import dataclass, field
from typing import Literal

from multiproxy.config.access import Key, Tls
from multiproxy.config.backend import Backend
from multiproxy.config.capture import Capture
from multiproxy.config.setting import about, setting
from multiproxy.config.translation import Translation
from multiproxy.config.values import (
    BACKEND_ID,
    HOST_NAME,
    KIB,
    MIB,
    MODEL_NAME,
    MONTH,
    ORIGIN,
    PASSWORD,
    STORE,
    TICK,
    Address,
    Duration,
    Size,
)
from multiproxy.config.wildcard import WILDCARD

MAX_BACKENDS = 256  # rows of the scoreboard's backend board
MAX_WORKERS = 32  # half of the scoreboard's worker rows: a reload runs two generations at once


@dataclass(frozen=True, slots=True)
class Arm:
    """One side of a split."""

    model: str = field(metadata=about("the model that serves this share", grammar=MODEL_NAME))
    weight: int = setting(1, "its share of the conversations", least=0, most=1_000_000)


@dataclass(frozen=True, slots=True)
class Mirror:
    """A model that gets copies of requests which another one answered."""

    model: str = field(
        metadata=about(
            "the model that gets the copies; nobody gets its answers", grammar=MODEL_NAME
        )
    )
    share: float = setting(1.0, "of the answered requests, taken by chance", least=0, most=1)


@dataclass(frozen=True, slots=True)
class Model:
    """A name clients may ask for, and who serves it."""

    name: str = field(metadata=about("what clients call it", grammar=MODEL_NAME))
    backends: tuple[str, ...] = setting(
        (), "ids of the backends that serve it; none = every backend that reports it"
    )
    aliases: tuple[str, ...] = setting(
        (), "other names for it, exact or with * wildcards", grammar=WILDCARD
    )
    send_as: str | None = setting(
        None, "the name the backend is sent; default: as requested", grammar=MODEL_NAME
    )
    fold: bool = setting(
        True,
        "ask for whole chat answers as streams, so that a client that leaves frees its slot; "
        "false relays the backend's own answer byte for byte",
    )
    tags: tuple[str, ...] = setting(
        (),
        "only backends with all of these tags; without 'backends', all of them",
        grammar=BACKEND_ID,
    )
    fallback: tuple[str, ...] = setting(
        (),
        "models that serve instead, in this order, when none of its backends can: down, full for "
        "too long, or too small for the prompt",
        grammar=MODEL_NAME,
    )
    split: tuple[Arm, ...] = setting(
        (), "other models that share its conversations; each conversation stays with one"
    )
    mirror: Mirror | None = setting(
        None,
        "another model that gets a copy of what this one has answered, as far as a backend of it "
        "has nothing else to do",
        text_is="model",
    )
    scale_window: int | None = setting(
        None,
        "tokens; Messages and Responses clients are told the use of a window of this size, so that "
        "an agent with a fixed idea of it compacts in time; translated answers only",
        least=1,
        most=2**31,
    )


@dataclass(frozen=True, slots=True)
class Dashboard:
    """The web pages for the operator."""

    listen: Address = setting(Address("127.0.0.1", 8080), "address of the dashboard")
    password: str | None = field(
        default=None,
        repr=False,
        metadata=about("asked of whoever opens it", grammar=PASSWORD, secret=True),
    )
    auth: Literal["auto", "token", "none"] = setting(
        "auto",
        "auto = the password if there is one; token = a link with a secret, printed at the start; "
        "none = nothing is asked, from wherever",
    )


@dataclass(frozen=True, slots=True)
class Timeouts:
    """How long to wait for what."""

    connect: Duration = setting(
        2.0,
        "for a backend to accept a connection, then the next is tried",
        least=TICK,
        most=MONTH,
    )
    first_event: Duration = setting(
        0.0,
        "for the first piece of an answer; 0 = as long as the backend is alive, since reading a "
        "long prompt may take an hour",
        least=0,
        most=MONTH,
    )
    idle: Duration = setting(
        300.0, "for the next piece of an answer that has begun", least=TICK, most=MONTH
    )
    queue: Duration = setting(
        60.0, "for a free slot; 0 = refuse at once when all are taken", least=0, most=MONTH
    )
    drain: Duration = setting(
        600.0, "for running answers to finish at shutdown and reload", least=0, most=MONTH
    )
    head: Duration = setting(
        10.0, "for a client to send a whole request head", least=TICK, most=MONTH
    )
    body_idle: Duration = setting(
        30.0, "for the next byte of a request body", least=TICK, most=MONTH
    )
    body_total: Duration = setting(
        300.0, "for a client to send a whole request body", least=TICK, most=MONTH
    )
    keep_alive: Duration = setting(
        75.0, "for the next request on an idle client connection", least=TICK, most=MONTH
    )
    write_stall: Duration = setting(
        60.0,
        "for a client to take any byte of its answer, then it is cut off",
        least=TICK,
        most=MONTH,
    )
    stream: Duration = setting(21600.0, "for one whole answer", least=TICK, most=MONTH)
    comment: Duration = setting(
        10.0,
        "between signs of life on a quiet stream, so that clients and proxies do not give up",
        least=TICK,
        most=MONTH,
    )
    load: Duration = setting(
        600.0,
        "for a command of ours to have its model loaded, downloading it included",
        least=TICK,
        most=MONTH,
    )


@dataclass(frozen=True, slots=True)
class Retry:
    """Trying another backend, while no part of an answer has reached the client."""

    attempts: int = setting(
        3, "backends tried for one request, the first included", least=1, most=16
    )
    budget: float = setting(
        0.2, "retries after a request was sent, as a share of all requests", least=0, most=1
    )
    mode: Literal["generation", "connect-only", "off"] = setting(
        "generation",
        "generation = what was sent and not answered is sent again; connect-only = only what "
        "could not be sent; off = never",
    )
    after_commit: Literal["continue", "error"] = setting(
        "continue",
        "a stream that breaks off in its text: continue = another backend goes on with it, "
        "once; error = the client is told",
    )


@dataclass(frozen=True, slots=True)
class Limits:
    """The most of everything that one client, request or backend may use."""

    body: Size = setting(32 * MIB, "bytes of a request body; images need room", least=1, most=2**40)
    bodies: Size = setting(
        512 * MIB, "bytes of all request bodies at once, over all workers", least=1, most=2**50
    )
    memory: Size | None = setting(
        None,
        "bytes of memory of all workers together, from 80 % of which on they shed load; auto = "
        "three quarters of what the machine or the container has",
        least=2**20,
        most=2**50,
        auto=True,
    )
    objects: int = setting(
        50_000, "objects and arrays in a request's JSON", least=1, most=100_000_000
    )
    head: Size = setting(16 * KIB, "bytes of a request head", least=1, most=2**30)
    target: Size = setting(8 * KIB, "bytes of a request target (the URL)", least=1, most=2**30)
    value: Size = setting(8 * KIB, "bytes of one header field's value", least=1, most=2**30)
    fields: int = setting(100, "header fields in one request", least=1, most=10_000)
    connections: int = setting(
        10_000, "client connections at once, over all workers", least=1, most=10_000_000
    )
    queue: int = setting(256, "requests that wait for a slot, per model", least=1, most=1_000_000)
    event: Size = setting(4 * MIB, "bytes of one event of a streamed answer", least=1, most=2**40)
    answer: Size = setting(64 * MIB, "bytes of an answer that is not streamed", least=1, most=2**40)
    pipelined: int = setting(
        8, "requests a client may send ahead of their answers", least=1, most=1000
    )
    store: str | None = field(
        default=None,
        repr=False,
        metadata=about(
            "where replicas add up what a key used in a minute and in a day; none = each counts "
            "for itself",
            grammar=STORE,
            secret=True,
        ),
    )


@dataclass(frozen=True, slots=True)
class History:
    """What is still known after a restart: finished requests and their sums, never a prompt."""

    path: str | None = setting(
        None,
        "the SQLite file; auto = history-PORT.db in $STATE_DIRECTORY, or else in "
        "~/.local/state/multiproxy",
        auto=True,
    )
    keep: Duration = setting(
        30 * 86400.0,
        "how long single requests are kept (at most a million); what was used per hour is kept "
        "for 400 days",
        least=60,
        most=3650 * 86400.0,
    )


@dataclass(frozen=True, slots=True)
class Metrics:
    """What Prometheus reads at /metrics of the dashboard."""

    genai_tokens: Literal["legacy", "next", "both"] = setting(
        "legacy",
        "names for tokens: legacy = gen_ai_client_token_usage, next = the "
        "gen_ai_client_inference_usage_... that OpenTelemetry is about to use",
    )
    key_label: bool = setting(False, "tell requests and tokens of each key apart")


@dataclass(frozen=True, slots=True)
class Log:
    """What is written to standard error."""

    format: Literal["auto", "text", "json"] = setting(
        "auto", "auto = text on a terminal, JSON lines otherwise"
    )


@dataclass(frozen=True, slots=True)
class Config:
    """The whole of config.yaml, checked."""

    listen: Address = setting(Address("127.0.0.1", 8001), "address of the API")
    dashboard: Dashboard | None = setting(
        Dashboard(), "the dashboard's address, its settings, or false for none", text_is="listen"
    )
    workers: int | None = setting(
        None,
        "worker processes; auto = min(4, cores - 1), at least 1",
        least=1,
        most=MAX_WORKERS,
        auto=True,
    )
    backends: tuple[Backend, ...] = setting((), "the llama-servers")
    models: tuple[Model, ...] = setting(
        (),
        "the names clients may ask for; none = every model that a backend reports",
        keyed_by="name",
        list_is="backends",
    )
    default_model: str | None = setting(
        None, "the model for names that nothing else matches", grammar=MODEL_NAME
    )
    allowed_hosts: tuple[str, ...] = setting(
        (), "names in the Host field that are ours besides the addresses", grammar=HOST_NAME
    )
    cors_origins: tuple[str, ...] = setting(
        (), "web pages that may call the API: exact origins, or only '*'", grammar=ORIGIN
    )
    keys: tuple[Key, ...] = setting(
        (), "who may use the API; none = everyone who reaches it, which only loopback allows"
    )
    tls: Tls | None = setting(None, "serve https, and only that, on the API's address")
    allow_anonymous: bool = setting(
        False, "listen beyond this machine although there are no keys: everyone may use it"
    )
    store_responses: bool = setting(
        True, "keep responses in memory for previous_response_id, for at most an hour"
    )
    history: History | None = setting(
        History(),
        "the file that remembers finished requests, its settings, or false for memory only",
        text_is="path",
    )
    capture: Capture | None = setting(
        None,
        "keep the newest requests and answers, with prompts, for debugging; true = all defaults",
    )
    timeouts: Timeouts = setting(Timeouts(), "how long to wait for what")
    retry: Retry = setting(Retry(), "trying another backend, or its mode", text_is="mode")
    limits: Limits = setting(Limits(), "the most of everything")
    translation: Translation = setting(
        Translation(), "how Messages and Responses become chat requests"
    )
    metrics: Metrics = setting(Metrics(), "what Prometheus reads")
    log: Log = setting(Log(), "what is written to standard error")
