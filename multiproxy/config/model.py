"""Every setting there is: its name, type, unit, default, bounds and one line of documentation.

Frozen values only; nothing here reads a file. The classes are the schema: `bind` builds them
from YAML by their type hints, `snapshot` carries them to the workers.
"""

import re
from dataclasses import dataclass, field
from typing import Annotated, Literal, TypeAlias

from multiproxy.config.access import BackendTls, Key, Tls
from multiproxy.config.command import PORT
from multiproxy.config.setting import Grammar, about, setting
from multiproxy.config.translation import Translation

Duration: TypeAlias = Annotated[float, "seconds"]
Size: TypeAlias = Annotated[int, "bytes"]

KIB = 2**10
MIB = 2**20

MAX_BACKENDS = 256  # rows of the scoreboard's backend board
MAX_WORKERS = 32  # half of the scoreboard's worker rows: a reload runs two generations at once
_MONTH = 30 * 86400.0  # longer than this is a mistake in the unit
_TICK = 0.001  # the least duration that still is one: timers count milliseconds

MODEL_NAME = Grammar(
    re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/@+-]{0,199}"),
    "1 to 200 letters, digits and . _ : / @ + -, starting with a letter or digit",
)
MODEL_ALIAS = Grammar(
    re.compile(r"[A-Za-z0-9*][A-Za-z0-9._:/@+*-]{0,199}"),
    "a model name, in which * stands for any text",
)
BACKEND_ID = Grammar(
    re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,63}"),
    "1 to 64 letters, digits and . _ : -, starting with a letter or digit",
)
VARIABLE = Grammar(
    re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,199}"),
    "1 to 200 letters, digits and _, not starting with a digit",
)
# A key becomes a header field; a line end inside one would start another field.
KEY = Grammar(re.compile(r"[!-~]{1,4096}"), "visible ASCII characters without blanks")
PASSWORD = Grammar(re.compile(r".{8,200}"), "8 to 200 characters on one line")
STORE = Grammar(
    re.compile(
        r"rediss?://(?:[^@/?# ]*@)?(?:[A-Za-z0-9._-]+|\[[0-9a-fA-F:.]+\])"
        r"(?::[0-9]{1,5})?(?:/[0-9]{0,5})?"
    ),
    "redis://[user:password@]host[:port][/db], or rediss:// with TLS",
)
HOST_NAME = Grammar(
    re.compile(r"[a-z0-9_](?:[a-z0-9._-]{0,251}[a-z0-9])?|\[[0-9a-f:.]{2,45}\]"),
    "a lower-case host name or an address without a port (IPv6 in brackets)",
)
# What browsers send: lower case, no path, no slash at the end.
ORIGIN = Grammar(
    re.compile(r"\*|https?://(?:[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?|\[[0-9a-f:.]+\])(?::[0-9]{1,5})?"),
    "an origin: http(s)://host or http(s)://host:port, lower case, without a path",
)


@dataclass(frozen=True, slots=True)
class Address:
    """Where to listen. ``host`` is without brackets; port 0 lets the system choose."""

    host: str
    port: int

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can connect."""
        return self.host in ("localhost", "::1") or self.host.startswith("127.")

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Url:
    """A backend's base URL. ``host`` is without brackets, ``prefix`` is ``""`` or ``"/x"``.

    ``found_by``: the host is a name that stands for as many servers as DNS has addresses
    (``dns``) or SRV records (``srv``) of it. Only the supervisor meets such a URL.
    """

    scheme: Literal["http", "https"]
    host: str
    port: int
    prefix: str = ""
    found_by: Literal["", "dns", "srv"] = ""

    @property
    def authority(self) -> str:
        """The value of the Host field: the port is left out when it is the scheme's own."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        default_port = 443 if self.scheme == "https" else 80
        return host if self.port == default_port else f"{host}:{self.port}"

    def __str__(self) -> str:
        if self.found_by == "srv":
            return f"dns+srv://{self.host}{self.prefix}"
        how = "dns+" if self.found_by else ""
        return f"{how}{self.scheme}://{self.authority}{self.prefix}"


@dataclass(frozen=True, slots=True)
class Simulate:
    """A built-in llama-server look-alike: for trying things out without a GPU."""

    model: str = setting("demo", "the model name it reports", grammar=MODEL_NAME)
    slots: int = setting(4, "how many answers it generates at once", least=1, most=256)
    context_size: int = setting(8192, "tokens per slot", least=1, most=2**31)
    tokens_per_second: float = setting(
        40.0, "how fast each slot generates", least=0.01, most=1_000_000
    )
    prompt_tokens_per_second: float = setting(
        2000.0, "how fast a prompt is read", least=0.01, most=1_000_000_000
    )
    load_time: Duration = setting(
        0.0, "how long it says 'loading model' after its start", least=0, most=_MONTH
    )


@dataclass(frozen=True, slots=True)
class Variable:
    """An environment variable of a command."""

    name: str = field(metadata=about("its name", grammar=VARIABLE))
    value: str = field(
        default="",
        repr=False,
        metadata=about("its value; ${PORT} is the port", secret=True, later=(PORT,)),
    )


@dataclass(frozen=True, slots=True)
class Backend:
    """One llama-server: exactly one of ``url``, ``command`` and ``simulate`` is set."""

    id: str = field(
        metadata=about(
            "its name in models, logs and the dashboard; default: host:port of the url, or "
            "simulated-N for the N-th simulated backend, managed-N for one with a command",
            grammar=BACKEND_ID,
            derived=True,
        )
    )
    url: Url | None = setting(
        None,
        "where it listens: http://host:port or https://host; dns+http://name:port is a server at "
        "every address of the name, dns+srv://name one for every SRV record",
    )
    api_key: str | None = field(
        default=None,
        repr=False,
        metadata=about("sent as 'Authorization: Bearer ...'", grammar=KEY, secret=True),
    )
    slots: int | None = setting(
        None, "requests it serves at once; auto = what it reports", least=1, most=4096, auto=True
    )
    context_size: int | None = setting(
        None, "tokens per slot; auto = what it reports", least=1, most=2**31, auto=True
    )
    weight: int = setting(1, "its share of the work relative to others", least=1, most=1000)
    dialects: Literal["translated", "native"] = setting(
        "translated",
        "native = it is asked for /v1/messages and /v1/responses itself, byte for byte; "
        "translated = only for chat",
    )
    tls: BackendTls | None = setting(None, "how an https backend's certificate is checked")
    simulate: Simulate | None = setting(
        None, "started by MultiProxy itself instead of a url; {} or true = all defaults"
    )
    command: tuple[str, ...] | None = field(
        default=None,
        repr=False,
        metadata=about(
            "a program that MultiProxy starts instead of a url, without a shell: one text, or a "
            "list of words; ${PORT} is the port on 127.0.0.1 where it has to listen",
            command=True,
            later=(PORT,),
        ),
    )
    env: tuple[Variable, ...] = setting(
        (), "environment variables for the command", keyed_by="name", text_is="value"
    )
    start: Literal["on_demand", "always"] = setting(
        "on_demand", "when the command is run: on_demand = when a request waits for it"
    )
    ttl: Duration | None = setting(
        None,
        "how long without a request until the command is ended; none = it stays",
        least=_TICK,
        most=_MONTH,
    )
    exclusive: str | None = setting(
        None,
        "a word; of all commands with the same one only one runs at a time",
        grammar=BACKEND_ID,
    )
    max_in_flight: int | None = setting(
        None, "requests it is sent at once, if less than its slots", least=1, most=4096
    )
    tags: tuple[str, ...] = setting((), "words by which models choose backends", grammar=BACKEND_ID)


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
        (), "other names for it, exact or with * wildcards", grammar=MODEL_ALIAS
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
        least=_TICK,
        most=_MONTH,
    )
    first_event: Duration = setting(
        0.0,
        "for the first piece of an answer; 0 = as long as the backend is alive, since reading a "
        "long prompt may take an hour",
        least=0,
        most=_MONTH,
    )
    idle: Duration = setting(
        300.0, "for the next piece of an answer that has begun", least=_TICK, most=_MONTH
    )
    queue: Duration = setting(
        60.0, "for a free slot; 0 = refuse at once when all are taken", least=0, most=_MONTH
    )
    drain: Duration = setting(
        600.0, "for running answers to finish at shutdown and reload", least=0, most=_MONTH
    )
    head: Duration = setting(
        10.0, "for a client to send a whole request head", least=_TICK, most=_MONTH
    )
    body_idle: Duration = setting(
        30.0, "for the next byte of a request body", least=_TICK, most=_MONTH
    )
    body_total: Duration = setting(
        300.0, "for a client to send a whole request body", least=_TICK, most=_MONTH
    )
    keep_alive: Duration = setting(
        75.0, "for the next request on an idle client connection", least=_TICK, most=_MONTH
    )
    write_stall: Duration = setting(
        60.0,
        "for a client to take any byte of its answer, then it is cut off",
        least=_TICK,
        most=_MONTH,
    )
    stream: Duration = setting(21600.0, "for one whole answer", least=_TICK, most=_MONTH)
    comment: Duration = setting(
        10.0,
        "between signs of life on a quiet stream, so that clients and proxies do not give up",
        least=_TICK,
        most=_MONTH,
    )
    load: Duration = setting(
        600.0,
        "for a command of ours to have its model loaded, downloading it included",
        least=_TICK,
        most=_MONTH,
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
    timeouts: Timeouts = setting(Timeouts(), "how long to wait for what")
    retry: Retry = setting(Retry(), "trying another backend, or its mode", text_is="mode")
    limits: Limits = setting(Limits(), "the most of everything")
    translation: Translation = setting(
        Translation(), "how Messages and Responses become chat requests"
    )
    metrics: Metrics = setting(Metrics(), "what Prometheus reads")
    log: Log = setting(Log(), "what is written to standard error")
