"""Who may use MultiProxy, from where: clients' keys, certificates, and what may stay open.

Keys are in the clear only in the file, the environment or wherever `${file:...}` points: what
leaves this room holds their digests.
"""

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from multiproxy.config.setting import Grammar, about, setting
from multiproxy.config.wildcard import WILDCARD

if TYPE_CHECKING:
    from multiproxy.config.model import Config

MAX_KEYS = 1024  # rows of the scoreboard's key section
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")

KEY_NAME = Grammar(
    re.compile(r"[A-Za-z0-9][A-Za-z0-9._@+-]{0,31}"),
    "1 to 32 letters, digits and . _ @ + -, starting with a letter or digit",
)
CLIENT_KEY = Grammar(
    re.compile(r"[!-~]{8,4096}"),
    "8 to 4096 visible ASCII characters without blanks, or sha256: and 64 hexadecimal digits",
)


@dataclass(frozen=True, slots=True)
class Key:
    """One client's key. ``key`` is ``sha256:HEX`` once `hashed` has seen it."""

    name: str = field(
        metadata=about("who uses it, for logs, the dashboard and limits", grammar=KEY_NAME)
    )
    key: str = field(
        repr=False,
        metadata=about(
            "what its clients send, or sha256:HEX of it", grammar=CLIENT_KEY, secret=True
        ),
    )
    models: tuple[str, ...] = setting(
        ("*",), "the models it may use, by the name that serves them", grammar=WILDCARD
    )
    max_concurrent: int = setting(16, "generations at once", least=1, most=1_000_000)
    requests_per_minute: int | None = setting(
        None, "requests to models in any minute; none = no limit", least=1, most=1_000_000_000
    )
    tokens_per_minute: int | None = setting(
        None, "prompt and output tokens in any minute", least=1, most=1_000_000_000
    )
    tokens_per_day: int | None = setting(
        None, "prompt and output tokens from one midnight UTC to the next", least=1, most=10**12
    )
    priority: Literal["interactive", "normal", "batch"] = setting(
        "normal", "who gets a free slot first when requests wait"
    )


@dataclass(frozen=True, slots=True)
class Tls:
    """A certificate of ours; files are read again when they change."""

    cert: str = field(metadata=about("file with the certificate chain, PEM"))
    key: str = field(metadata=about("file with its private key, PEM, without a password"))


@dataclass(frozen=True, slots=True)
class BackendTls:
    """How an https backend is believed."""

    ca: str | None = setting(
        None, "file with the authorities to trust, PEM; default: those of the system"
    )
    verify: bool = setting(
        True, "check its certificate; false = encrypted, but anybody may be there"
    )
    server_name: str | None = setting(
        None, "the name in its certificate; default: the host of its url"
    )


def with_folder(config: "Config", folder: Path) -> "Config":
    """The config with every file of a certificate relative to the config's own folder."""

    def place(path: str) -> str:
        return str(folder / path)

    tls = config.tls and replace(config.tls, cert=place(config.tls.cert), key=place(config.tls.key))
    backends = []
    for backend in config.backends:
        if backend.tls is not None and backend.tls.ca is not None:
            backend = replace(backend, tls=replace(backend.tls, ca=place(backend.tls.ca)))
        backends.append(backend)
    return replace(config, tls=tls, backends=tuple(backends))


def digest(key: bytes) -> bytes:
    """What is kept of a key: 32 bytes that tell nothing about it."""
    return hashlib.sha256(key).digest()


def hashed(config: "Config") -> "Config":
    """The config with every client key as ``sha256:HEX``."""
    return replace(config, keys=tuple(map(_hashed, config.keys)))


def _hashed(key: Key) -> Key:
    if not key.key or _DIGEST.fullmatch(key.key):  # empty: it could not be bound
        return key
    return replace(key, key=f"sha256:{digest(key.key.encode()).hex()}")


def exposures(config: "Config") -> Iterator[tuple[tuple[str, ...], str, str]]:
    """What other machines could use without a key: (setting, message, hint) for each."""
    listen, dashboard = config.listen, config.dashboard
    if not listen.is_loopback and not config.keys and not config.allow_anonymous:
        yield (
            ("listen",),
            f"{listen} can be reached by other machines, and there are no keys",
            "add 'keys:', listen on 127.0.0.1, or write 'allow_anonymous: true' if everyone "
            "who reaches it may use it",
        )
    if (
        dashboard is not None
        and not dashboard.listen.is_loopback
        and dashboard.password is None
        and dashboard.auth == "auto"
    ):
        yield (
            ("dashboard", "listen"),
            f"the dashboard on {dashboard.listen} can be seen from other machines, and it has "
            "no password",
            "set 'password', listen on 127.0.0.1, or write 'auth: none' if everyone who reaches "
            "it may see it",
        )
