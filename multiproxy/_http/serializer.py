"""Heads and chunked framing -> bytes. Every byte of a head that we send is written here."""

from http import HTTPStatus

LAST_CHUNK = b"0\r\n\r\n"
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"

_STATUS_LINES = {
    status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n".encode() for status in HTTPStatus
} | {499: b"HTTP/1.1 499 Client Closed Request\r\n", 529: b"HTTP/1.1 529 Overloaded\r\n"}
_OK = _STATUS_LINES[200]


def status_line(status: int) -> bytes:
    """Return the start line of an answer; unnamed statuses get an empty reason phrase."""
    return _STATUS_LINES.get(status) or b"HTTP/1.1 %d \r\n" % status


def answer(status: int, fields: bytes, body: bytes, *, close: bool, with_body: bool) -> bytes:
    """Return a complete answer with Content-Length; ``fields`` are finished header lines.

    ``with_body`` is False for HEAD: same head, no body (RFC 9110 section 9.3.2).
    """
    return b"".join(
        (
            status_line(status),
            fields,
            b"Connection: close\r\n" if close else b"",
            # RFC 9110 section 8.6: no Content-Length in a 204.
            b"\r\n" if status == 204 else b"Content-Length: %d\r\n\r\n" % len(body),
            body if with_body and status != 204 else b"",
        )
    )


def stream(fields: bytes, payload: bytes, *, chunked: bool, close: bool) -> bytes:
    """Return the head of a good answer of unknown length, and ``payload`` if there is some yet.

    ``fields`` are finished header lines. Without ``chunked`` the body ends with the connection.
    """
    if not chunked:
        return b"".join((_OK, fields, b"Connection: close\r\n\r\n", payload))
    return b"".join(
        (
            _OK,
            fields,
            b"Connection: close\r\n" if close else b"",
            b"Transfer-Encoding: chunked\r\n\r\n",
            chunk(payload) if payload else b"",
        )
    )


def chunk(payload: bytes) -> bytes:  # per piece
    """Return ``payload`` (never empty: that would be the last chunk) as one chunk."""
    return b"%x\r\n%b\r\n" % (len(payload), payload)


class BackendHeads:
    """Request heads for one backend; what is constant is joined once.

    ``prefix`` is the path prefix of the backend's URL, ``authority`` its Host value and
    ``api_key`` the backend's own key: a client's key never gets here.
    """

    def __init__(self, authority: str, prefix: str, api_key: str | None, version: str) -> None:
        self._prefix = prefix.encode()
        lines = [f"Host: {authority}", f"User-Agent: multiproxy/{version}", "Via: 1.1 multiproxy"]
        if api_key is not None:
            lines.append(f"Authorization: Bearer {api_key}")
        self._constant = "".join(f"{line}\r\n" for line in lines).encode("latin-1")

    def head(
        self,
        method: bytes,
        path: bytes,
        body_size: int | None,
        request_id: bytes,
        accept: bytes,
        more: bytes = b"",
    ) -> bytes:
        """Return a head; with a body it always carries exactly one Content-Length.

        ``more`` are whole lines of ours.
        """
        return b"%b %b%b HTTP/1.1\r\n%bAccept: %b\r\nX-Request-Id: %b\r\n%b%b\r\n" % (
            method,
            self._prefix,
            path,
            self._constant,
            accept,
            request_id,
            more,
            b""
            if body_size is None
            else b"Content-Type: application/json\r\nContent-Length: %d\r\n" % body_size,
        )
