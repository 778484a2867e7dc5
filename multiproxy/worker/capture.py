"""Keeps the newest requests and answers in files, for debugging, if the operator asked for it.

What a client sent and what it was answered, to the byte but for secrets, as one JSON file per
request that only this user can read. Header fields are never kept. What the client is sent is
seen on its way into the transport, so that requests nobody keeps cost nothing.
"""

import json
import os
import re
import sys
import time
from pathlib import Path
from typing import Any

from multiproxy._http.chunked import ChunkedDecoder, ChunkedError
from multiproxy._http.server import ClientConnection
from multiproxy.config import Capture
from multiproxy.scoreboard import Finished

HIDDEN = "***"
_AROUND = 4096  # bytes of an answer's head
_SECRETS = (
    (re.compile(r"\b(?:sk|pk|rk|hf|ghp|gho|ghs|glpat|xox[abps]|AKIA|AIza)[-_]?[\w-]{16,}"), HIDDEN),
    (re.compile(r"(?i)\b(bearer|basic) +[\w.~+/=-]{8,}"), rf"\1 {HIDDEN}"),
    (re.compile(r"\beyJ[\w-]{8,}\.[\w-]{8,}(?:\.[\w-]*)?"), HIDDEN),  # JSON Web Tokens
    (re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END|\Z)", re.DOTALL), HIDDEN),
    (
        re.compile(
            r'(?i)(\\*"[\w-]*(?:api[-_]?key|authorization|passw(?:or)?d|secret|access[-_]?token)\\*"\s*:\s*)'
            r'\\*"(?:[^"\\]|\\(?!"))*\\*"'
        ),
        rf'\1"{HIDDEN}"',
    ),
    (
        re.compile(r"[A-Za-z0-9+/]{512,}={0,2}"),  # images and sound
        lambda found: f"({len(found[0])} characters of base64)",
    ),
)  # fmt: skip


class Captures:
    """What one worker keeps; all workers share the ``folder``."""

    def __init__(self, settings: Capture, folder: str) -> None:
        self._settings = settings
        self._folder = Path(folder)

    def begin(self, who: str, body: bytes, client: ClientConnection) -> "Captured | None":
        """Keep a request and what its client will be sent; None if nobody asked for this one."""
        if self._settings.keys and who not in self._settings.keys:
            return None
        return Captured(self, body[: self._settings.size], len(body), client)

    def keep(self, record: Finished, captured: "Captured") -> None:
        """Write one down and forget the oldest. A full disk costs the file, not the answer."""
        size = self._settings.size
        answer = body_of(bytes(captured.sent))
        told = {
            "id": f"req_{record.request_id}",
            "ended": time.time(),
            "key": record.key,
            "endpoint": record.endpoint,
            "model": record.model_served,
            "status": record.status,
            "error": record.error,
            "request": redacted(captured.body),
            "request_bytes": captured.size,
            "answer": redacted(answer[:size]),
            "is_cut": captured.size > size or captured.is_cut or len(answer) > size,
        }
        try:
            self._write(f"{time.time_ns():020}-{record.request_id}.json", told)
        except FileNotFoundError:
            pass  # switched off meanwhile
        except OSError as error:
            print(f"a request could not be kept: {error}", file=sys.stderr)

    def room(self) -> int:
        """Bytes that are kept of what a client is sent, its framing included."""
        return self._settings.size + self._settings.size // 8 + _AROUND

    def _write(self, name: str, told: dict[str, Any]) -> None:
        path = self._folder / name
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
        with open(os.open(path, flags, 0o600), "w", encoding="utf-8") as file:
            json.dump(told, file, ensure_ascii=True, indent=1)
        ours = sorted(self._folder.glob("[0-9]*-*.json"))
        for old in ours[: -self._settings.requests]:
            old.unlink(missing_ok=True)  # another worker may have


class Captured:
    """A request that is kept; stands before its client's transport until ``end``."""

    def __init__(
        self, captures: Captures, body: bytes, size: int, client: ClientConnection
    ) -> None:
        self.body = body
        self.size = size
        self.sent = bytearray()
        self.is_cut = False
        self._captures = captures
        self._room = captures.room()
        self._client = client
        self._transport = client.transport
        self._is_over = False
        client.transport = self  # type: ignore[assignment]

    def write(self, data: bytes) -> None:
        """Pass on and remember."""
        if not self._is_over:
            left = self._room - len(self.sent)
            self.sent += data[:left]
            self.is_cut = self.is_cut or len(data) > left
        self._transport.write(data)

    def __getattr__(self, name: str) -> Any:
        """Everything else is the transport's."""
        return getattr(self._transport, name)

    def end(self, record: Finished) -> None:
        """Leave the client's way, and write down what was seen."""
        self._is_over = True
        if self._client.transport is self:  # type: ignore[comparison-overlap]
            self._client.transport = self._transport
        self._captures.keep(record, self)


def body_of(wire: bytes) -> bytes:
    """Return what the body of the last answer in ``wire`` says, as far as it came."""
    while wire.startswith(b"HTTP/1.1 100"):
        wire = wire.partition(b"\r\n\r\n")[2]
    head, _, body = wire.partition(b"\r\n\r\n")
    if b"transfer-encoding: chunked" not in head.lower():
        return body
    try:
        return ChunkedDecoder().feed(body)
    except ChunkedError:
        return body


def redacted(text: bytes) -> str:
    """Return a text without what looks like a key, a password or a file."""
    shown = text.decode(errors="replace")
    for pattern, instead in _SECRETS:
        shown = pattern.sub(instead, shown)
    return shown
