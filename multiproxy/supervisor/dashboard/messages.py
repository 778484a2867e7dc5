"""One request and its answer as plain values: what pages see instead of HTTP."""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass, field
from http.cookies import CookieError, SimpleCookie
from typing import Protocol
from urllib.parse import parse_qsl, unquote, urlsplit

# Pages and streams: nothing but our own files, no inline script or style, no frame around us.
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; font-src 'self'; "
    "img-src 'self' data:; connect-src 'self'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'"
)

ALWAYS = (
    ("Content-Security-Policy", CONTENT_SECURITY_POLICY),
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "same-origin"),
    ("Cross-Origin-Opener-Policy", "same-origin"),
)

MAX_FIELDS = 64  # of a query or a form


@dataclass(frozen=True, slots=True)
class Request:
    """A complete request that passed every check. Header names are lower case.

    ``path`` is decoded, ``query`` keeps the last value of a repeated name, ``client`` is the
    address it came from.
    """

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes = b""
    client: str = ""

    @property
    def cookies(self) -> dict[str, str]:
        try:
            jar = SimpleCookie(self.headers.get("cookie", ""))
        except CookieError:
            return {}
        return {name: morsel.value for name, morsel in jar.items()}

    @property
    def form(self) -> dict[str, str]:
        """The fields of an urlencoded form; empty for any other content type."""
        kind = self.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind != "application/x-www-form-urlencoded":
            return {}
        return _fields(self.body.decode("latin-1"))


def split_target(target: str) -> tuple[str, dict[str, str]]:
    """Path and query of an origin-form target. Source: RFC 9112 section 3.2.1."""
    parts = urlsplit("//host" + target)
    return unquote(parts.path, errors="replace"), _fields(parts.query)


def _fields(text: str) -> dict[str, str]:
    try:
        return dict(parse_qsl(text, keep_blank_values=True, max_num_fields=MAX_FIELDS))
    except ValueError:  # more fields than any form of ours has
        return {}


@dataclass(frozen=True, slots=True)
class Response:
    """A whole answer. Content-Length, Date and the ``ALWAYS`` headers are added on the wire."""

    status: int = 200
    body: bytes = b""
    content_type: str = "text/html; charset=utf-8"
    cache_control: str = "no-store"
    headers: tuple[tuple[str, str], ...] = field(default=())

    @classmethod
    def text(cls, status: int, text: str) -> "Response":
        return cls(status, f"{text}\n".encode(), "text/plain; charset=utf-8")


class Seat(Protocol):
    """A viewer's place at a live feed; must be closed exactly once by who holds it."""

    async def next(self) -> bytes | None:
        """The next message of the stream; None when the feed ends."""
        ...

    def close(self) -> None: ...


class Piecewise:
    """The place of one reader at an answer of its own."""

    def __init__(self, pieces: AsyncGenerator[bytes, None]) -> None:
        self._pieces = pieces

    async def next(self) -> bytes | None:
        return await anext(self._pieces, None)

    def close(self) -> None:
        """End what makes them."""
        self._closing = asyncio.ensure_future(self._pieces.aclose())


@dataclass(frozen=True, slots=True)
class EventStream:
    """An answer in pieces: what ``seat`` gives until it ends, by default server-sent events."""

    seat: Seat
    content_type: str = "text/event-stream"
    headers: tuple[tuple[str, str], ...] = field(default=())
