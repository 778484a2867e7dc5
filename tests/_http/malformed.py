"""Malformed requests, written from RFC 9112 and RFC 9110: (name, bytes, statuses that are right).

Systematic: every octet a component may not hold is put into that component, and every rule
with a MUST has its violation. The statuses are exact where a rule names one.
"""

from collections.abc import Iterator

Vector = tuple[str, bytes, frozenset[int]]

BAD = frozenset({400})
HOST = b"Host: localhost\r\n"
_TOKEN = b"!#$%&'*+-.^_`|~" + bytes(range(48, 58)) + bytes(range(65, 91)) + bytes(range(97, 123))


def get(fields: bytes = HOST, target: bytes = b"/v1/models", version: bytes = b"HTTP/1.1") -> bytes:
    return b"GET " + target + b" " + version + b"\r\n" + fields + b"\r\n"


def post(fields: bytes, body: bytes = b"") -> bytes:
    return b"POST /v1/chat/completions HTTP/1.1\r\n" + HOST + fields + b"\r\n" + body


def vectors() -> list[Vector]:
    """Every vector, each name once."""
    found = [*_request_lines(), *_fields(), *_hosts(), *_framing(), *_chunks(), *_limits()]
    assert len({name for name, _, _ in found}) == len(found)
    return found


def _request_lines() -> Iterator[Vector]:
    for octet in (*range(0x21), 0x7F, 0x80, 0xE9, 0xFF):
        if octet not in (0x0D, 0x0A, 0x20):
            target = b"/a" + bytes((octet,)) + b"b"
            yield f"octet {octet:#04x} in the target", get(target=target), BAD
        if octet not in (0x0D, 0x0A):
            method = b"G" + bytes((octet,)) + b"T / HTTP/1.1\r\n" + HOST + b"\r\n"
            yield f"octet {octet:#04x} in the method", method, frozenset({400, 501})
    for name, line, statuses in (
        ("no version", b"GET /", BAD),
        ("no target", b"GET HTTP/1.1", BAD),
        ("empty target", b"GET  HTTP/1.1", BAD),
        ("two spaces before the target", b"GET  / HTTP/1.1", BAD),
        ("two spaces before the version", b"GET /  HTTP/1.1", BAD),
        ("tab as separator", b"GET\t/ HTTP/1.1", BAD),
        ("trailing space", b"GET / HTTP/1.1 ", BAD),
        ("leading space", b" GET / HTTP/1.1", BAD),
        ("four parts", b"GET / x HTTP/1.1", BAD),
        ("lower-case method", b"get / HTTP/1.1", frozenset({400, 501})),
        ("unknown method", b"BREW / HTTP/1.1", frozenset({400, 501})),
        ("bare CR in the line", b"GET /\rx HTTP/1.1", BAD),
        ("lower-case http", b"GET / http/1.1", BAD),
        ("version 0.9", b"GET / HTTP/0.9", frozenset({505})),
        ("version 1.2", b"GET / HTTP/1.2", frozenset({505})),
        ("version 2.0", b"GET / HTTP/2.0", frozenset({505})),
        ("version 1.10", b"GET / HTTP/1.10", frozenset({400, 505})),
        ("version 1", b"GET / HTTP/1", frozenset({400, 505})),
        ("version 1,1", b"GET / HTTP/1,1", frozenset({400, 505})),
        ("version without number", b"GET / HTTP/", BAD),
        ("RTSP", b"GET / RTSP/1.0", BAD),
        ("ICE", b"SOURCE / ICE/1.0", BAD),
        ("asterisk with GET", b"GET * HTTP/1.1", BAD),
        ("target without slash", b"GET v1/models HTTP/1.1", BAD),
        ("ftp target", b"GET ftp://localhost/ HTTP/1.1", BAD),
        ("https target", b"GET https://localhost/ HTTP/1.1", BAD),
        ("absolute target with userinfo", b"GET http://a@localhost/ HTTP/1.1", BAD),
        ("absolute target without host", b"GET http:///x HTTP/1.1", BAD),
        ("absolute foreign target", b"GET http://evil.example/ HTTP/1.1", frozenset({421})),
        ("CONNECT", b"CONNECT localhost:80 HTTP/1.1", frozenset({400, 405})),
        ("TRACE", b"TRACE / HTTP/1.1", frozenset({405})),
        ("TLS hello", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", BAD),
        ("HTTP/2 preface", b"PRI * HTTP/2.0", frozenset({400, 501, 505})),
    ):
        yield name, line + b"\r\n" + HOST + b"\r\n", statuses
    for count in (5, 6, 100):
        yield f"{count} bytes of CRLF first", b"\r\n" * count + get(), BAD


def _fields() -> Iterator[Vector]:
    for octet in range(256):
        if octet not in _TOKEN and octet != 0x3A:
            field = b"X" + bytes((octet,)) + b"Y: 1\r\n"
            if octet in (0x0D, 0x0A):
                field = b"X" + bytes((octet,)) + b"Y: 1\r\n"
            yield f"octet {octet:#04x} in a field name", get(HOST + field), BAD
        if (octet < 0x20 and octet != 0x09) or octet == 0x7F:
            field = b"X-Y: a" + bytes((octet,)) + b"b\r\n"
            yield f"octet {octet:#04x} in a field value", get(HOST + field), BAD
    for name, fields in (
        ("space before the colon", b"X-A : 1\r\n"),
        ("tab before the colon", b"X-A\t: 1\r\n"),
        ("no colon", b"X-A\r\n"),
        ("empty name", b": 1\r\n"),
        ("folded line", b"X-A: 1\r\n 2\r\n"),
        ("folded line with a tab", b"X-A: 1\r\n\t2\r\n"),
        ("bare LF between fields", b"X-A: 1\nX-B: 2\r\n"),
        ("bare CR between fields", b"X-A: 1\rX-B: 2\r\n"),
        ("CR CR LF", b"X-A: 1\r\r\n"),
        ("two Authorization", b"Authorization: Bearer a\r\nAuthorization: Bearer b\r\n"),
        ("two Content-Type", b"Content-Type: a/b\r\nContent-Type: a/b\r\n"),
        ("two x-api-key", b"X-Api-Key: a\r\nx-api-key: b\r\n"),
        ("two Origin", b"Origin: http://a\r\nOrigin: http://b\r\n"),
        ("non-ASCII Authorization", b"Authorization: Bearer \xc3\xa9\r\n"),
        ("non-ASCII Content-Type", b"Content-Type: a/\xff\r\n"),
    ):
        yield name, get(HOST + fields), BAD
    yield "first field indented", b"GET / HTTP/1.1\r\n Host: localhost\r\n\r\n", BAD
    yield (
        "other expectation",
        post(b"Expect: 200-ok\r\nContent-Length: 2\r\n", b"{}"),
        frozenset({417}),
    )


def _hosts() -> Iterator[Vector]:
    yield "no Host", get(b"X: 1\r\n"), BAD
    yield "two Hosts", get(HOST + HOST), BAD
    for value in (
        b"", b" ", b"a b", b"localhost, localhost", b"user@localhost", b"localhost/x",
        b"http://localhost", b"localhost:", b"localhost:port", b"localhost:-1", b"localhost:65536",
        b"localhost:999999", b"[::1", b"::1", b"[::1]x", b"[g::1]", b"localhost#", b"localhost?",
        b"local\xe9host", b"localhost\\", b"[]", b"localhost:80:80", b"%6cocalhost",
    ):  # fmt: skip
        yield f"Host {value!r}", get(b"Host: " + value + b"\r\n"), frozenset({400, 421})
    for value in (b"evil.example", b"localhost.evil.example", b"127.0.0.1.evil.example",
                  b"10.0.0.1", b"[::2]", b"localhos", b"0.0.0.0"):  # fmt: skip
        yield f"foreign Host {value!r}", get(b"Host: " + value + b"\r\n"), frozenset({421})


def _framing() -> Iterator[Vector]:
    for value in (
        b"+3", b"-1", b"0x3", b"3.0", b"1_0", b"3 4", b"3,3", b"3, 3", b"", b"\x0b3", b"3;",
        b"three", b"\xd9\xa3", b"18446744073709551616", b"99999999999999999999999", b"1e3",
    ):  # fmt: skip
        yield f"Content-Length {value!r}", post(b"Content-Length: " + value + b"\r\n", b"abc"), BAD
    yield "two Content-Lengths, equal", post(b"Content-Length: 3\r\nContent-Length: 3\r\n"), BAD
    yield "two Content-Lengths", post(b"Content-Length: 3\r\nContent-Length: 4\r\n"), BAD
    both = b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n"
    yield "CL then TE", post(both, b"0\r\n\r\n"), BAD
    both = b"Transfer-Encoding: chunked\r\nContent-Length: 3\r\n"
    yield "TE then CL", post(both, b"0\r\n\r\n"), BAD
    for value in (
        b"gzip", b"identity", b"xchunked", b'"chunked"', b"chunked;q=1", b"gzip, chunked",
        b"identity, chunked", b", chunked", b"chunked, gzip", b"chunked, chunked", b"chunked,",
        b"", b"\x0bchunked", b"chunked chunked",
    ):  # fmt: skip
        field = b"Transfer-Encoding: " + value + b"\r\n"
        yield f"TE {value!r}", post(field, b"0\r\n\r\n"), frozenset({400, 501})
    twice = b"Transfer-Encoding: chunked\r\n" * 2
    yield "TE twice", post(twice, b"0\r\n\r\n"), frozenset({400, 501})
    old = b"POST /v1/completions HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
    yield "TE in HTTP/1.0", old, BAD
    for value in (b"9223372036854775808", b"18446744073709551615", b"1000000000000"):
        yield (
            f"huge length {value!r}",
            post(b"Content-Length: " + value + b"\r\n"),
            frozenset({413}),
        )
    yield "POST without a length", post(b""), frozenset({411})


def _chunks() -> Iterator[Vector]:
    chunked = b"Transfer-Encoding: chunked\r\n"
    for name, body in (
        ("hex prefix", b"0x3\r\nabc\r\n0\r\n\r\n"),
        ("plus", b"+3\r\nabc\r\n0\r\n\r\n"),
        ("minus", b"-3\r\nabc\r\n0\r\n\r\n"),
        ("minus two", b"-2\r\nabc\r\n0\r\n\r\n"),
        ("leading space", b" 3\r\nabc\r\n0\r\n\r\n"),
        ("not hex", b"g\r\nabc\r\n0\r\n\r\n"),
        ("empty size", b"\r\nabc\r\n0\r\n\r\n"),
        ("underscore", b"1_0\r\n0123456789abcdef\r\n0\r\n\r\n"),
        ("17 digits", b"00000000000000003\r\nabc\r\n0\r\n\r\n"),
        ("2^64", b"10000000000000000\r\nabc\r\n0\r\n\r\n"),
        ("100,000 zeros", b"0" * 100_000 + b"3\r\nabc\r\n0\r\n\r\n"),
        ("bare LF after the size", b"3\nabc\r\n0\r\n\r\n"),
        ("bare CR after the size", b"3\rabc\r\n0\r\n\r\n"),
        ("bare LF after the data", b"3\r\nabc\n0\r\n\r\n"),
        ("no CRLF after the data", b"3\r\nabc0\r\n\r\n"),
        ("data too long", b"3\r\nabcd\r\n0\r\n\r\n"),
        ("bare LF after the last chunk", b"0\n\r\n"),
        ("bare LF at the end", b"0\r\n\n"),
        ("empty extension", b"3;\r\nabc\r\n0\r\n\r\n"),
        ("extension without name", b"3;=a\r\nabc\r\n0\r\n\r\n"),
        ("extension with a CR", b"3;a\rb\r\nabc\r\n0\r\n\r\n"),
        ("extension with a NUL", b"3;a=\x00\r\nabc\r\n0\r\n\r\n"),
        ("extension with a bare LF", b"3;a\nb\r\nabc\r\n0\r\n\r\n"),
        ("unfinished quote", b'3;a="b\r\nabc\r\n0\r\n\r\n'),
        ("trailer without colon", b"0\r\nX\r\n\r\n"),
        ("trailer with a space in its name", b"0\r\nX Y: 1\r\n\r\n"),
        ("folded trailer", b"0\r\nX: 1\r\n 2\r\n\r\n"),
        ("trailer with a bare LF", b"0\r\nX: 1\nY: 2\r\n\r\n"),
        ("trailer with a NUL", b"0\r\nX: \x00\r\n\r\n"),
        ("size with trailing garbage", b"3 x\r\nabc\r\n0\r\n\r\n"),
        ("size with a comma", b"3,3\r\nabc\r\n0\r\n\r\n"),
        ("16 KiB of extension and one byte", b"3;" + b"a" * 16 * 1024 + b"\r\nabc\r\n0\r\n\r\n"),
        ("8 KiB of trailers and one byte", b"0\r\nX:" + b"a" * (8 * 1024 - 3) + b"\r\n\r\n"),
        ("tiny chunks", b"1\r\na\r\n" * 1_001 + b"0\r\n\r\n"),
    ):
        yield f"chunk: {name}", post(chunked, body), BAD
    for octet in (*range(0x20), 0x7F, *range(0x80, 0x100, 16)):
        if octet not in (0x0D, 0x0A):
            body = b"3" + bytes((octet,)) + b"\r\nabc\r\n0\r\n\r\n"
            yield f"chunk: octet {octet:#04x} after the size", post(chunked, body), BAD


def _limits() -> Iterator[Vector]:
    too_large = frozenset({431})
    yield "101 fields", get(HOST + b"".join(b"X%d: 1\r\n" % n for n in range(100))), too_large
    yield "a value of 8 KiB and one byte", get(HOST + b"X: " + b"a" * 8193 + b"\r\n"), too_large
    yield (
        "a head of 64 KiB",
        get(HOST + b"X: " + b"a" * 8000 + b"\r\n" + b"Y: 1\r\n" * 10_000),
        (too_large),
    )
    yield "a target of 8 KiB and one byte", get(target=b"/" + b"a" * 8192), frozenset({414})
    yield "a target of 64 KiB", get(target=b"/" + b"a" * 65_536), frozenset({414})
    yield "an endless request line", b"GET /" + b"a" * 70_000, frozenset({414})
    yield "an endless field", b"GET / HTTP/1.1\r\nX: " + b"a" * 70_000, too_large
