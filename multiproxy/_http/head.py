"""Heads of requests and answers as values, and what each field means for framing.

Nothing of a head is ever forwarded as it came: heads that we send are built in
``serializer`` from constants, so a client's or a backend's fields have no way through.
"""

from dataclasses import dataclass, field

Fields = list[tuple[bytes, bytes]]


@dataclass(slots=True)
class RequestHead:
    """A request's start line and fields, checked by ``guard.Guard``.

    ``fields`` holds (lower-case name, value without surrounding SP and TAB) in order.
    ``path`` and ``query`` are the target's two halves, raw: no normalisation at all.
    ``content_length`` is None without that field.
    """

    method: bytes
    target: bytes
    version: bytes  # b"1.0" or b"1.1" once the guard has passed it
    fields: Fields
    keep_alive: bool
    path: bytes = b""
    query: bytes = b""
    content_length: int | None = None
    chunked: bool = False
    expects_continue: bool = False
    _index: dict[bytes, bytes] | None = field(default=None, repr=False)

    def copy(self, length: bytes | None) -> "RequestHead":
        """Return the same head ; ``length``, if any, are its ``Content-Length``'s digits."""
        return RequestHead(
            self.method, self.target, self.version, _with_length(self.fields, length),
            self.keep_alive, self.path, self.query,
            self.content_length if length is None else int(length),
            self.chunked, self.expects_continue,
        )  # fmt: skip

    def get(self, name: bytes) -> bytes | None:
        """Return the first value of a field (``name`` in lower case), or None."""
        if self._index is None:
            self._index = dict(reversed(self.fields))
        return self._index.get(name)


@dataclass(slots=True)
class ResponseHead:
    """A backend's final answer head, framing decided (RFC 9112 section 6.3).

    Exactly one holds: ``chunked``, ``content_length`` is set, or the body ends with the
    connection. ``keep_alive_timeout`` (seconds) and ``keep_alive_max`` (uses) are what the
    backend announced, None when it did not.
    """

    status: int
    fields: Fields
    keep_alive: bool
    chunked: bool = False
    content_length: int | None = None
    keep_alive_timeout: float | None = None
    keep_alive_max: int | None = None

    def copy(self, length: bytes | None) -> "ResponseHead":
        """Return the same head ; ``length``, if any, are its ``Content-Length``'s digits."""
        return ResponseHead(
            self.status, _with_length(self.fields, length), self.keep_alive, self.chunked,
            None if length is None else int(length), self.keep_alive_timeout, self.keep_alive_max,
        )  # fmt: skip

    def get(self, name: bytes) -> bytes | None:
        """Return the first value of a field (``name`` in lower case), or None."""
        for key, value in self.fields:
            if key == name:
                return value
        return None


def _with_length(fields: Fields, length: bytes | None) -> Fields:
    if length is None:
        return fields.copy()
    return [
        (name, length) if name == b"content-length" else (name, value) for name, value in fields
    ]
