"""The settings of one backend: where it is, or what is run to have it."""

from dataclasses import dataclass, field
from typing import Literal

from multiproxy.config.access import BackendTls
from multiproxy.config.command import PORT
from multiproxy.config.setting import about, setting
from multiproxy.config.values import (
    BACKEND_ID,
    KEY,
    MODEL_NAME,
    MONTH,
    TICK,
    VARIABLE,
    Duration,
    Url,
)


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
        0.0, "how long it says 'loading model' after its start", least=0, most=MONTH
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
        least=TICK,
        most=MONTH,
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
