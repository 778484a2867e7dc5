"""What the value of a setting can be: durations and sizes, addresses, and texts of a grammar."""

import re
from dataclasses import dataclass
from typing import Annotated, Literal, TypeAlias

from multiproxy.config.setting import Grammar

Duration: TypeAlias = Annotated[float, "seconds"]
Size: TypeAlias = Annotated[int, "bytes"]

KIB = 2**10
MIB = 2**20

MONTH = 30 * 86400.0  # longer than this is a mistake in the unit
TICK = 0.001  # the least duration that still is one: timers count milliseconds

MODEL_NAME = Grammar(
    re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/@+-]{0,199}"),
    "1 to 200 letters, digits and . _ : / @ + -, starting with a letter or digit",
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
