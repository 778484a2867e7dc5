"""The order of checks between a parsed request head and the route table.

Source: RFC 9112 sections 3 and 6, RFC 9110 sections 5.4, 7.2, 10.1.1. Cheap and fatal
checks come first; nothing here reads the body or knows a route.
"""

import re
from collections.abc import Iterable

from multiproxy._http.head import RequestHead
from multiproxy.errors import (
    BadFraming,
    ExpectationFailed,
    HeadTooLarge,
    MethodNotAllowed,
    Misdirected,
    NotAllowed,
    TargetTooLong,
    UnsupportedEncoding,
    UnsupportedTransferCoding,
)

_HOST = re.compile(rb"([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::([0-9]{1,5}))?")
_IP_LITERAL = re.compile(rb"\[.*\]|[0-9]{1,3}(?:\.[0-9]{1,3}){3}")
_TARGET = re.compile(rb"/[!-~]*")
_LENGTH = re.compile(rb"[0-9]{1,20}")
_LOOPBACK = frozenset((b"localhost", b"127.0.0.1", b"[::1]"))
_SINGLE = frozenset(
    (b"host", b"content-length", b"transfer-encoding", b"authorization", b"content-type",
     b"x-api-key", b"origin", b"expect", b"content-encoding")
)  # fmt: skip
# Where an octet above 0x7f could be read in two ways; elsewhere it is opaque and unused.
_ASCII_ONLY = _SINGLE


class Guard:
    """Checks heads against one listener's limits and names.

    ``allowed_hosts`` are further names this listener answers to, beside loopback.
    ``any_address`` also lets every IP literal pass (a listener bound beyond loopback: DNS
    rebinding needs a name). ``origins`` are the web pages that may call; ``*`` is all.
    """

    def __init__(
        self,
        *,
        allowed_hosts: Iterable[str] = (),
        any_address: bool = False,
        origins: Iterable[str] = (),
        max_target: int = 8 * 1024,
        max_value: int = 8 * 1024,
        max_fields: int = 100,
    ) -> None:
        self._names = _LOOPBACK | {name.lower().encode() for name in allowed_hosts}
        self._any_address = any_address
        self._origins = frozenset(origin.encode() for origin in origins)
        self._max_target = max_target
        self._max_value = max_value
        self._max_fields = max_fields
        self._good_hosts: set[bytes] = set()  # raw values that passed; bounded below

    def check(self, head: RequestHead) -> None:
        """Fill in ``head``'s framing, path and query, or refuse it.

        Raises:
            ClientError: the class says which status; every one of them ends the connection.
        """
        self._check_sizes(head)
        if head.method in (b"CONNECT", b"TRACE"):
            refused = MethodNotAllowed(
                f"{head.method.decode()} is not served here.",
                headers=((b"allow", b"GET, HEAD, POST, DELETE, OPTIONS"),),
            )
            refused.closes = True
            raise refused
        self._check_fields(head)
        self._check_framing(head)
        self._check_target(head)

    def origin_is_allowed(self, origin: bytes) -> bool:
        """Whether a web page of that origin may call this API."""
        return b"*" in self._origins or origin in self._origins

    def check_browser(self, head: RequestHead) -> None:
        """Refuse what a foreign web page could send without asking first (CSRF).

        A POST with an ``Origin`` must come from an allowed one and be JSON; one without
        (``curl -d``, every SDK) may have any Content-Type.

        Raises:
            NotAllowed: a foreign origin.
            UnsupportedEncoding: a browser's POST that is not JSON.
        """
        origin = head.get(b"origin")
        if origin is None or head.method in (b"OPTIONS", b"GET", b"HEAD"):
            return
        if not self.origin_is_allowed(origin):
            raise NotAllowed(
                "This web page's origin may not call this server; its operator can list the "
                "origin under 'cors_origins'."
            )
        content_type = (head.get(b"content-type") or b"").split(b";")[0].strip(b" \t").lower()
        if content_type != b"application/json":
            raise UnsupportedEncoding(
                "A request from a web page needs Content-Type: application/json."
            )

    def _check_sizes(self, head: RequestHead) -> None:
        if len(head.target) > self._max_target:
            raise TargetTooLong(f"The request target is longer than {self._max_target} bytes.")
        if len(head.fields) > self._max_fields:
            raise HeadTooLarge(f"The request has more than {self._max_fields} header fields.")
        for name, value in head.fields:
            if len(value) > self._max_value:
                raise HeadTooLarge(
                    f"The header field {name[:64].decode('latin-1')} is longer than "
                    f"{self._max_value} bytes."
                )

    def _check_fields(self, head: RequestHead) -> None:
        seen: dict[bytes, bytes] = {}
        for name, value in head.fields:
            if name in _SINGLE:
                if name in seen:
                    if name == b"transfer-encoding":
                        raise UnsupportedTransferCoding("Only one transfer coding is understood.")
                    raise BadFraming(f"The header field {name.decode()} is given twice.")
                if name in _ASCII_ONLY and not value.isascii():
                    raise BadFraming(f"The header field {name.decode()} is not ASCII.")
                seen[name] = value
        host = seen.get(b"host")
        if host is None:
            if head.version == b"1.1":
                raise BadFraming("A request needs a Host header field.")
        else:
            self._check_host(host)
        expect = seen.get(b"expect")
        if expect is not None and head.version == b"1.1":
            if expect.lower() != b"100-continue":
                raise ExpectationFailed("Only 'Expect: 100-continue' is understood.")
            head.expects_continue = True

    def _check_host(self, value: bytes) -> None:
        if value in self._good_hosts:
            return
        match = _HOST.fullmatch(value)
        if match is None or (match[2] is not None and int(match[2]) > 65535):
            raise BadFraming("The Host header field is malformed.")
        name = match[1].lower()
        if name not in self._names and not (
            self._any_address and _IP_LITERAL.fullmatch(name) is not None
        ):
            raise Misdirected(
                f"This server is not '{name[:64].decode()}'; its operator can list the name "
                "under 'allowed_hosts'."
            )
        if len(self._good_hosts) < 1000:
            self._good_hosts.add(value)

    def _check_framing(self, head: RequestHead) -> None:
        coding = head.get(b"transfer-encoding")
        length = head.get(b"content-length")
        if coding is not None:
            # RFC 9112 section 6.1: Transfer-Encoding in HTTP/1.0 is faulty framing.
            if head.version == b"1.0" or length is not None:
                raise BadFraming("The request's framing is ambiguous.")
            if coding.lower() != b"chunked":
                raise UnsupportedTransferCoding("Only the transfer coding 'chunked' is understood.")
            head.chunked = True
        elif length is not None:
            if not _LENGTH.fullmatch(length):
                raise BadFraming("The Content-Length is not a number.")
            head.content_length = int(length)

    def _check_target(self, head: RequestHead) -> None:
        target = head.target
        if target == b"*":
            if head.method != b"OPTIONS":
                raise BadFraming("The target '*' is for OPTIONS only.")
            head.path = target
            return
        if target[:7].lower() == b"http://":
            authority, slash, rest = target[7:].partition(b"/")
            self._check_host(authority)
            target = slash + rest or b"/"
        if not _TARGET.fullmatch(target):
            raise BadFraming("The request target is malformed.")
        head.path, _, head.query = target.partition(b"?")
