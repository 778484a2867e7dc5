"""Bytes of llama-server's HTTP: heads, chunks and errors exactly as it writes them.

Source: recordings of llama.cpp b11434. There is no ``Date`` field, the CORS field is there
with an empty value when the request has no Origin, and every status of 400 or more closes.
"""

from dataclasses import dataclass, field

import orjson

REASONS = {
    200: b"OK",
    204: b"No Content",
    400: b"Bad Request",
    401: b"Unauthorized",
    403: b"Forbidden",
    404: b"Not Found",
    413: b"Payload Too Large",
    429: b"Too Many Requests",
    500: b"Internal Server Error",
    501: b"Not Implemented",
    502: b"Bad Gateway",
    503: b"Service Unavailable",
    504: b"Gateway Timeout",
}
JSON = b"application/json; charset=utf-8"
METRICS = b"text/plain; version=0.0.4"
DONE = b"e\r\ndata: [DONE]\n\n\r\n"
PING = b"3\r\n:\n\n\r\n"
# cpp-httplib writes the end of a chunked body in two sends.
END = (b"0\r\n", b"\r\n")
LOW_LEVEL_400 = (
    b"HTTP/1.1 400 Bad Request\r\nServer: llama.cpp\r\nConnection: close\r\n"
    b"Content-Length: 0\r\n\r\n"
)
TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    404: "not_found_error",
    500: "server_error",
    501: "not_supported_error",
    503: "unavailable_error",
}


@dataclass(slots=True)
class Request:
    """A complete request. Header names are lower case; the body is whole."""

    method: str = ""
    path: str = ""
    query: str = ""
    headers: dict[bytes, bytes] = field(default_factory=dict)
    body: bytes = b""
    keep_alive: bool = True

    @property
    def origin(self) -> bytes:
        """What the CORS field reflects."""
        return self.headers.get(b"origin", b"")


class Refusal(Exception):
    """An answer with an error status; ``members`` stand inside ``{"error": ...}``."""

    def __init__(self, status: int, message: str, **members: object) -> None:
        super().__init__(message)
        self.status = status
        self.members: dict[str, object] = {
            "code": status,
            "message": message,
            "type": TYPES.get(status, "server_error"),
        } | members

    @property
    def body(self) -> bytes:
        """The JSON body."""
        return orjson.dumps({"error": self.members})


def fixed_refusal(status: int, message: str, kind: str) -> bytes:
    """Return the body of the errors that the HTTP layer itself makes (code comes last)."""
    return orjson.dumps({"error": {"message": message, "type": kind, "code": status}})


NOT_FOUND = fixed_refusal(404, "File Not Found", "not_found_error")
LOADING = fixed_refusal(503, "Loading model", "unavailable_error")
BAD_KEY = fixed_refusal(401, "Invalid API Key", "authentication_error")


def whole_head(
    status: int,
    origin: bytes,
    length: int,
    persistence: bytes,
    content_type: bytes = JSON,
    extra: bytes = b"",
) -> bytes:
    """Return the head of an answer with Content-Length. ``extra`` stands before the type."""
    return (
        b"HTTP/1.1 %d %b\r\nServer: llama.cpp\r\nAccess-Control-Allow-Origin: %b\r\n"
        b"%bContent-Type: %b\r\nContent-Length: %d\r\n%b\r\n"
        % (status, REASONS.get(status, b""), origin, extra, content_type, length, persistence)
    )


def stream_head(origin: bytes, persistence: bytes) -> bytes:
    """Return the head of an event stream."""
    return (
        b"HTTP/1.1 200 OK\r\nServer: llama.cpp\r\nAccess-Control-Allow-Origin: %b\r\n"
        b"X-Accel-Buffering: no\r\nContent-Type: text/event-stream\r\n"
        b"Transfer-Encoding: chunked\r\n%b\r\n" % (origin, persistence)
    )


def chunk(payload: bytes) -> bytes:
    """Return one chunk."""
    return b"%x\r\n%b\r\n" % (len(payload), payload)


def event(value: object) -> bytes:
    """Return one SSE event of JSON data."""
    return b"data: %b\n\n" % orjson.dumps(value)


def error_event(message: str) -> bytes:
    """Return the payload of an error in the middle of a stream."""
    return event({"error": {"code": 500, "message": message, "type": "server_error"}})
