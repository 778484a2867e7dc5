"""Faults on demand: which request they hit, and what they do to its answer's bytes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import orjson

from . import wire

if TYPE_CHECKING:
    from .connection import Connection
    from .wire import Request

KINDS = {
    "refuse": "the listener is closed: connections are refused",
    "silence": "connections are accepted and never answered",
    "stall": "after the point nothing more is sent; the slot stays taken (pings=1: pings go on)",
    "cut": "the connection ends at the point with FIN, or RST (reset=1)",
    "die": "the process ends at the point, without any warning",
    "error-event": "the stream gets llama-server's error event at the point, then its end",
    "early-end": "the stream ends cleanly at the point, without finish_reason and [DONE]",
    "no-terminator": "everything is sent but the last chunk, then FIN",
    "slow": "one byte per write, `seconds` apart",
    "bad-chunk-size": "the chunk after the point has a size that is no number",
    "length-and-chunked": "the head has both Content-Length and Transfer-Encoding",
    "extra-bytes": "bytes of another answer follow the complete one",
    "switching-protocols": "the answer is 101 and then silence",
    "endless-1xx": "100 Continue every `seconds`, for ever",
    "status": "the answer is an error with `status` (and Retry-After, if retry_after is given)",
    "late-release": "the slot stays taken for `seconds` after the end",
}
# These need no answer: they act on the connection instead of one.
_BEFORE = ("status", "switching-protocols", "endless-1xx")
_ACTING = ("stall", "cut", "die", "error-event", "early-end", "bad-chunk-size")
# These need chunks: their point is the head at the earliest, and other answers pass.
_CHUNKED = ("error-event", "early-end", "bad-chunk-size", "no-terminator")
_OVERFLOW = "Context size has been exceeded."
# These tell about text without an answer of the model; a router asks them at times of its own.
_HELPERS = frozenset({"/tokenize", "/detokenize", "/apply-template"})


@dataclass(slots=True)
class Fault:
    """One fault. With ``path`` it hits every request to that path.

    Without one it hits every POST but those that only tokenize or lay out a prompt.

    ``skip`` requests pass first, then ``count`` are hit (-1: all). ``match`` must occur in
    the body. The point is ``after_bytes`` bytes of the answer, or the head and
    ``after_events`` chunks; -1 and -1 is before the head.
    """

    kind: str
    path: str = ""
    match: str = ""
    skip: int = 0
    count: int = -1
    after_events: int = -1
    after_bytes: int = -1
    reset: bool = False
    pings: bool = False
    status: int = 500
    retry_after: int = -1
    seconds: float = 0.01

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"unknown fault {self.kind!r}; known: {', '.join(KINDS)}")

    @classmethod
    def parse(cls, spec: str) -> Fault:
        """Return the fault written as ``kind`` or ``kind:name=value,name=value``.

        Raises:
            ValueError: unknown kind or name, or a value of the wrong type.
        """
        kind, _, rest = spec.partition(":")
        pairs = dict(pair.split("=", 1) for pair in rest.split(",") if "=" in pair)
        return cls.of({"kind": kind, **pairs})

    @classmethod
    def of(cls, values: dict[str, Any]) -> Fault:
        """Return the fault with these members, numbers and booleans also as text."""
        convert: dict[str, Callable[[Any], Any]] = {
            "int": int,
            "float": float,
            "bool": _boolean,
            "str": str,
        }
        types = {each.name: convert[str(each.type)] for each in fields(cls)}
        unknown = values.keys() - types.keys()
        if unknown or "kind" not in values:
            raise ValueError(f"a fault has kind and {', '.join(types)}; not {sorted(unknown)}")
        return cls(**{name: types[name](value) for name, value in values.items()})

    def hits(self, request: Request) -> bool:
        """Whether ``request`` is struck; counts it."""
        if self.path:
            is_wanted = request.path == self.path
        else:
            is_wanted = request.method == "POST" and request.path not in _HELPERS
        if not is_wanted or self.count == 0 or self.match.encode() not in request.body:
            return False
        if self.skip > 0:
            self.skip -= 1
            return False
        self.count -= self.count > 0
        return True

    @property
    def at_start(self) -> bool:
        """Whether the point lies before the head."""
        unset = self.after_events < 0 and self.after_bytes <= 0
        return unset and self.kind not in _CHUNKED


def _boolean(value: object) -> bool:
    return value in (True, 1, "1", "true", "yes")


class Tamper:
    """Stands between an answer and its transport, and does a fault's harm on the way.

    Call ``strike`` before the answer begins; when it returns True there will be none.
    """

    def __init__(self, fault: Fault, connection: Connection) -> None:
        self._fault = fault
        self._connection = connection
        self._transport = connection.transport
        self._writes = 0
        self._bytes = 0
        self._over = False  # nothing more passes
        self._spoil = False  # the next chunk's size is spoiled
        self._slowly = bytearray()

    def strike(self) -> bool:
        """Take over the connection's writes."""
        fault = self._fault
        if fault.kind in _CHUNKED and not self._streams():
            if fault.kind == "error-event":
                self._connection.reply(500, wire.Refusal(500, _OVERFLOW).body)
            return fault.kind == "error-event"
        if fault.kind in _BEFORE or (fault.kind in _ACTING and fault.at_start):
            self._act()
            return True
        self._connection.send = self.write
        return False

    def _streams(self) -> bool:
        request = self._connection.request
        try:
            body = orjson.loads(request.body if request is not None else b"")
        except orjson.JSONDecodeError:
            return False
        return isinstance(body, dict) and body.get("stream") is True

    def write(self, data: bytes) -> None:
        """Pass ``data`` on, harmed."""
        if self._over:
            if self._fault.pings and data == wire.PING:
                self._transport.write(data)
            return
        fault = self._fault
        if 0 < fault.after_bytes <= self._bytes + len(data) and fault.kind in _ACTING:
            self._transport.write(data[: fault.after_bytes - self._bytes])
            self._act()
            return
        self._pass(data)
        self._bytes += len(data)
        self._writes += 1
        least = 0 if fault.kind in _CHUNKED else -1
        if self._writes == max(fault.after_events, least) + 1 and fault.kind in _ACTING:
            self._act()

    def _pass(self, data: bytes) -> None:
        kind, write = self._fault.kind, self._transport.write
        if kind == "slow":
            self._slowly += data
            if len(self._slowly) == len(data):
                self._drip()
        elif kind == "length-and-chunked" and self._writes == 0:
            write(data.replace(b"\r\n\r\n", self._second_framing(data), 1))
        elif kind == "no-terminator" and data in wire.END:
            self._connection.close()
        elif self._spoil:
            self._spoil = False
            write(b"xyz\r\n" + data.partition(b"\r\n")[2])
        else:
            write(data)
            complete = data == wire.END[1] or b"\r\nContent-Length: " in data
            if kind == "extra-bytes" and complete:
                write(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nextra")

    def _second_framing(self, head: bytes) -> bytes:
        chunked = b"Transfer-Encoding: chunked" in head
        field = b"Content-Length: 5" if chunked else b"Transfer-Encoding: chunked"
        return b"\r\n" + field + b"\r\n\r\n"

    def _drip(self) -> None:
        if self._slowly and not self._transport.is_closing():
            self._transport.write(bytes(self._slowly[:1]))
            del self._slowly[:1]
            self._connection.server.loop.call_later(self._fault.seconds, self._drip)

    def _act(self) -> None:
        """The point is reached."""
        fault, connection = self._fault, self._connection
        if fault.kind == "bad-chunk-size":
            self._spoil = True
            return
        self._over = True
        if fault.kind == "stall":
            if connection.answer is not None:
                connection.answer.freeze()
        elif fault.kind == "cut":
            connection.close(reset=fault.reset)
        elif fault.kind == "die":
            connection.server.die()
        elif fault.kind == "status":
            self._refuse()
        elif fault.kind == "switching-protocols":
            self._transport.write(
                b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: nothing\r\n"
                b"Connection: Upgrade\r\n\r\n"
            )
        elif fault.kind == "endless-1xx":
            self._continue()
        else:
            self._end()

    def _end(self) -> None:
        """End the stream cleanly, with or without an error event."""
        if self._fault.kind == "error-event":
            self._transport.write(wire.chunk(wire.error_event(_OVERFLOW)))
        for piece in wire.END:
            self._transport.write(piece)
        if self._connection.answer is not None:
            self._connection.answer.abandon()
        self._connection.done()

    def _refuse(self) -> None:
        fault = self._fault
        extra = b"Retry-After: %d\r\n" % fault.retry_after if fault.retry_after >= 0 else b""
        kind = wire.TYPES.get(fault.status, "server_error")
        error = {"code": fault.status, "message": "simulated fault", "type": kind}
        self._connection.reply(fault.status, orjson.dumps({"error": error}), extra=extra)

    def _continue(self) -> None:
        if not self._transport.is_closing():
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            self._connection.server.loop.call_later(self._fault.seconds, self._continue)
