"""How durations, sizes, numbers, addresses and URLs are written; text -> value, nothing else.

Stricter than Python's own ``int()`` and ``float()``, which take ``1_0``, ``+1``, ``1e3``,
``inf`` and Arabic digits. No message here repeats the text: it may be a secret that came
from a variable.
"""

import ipaddress
import re
from typing import Literal

from multiproxy.config.values import Address, Url

_WHOLE = re.compile(r"-?(?:0|[1-9][0-9]{0,17})", re.ASCII)
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]{0,14})(?:\.[0-9]{1,9})?", re.ASCII)
_DURATION = re.compile(r"((?:0|[1-9][0-9]{0,11})(?:\.[0-9]{1,9})?)(ms|s|m|h|d)?", re.ASCII)
_SIZE = re.compile(r"(0|[1-9][0-9]{0,14})([A-Za-z]*)", re.ASCII)
_HOST = re.compile(r"[a-z0-9_](?:[a-z0-9._-]{0,251}[a-z0-9])?", re.ASCII)
_PORT = re.compile(r"[0-9]{1,5}", re.ASCII)
_URL = re.compile(r"([a-z][a-z0-9+.-]*)://(\[[^\]/]*\]|[^/:]*)(?::([^/]*))?(/.*)?", re.ASCII | re.I)
_SEGMENT = re.compile(r"(?:[A-Za-z0-9._~!$&'()*+,;=:@-]|%[0-9A-Fa-f]{2})+", re.ASCII)

# Milliseconds are divided, not multiplied by 0.001: 4035 / 1000 is exact where the product is not.
_PER_SECOND = {"ms": 1000}
_SECONDS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}
_BYTES = {
    **{"": 1, "B": 1, "kB": 10**3, "KB": 10**3, "MB": 10**6, "GB": 10**9},
    **{"KiB": 2**10, "MiB": 2**20, "GiB": 2**30},
}
FLAGS = {
    **dict.fromkeys(("true", "yes", "on"), True),
    **dict.fromkeys(("false", "no", "off"), False),
}


class Malformed(ValueError):
    """The text is not such a value; the sentence starts with the setting's name."""

    def __init__(self, reason: str, hint: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.hint = hint


def text(written: str) -> str:
    return written


def flag(written: str) -> bool:
    """``true`` or ``false``, or YAML 1.1's other words for them."""
    value = FLAGS.get(written.lower())
    if value is None:
        raise Malformed("must be true or false")
    return value


def whole(written: str) -> int:
    """A decimal integer of at most 18 digits, without leading zeros: 010 means 8 to YAML 1.1."""
    if _WHOLE.fullmatch(written) is None:
        raise Malformed("must be a whole number", "digits only, without separators or a leading 0")
    return int(written)


def number(written: str) -> float:
    """A decimal number, without an exponent."""
    if _NUMBER.fullmatch(written) is None:
        raise Malformed("must be a number", "digits, and a point if need be: 40 or 12.5")
    return float(written)


def duration(written: str) -> float:
    """``500ms``, ``30s``, ``5m``, ``2h``, ``1d`` -> seconds; without a unit it is seconds."""
    match = _DURATION.fullmatch(written)
    if match is None:
        raise Malformed("must be a duration", "a number and ms, s, m, h or d: 500ms, 30s, 5m")
    amount, unit = float(match[1]), match[2] or ""
    if unit in _PER_SECOND:
        return amount / _PER_SECOND[unit]
    return amount * _SECONDS[unit]


def size(written: str) -> int:
    """``16KiB`` (2**10), ``32MB`` (10**6), ``1GiB`` ... -> bytes; without a unit it is bytes."""
    match = _SIZE.fullmatch(written)
    factor = _BYTES.get(match[2]) if match else None
    if match is None or factor is None:
        raise Malformed(
            "must be a size", "a whole number and KB, MB, GB (1000s) or KiB, MiB, GiB (1024s)"
        )
    return int(match[1]) * factor


def address(written: str) -> Address:
    """``host:port``, ``[::1]:port``, or a port alone, which means this machine only."""
    if _PORT.fullmatch(written):
        return Address("127.0.0.1", _port(written, least=0))
    host, colon, port = written.rpartition(":")
    if not colon or written.endswith("]"):
        raise Malformed("needs a port", "host:port, such as 127.0.0.1:8001")
    if host in ("", "*"):
        raise Malformed(
            "needs a host", "0.0.0.0 is every IPv4 address, [::] every address of this machine"
        )
    return Address(_host(host), _port(port, least=0))


def url(written: str) -> Url:
    """``http(s)://host[:port][/prefix]``, and nothing else a URL may have.

    ``dns+http://`` stands for every address of the host, ``dns+srv://`` for every server of a
    service.
    """
    match = _URL.fullmatch(written)
    if match is None:
        raise Malformed("must be a URL", "http://host:port or https://host")
    name, host, port, path = match[1].lower(), match[2], match[3], match[4] or ""
    scheme: Literal["http", "https"]
    found_by: Literal["", "dns", "srv"] = ""
    if name == "dns+http":
        scheme, default_port, found_by = "http", 80, "dns"
    elif name == "dns+srv":
        scheme, default_port, found_by = "http", 0, "srv"
        if port is not None:
            raise Malformed("must not have a port", "the SRV records have one each")
    elif name == "http":
        scheme, default_port = "http", 80
    elif name == "https":
        scheme, default_port = "https", 443
    else:
        raise Malformed("must be an http or https URL", "or dns+http://name:port, dns+srv://name")
    if "@" in written:
        raise Malformed("must not hold a user name or password", "put the key in api_key")
    if "?" in written or "#" in written:
        raise Malformed("must not have a query or fragment")
    name = _host(host)
    if found_by and (":" in name or name.rpartition(".")[2].isdecimal()):
        raise Malformed("must have a name to look up, not an address")
    number = default_port if port is None else _port(port)
    return Url(scheme, name, number, _prefix(path), found_by)


def _host(written: str) -> str:
    """A host name or address in its one spelling: lower case, compressed, without brackets."""
    host = written.lower()
    try:
        if host.startswith("[") and host.endswith("]") and "%" not in host:
            return ipaddress.IPv6Address(host[1:-1]).compressed
        # A name that ends in a number is an IPv4 address to every resolver, also "10.1" and "1".
        if host.rpartition(".")[2].isdecimal():
            return str(ipaddress.IPv4Address(host))
    except ValueError:
        raise Malformed("has an address that does not exist") from None
    if ":" in host:
        raise Malformed("has an IPv6 address without brackets", "such as [::1]:8001")
    if not _HOST.fullmatch(host) or ".." in host:
        raise Malformed("has a host name that cannot exist", "ASCII letters, digits, . - and _")
    return host


def _port(written: str, *, least: int = 1) -> int:
    if not _PORT.fullmatch(written) or not least <= int(written) <= 65535:
        raise Malformed(f"needs a port between {least} and 65535")
    return int(written)


def _prefix(path: str) -> str:
    """``""`` or ``/a/b``: what is put before every path, so it must not change its meaning."""
    path = path.removesuffix("/")
    segments = path.split("/")[1:]
    if any(part in (".", "..") or not _SEGMENT.fullmatch(part) for part in segments):
        raise Malformed("has a path that is not plain", "such as /llama")
    return path
