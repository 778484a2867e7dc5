"""Which web pages may read our answers. Source: WHATWG Fetch, section 3.3 (CORS protocol)."""

import re

from multiproxy._http.guard import Guard
from multiproxy._http.head import RequestHead

_HEADER_NAMES = re.compile(rb"[A-Za-z0-9-]+(?:[ \t]*,[ \t]*[A-Za-z0-9-]+)*")
MAX_REFLECTED = 1024  # bytes of Access-Control-Request-Headers
_EXPOSED = b"Access-Control-Expose-Headers: request-id, x-request-id, retry-after\r\n"


def answer_fields(guard: Guard, head: RequestHead) -> bytes:
    """Return the header lines that let an allowed page read the answer, else nothing."""
    origin = head.get(b"origin")
    if origin is None or not guard.origin_is_allowed(origin):
        return b""
    return b"Access-Control-Allow-Origin: %b\r\nVary: Origin\r\n%b" % (origin, _EXPOSED)


def preflight_fields(guard: Guard, head: RequestHead) -> bytes:
    """Return what a preflight adds to ``answer_fields``; nothing for a page that may not call."""
    origin = head.get(b"origin")
    if origin is None or not guard.origin_is_allowed(origin):
        return b""
    lines = b"Access-Control-Allow-Methods: GET, POST, DELETE, OPTIONS\r\n"
    wanted = head.get(b"access-control-request-headers") or b""
    if len(wanted) <= MAX_REFLECTED and _HEADER_NAMES.fullmatch(wanted):
        lines += b"Access-Control-Allow-Headers: %b\r\n" % wanted
    return lines + b"Access-Control-Max-Age: 600\r\n"
