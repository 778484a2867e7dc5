"""Heads as they go out, byte for byte, and as h11 reads them."""

import h11
import pytest

from multiproxy._http import serializer
from multiproxy._http.serializer import BackendHeads


def test_an_answer_is_these_bytes():
    fields = b"Content-Type: text/plain\r\nX: 1\r\n"
    assert serializer.answer(404, fields, b"nope", close=True, with_body=True) == (
        b"HTTP/1.1 404 Not Found\r\nContent-Type: text/plain\r\nX: 1\r\nConnection: close\r\n"
        b"Content-Length: 4\r\n\r\nnope"
    )


def test_head_gets_the_length_of_what_it_does_not_get():
    assert serializer.answer(200, b"", b"body", close=False, with_body=False) == (
        b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n"
    )


def test_204_has_neither_body_nor_length():
    assert serializer.answer(204, b"", b"", close=False, with_body=True) == (
        b"HTTP/1.1 204 No Content\r\n\r\n"
    )


@pytest.mark.parametrize(
    ("status", "line"),
    [
        (499, b"499 Client Closed Request"),
        (529, b"529 Overloaded"),
        (599, b"599 "),
        (200, b"200 OK"),
    ],
)
def test_every_status_has_a_line(status, line):
    assert serializer.status_line(status) == b"HTTP/1.1 " + line + b"\r\n"


@pytest.mark.parametrize(
    ("chunked", "close", "rest"),
    [
        (True, False, b"Transfer-Encoding: chunked\r\n\r\n3\r\none\r\n"),
        (True, True, b"Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n"),
        (False, False, b"Connection: close\r\n\r\none"),
    ],
)
def test_a_stream_begins_with_these_bytes(chunked, close, rest):
    begun = serializer.stream(b"A: b\r\n", b"one", chunked=chunked, close=close)
    assert begun == b"HTTP/1.1 200 OK\r\nA: b\r\n" + rest


@pytest.mark.parametrize("size", [1, 15, 16, 4096, 70_000])
def test_chunks_are_what_h11_reads(size):
    reader = h11.Connection(h11.CLIENT)
    reader.send(h11.Request(method="GET", target="/", headers=[("Host", "a")]))
    reader.send(h11.EndOfMessage())
    head = serializer.stream(b"", b"", chunked=True, close=False)
    reader.receive_data(head + serializer.chunk(b"a" * size) + serializer.LAST_CHUNK)
    assert reader.next_event().status_code == 200
    body = b""
    while isinstance(event := reader.next_event(), h11.Data):
        body += bytes(event.data)
    assert (body, type(event)) == (b"a" * size, h11.EndOfMessage)


def test_a_backends_head_is_these_bytes():
    heads = BackendHeads("gpu-a:8080", "/llm", "secret", "1.0")
    assert heads.head(b"POST", b"/v1/completions", 7, b"req_1", b"text/event-stream") == (
        b"POST /llm/v1/completions HTTP/1.1\r\nHost: gpu-a:8080\r\nUser-Agent: multiproxy/1.0\r\n"
        b"Via: 1.1 multiproxy\r\nAuthorization: Bearer secret\r\nAccept: text/event-stream\r\n"
        b"X-Request-Id: req_1\r\nContent-Type: application/json\r\nContent-Length: 7\r\n\r\n"
    )


def test_a_get_has_no_length_and_a_backend_without_a_key_no_authorization():
    head = BackendHeads("a", "", None, "1.0").head(b"GET", b"/props", None, b"r", b"*/*")
    assert head.startswith(b"GET /props HTTP/1.1\r\nHost: a\r\n") and head.endswith(b"\r\n\r\n")
    assert b"Content-" not in head and b"Authorization" not in head


def test_an_empty_body_still_has_one_length():
    head = BackendHeads("a", "", None, "1.0").head(b"POST", b"/x", 0, b"r", b"*/*")
    assert head.count(b"Content-Length: 0\r\n") == head.count(b"Content-Length") == 1
