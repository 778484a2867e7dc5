"""Bytes of one complete head -> ``RequestHead`` or ``ResponseHead``; httptools underneath.

The connections find the end of a head themselves and hand it over whole, because
httptools has no limits, no pause and no message boundary: an unfinished head costs it
quadratic time, one read may hold thousands of requests, and ``Upgrade`` swallows the body.
Given one complete head it is a strict wall (llhttp without leniencies). Bodies never pass
through it; their framing is ``chunked.ChunkedDecoder`` or a count.
"""

from httptools import (
    HttpParserError,
    HttpParserInvalidMethodError,
    HttpParserUpgrade,
    HttpRequestParser,
    HttpResponseParser,
)

from multiproxy._http.head import Fields, RequestHead, ResponseHead
from multiproxy._http.head_memory import HeadMemory
from multiproxy.errors import (
    BackendProtocolError,
    BadFraming,
    MethodNotAllowed,
    UnsupportedVersion,
)

_answer_heads: HeadMemory[ResponseHead] = HeadMemory()
_OWS = b" \t"  # never bytes.strip() without it: NEL and NBSP are not white space in HTTP


class _Collector:
    """The callbacks httptools wants; it keeps what they bring."""

    __slots__ = ("complete", "fields", "target")

    def __init__(self) -> None:
        self.target = b""
        self.fields: Fields = []
        self.complete = False

    def on_url(self, url: bytes) -> None:
        self.target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self.fields.append((name.lower(), value.strip(_OWS)))

    def on_headers_complete(self) -> None:
        self.complete = True


def parse_request_head(data: bytes) -> RequestHead:
    """Parse a request head, from its method to its empty line.

    Raises:
        BadFraming: not a well-formed head (RFC 9112 sections 2 to 5).
        MethodNotAllowed: a method llhttp does not know (status 501, RFC 9110 section 9.1).
        UnsupportedVersion: not HTTP/1.0 or HTTP/1.1.
    """
    line = data[: data.index(b"\r\n")]
    parts = line.split(b" ")
    if len(parts) != 3:
        raise BadFraming("The request line is not 'METHOD target HTTP/1.1'.")
    if parts[2] not in (b"HTTP/1.1", b"HTTP/1.0"):
        if parts[2].startswith(b"HTTP/") and parts[2][5:6].isdigit():
            raise UnsupportedVersion("This server speaks HTTP/1.1 and HTTP/1.0.")
        raise BadFraming("The request line is not 'METHOD target HTTP/1.1'.")
    collector = _Collector()
    parser = HttpRequestParser(collector)
    try:
        parser.feed_data(data)
    except HttpParserUpgrade:
        pass  # ignored (RFC 9110 section 7.8): the body is ours to read, JDK clients send h2c
    except HttpParserInvalidMethodError as error:
        unknown = MethodNotAllowed("This server does not know that method.")
        unknown.status = 501
        unknown.closes = True
        raise unknown from error
    except HttpParserError as error:
        # A Transfer-Encoding that llhttp cannot frame fails after the head is complete;
        # the guard has the right answer for it.
        if not collector.complete:
            raise BadFraming(f"The request head is malformed: {error}.") from error
    if not collector.complete:
        raise BadFraming("The request head is malformed.")
    return RequestHead(
        method=parts[0],
        target=collector.target,
        version=parts[2][5:],
        fields=collector.fields,
        keep_alive=_keeps_alive(parts[2], collector.fields),
    )


def parse_response_head(data: bytes) -> ResponseHead:
    """Parse a backend's answer head, 1xx included, and decide the body's framing.

    Raises:
        BackendProtocolError: malformed, a status outside 100-599, CL and TE together, or a
            transfer coding other than ``chunked``.
    """
    known = _answer_heads.find(data)
    if known is not None:
        return known
    collector = _Collector()
    parser = HttpResponseParser(collector)
    try:
        parser.feed_data(data)
    except HttpParserUpgrade:
        pass
    except HttpParserError as error:
        raise BackendProtocolError("The backend's answer is not valid HTTP/1.1.") from error
    if not collector.complete:
        raise BackendProtocolError("The backend's answer is not valid HTTP/1.1.")
    status = parser.get_status_code()
    if not 100 <= status <= 599:
        raise BackendProtocolError("The backend's answer has an impossible status.")
    keep_alive = _keeps_alive(data[:8], collector.fields)
    head = ResponseHead(status, collector.fields, keep_alive)
    _decide_framing(head)
    if status == 200:  # others may have a Content-Length that does not count
        _answer_heads.keep(data, head)
    return head


def _keeps_alive(version: bytes, fields: Fields) -> bool:
    """Whether the connection outlives the message (RFC 9112 section 9.3); ``close`` wins.

    llhttp's own answer is of no use: a message without a body resets it before it can be
    asked.
    """
    tokens = {
        token.strip(_OWS).lower()
        for name, value in fields
        if name in (b"connection", b"proxy-connection")
        for token in value.split(b",")
    }
    return b"close" not in tokens and (version == b"HTTP/1.1" or b"keep-alive" in tokens)


def _decide_framing(head: ResponseHead) -> None:
    for name, value in head.fields:
        if name == b"content-length":
            if head.content_length is not None or not value.isdigit() or len(value) > 18:
                raise BackendProtocolError("The backend's Content-Length is not usable.")
            head.content_length = int(value)
        elif name == b"transfer-encoding":
            if head.chunked or value.lower() != b"chunked":
                raise BackendProtocolError("The backend's Transfer-Encoding is not usable.")
            head.chunked = True
        elif name == b"content-encoding" and value.lower() not in (b"", b"identity"):
            # Nobody asked for it, and nobody here or there could read the body.
            raise BackendProtocolError("The backend's answer is compressed, which was not asked.")
        elif name == b"keep-alive":
            _read_keep_alive(head, value)
    if head.chunked and head.content_length is not None:
        raise BackendProtocolError("The backend's answer has two framings.")
    if head.status in (204, 304) or head.status < 200:
        head.chunked, head.content_length = False, 0
    elif not head.chunked and head.content_length is None:
        head.keep_alive = False  # the body ends with the connection


def _read_keep_alive(head: ResponseHead, value: bytes) -> None:
    for parameter in value.split(b","):
        key, _, number = parameter.strip(_OWS).partition(b"=")
        if number.isdigit() and len(number) < 10:
            if key.lower() == b"timeout":
                head.keep_alive_timeout = float(number)
            elif key.lower() == b"max":
                head.keep_alive_max = int(number)
