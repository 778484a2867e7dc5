"""What is kept of requests, if anything: bodies and answers as they were, without secrets."""

import json
import re
import stat

import pytest
from _http.wire_server import ListTransport

from multiproxy.config import Capture
from multiproxy.scoreboard import Finished
from multiproxy.worker.capture import Captures, body_of, redacted

HEAD = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nX-Request-Id: r\r\n\r\n"


class Wire:
    """A client's connection, as far as it has a transport."""

    def __init__(self) -> None:
        self.transport = ListTransport()


def finished(number: int = 0, **more: object) -> Finished:
    values = {
        "request_id": f"{number:012x}", "endpoint": "chat", "dialect": "openai", "stream": True,
        "status": 200, "termination": "--", "error": "", "model_asked": "demo",
        "model_served": "demo", "backend": 0, "attempts": 1, "key": "ann", "client": "127.0.0.1",
        "user_agent": "", "finish_reason": "stop", "started_unix_ns": 0,
    }  # fmt: skip
    return Finished(**values | more)


@pytest.fixture
def kept(tmp_path):
    """Everything that is kept, oldest first."""

    def read():
        return [json.loads(path.read_text()) for path in sorted(tmp_path.iterdir())]

    return read


def test_a_request_and_its_answer_are_kept_and_the_client_gets_every_byte(tmp_path, kept):
    client = Wire()
    transport = client.transport
    captured = Captures(Capture(), str(tmp_path)).begin("ann", b'{"messages": []}', client)
    client.transport.write(HEAD)
    client.transport.write(b"5\r\ndata:\r\n")
    client.transport.write(b"3\r\n hi\r\n0\r\n\r\n")
    assert not client.transport.is_closing()
    captured.end(finished(7))
    assert client.transport is transport
    client.transport.write(b"the next answer")
    assert transport.written == HEAD + b"5\r\ndata:\r\n3\r\n hi\r\n0\r\n\r\nthe next answer"
    [told] = kept()
    assert (told["id"], told["key"], told["status"]) == ("req_000000000007", "ann", 200)
    assert (told["request"], told["answer"]) == ('{"messages": []}', "data: hi")
    assert (told["request_bytes"], told["is_cut"]) == (16, False)
    [path] = tmp_path.iterdir()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_only_the_newest_are_kept(tmp_path, kept):
    captures = Captures(Capture(requests=3), str(tmp_path))
    for number in range(5):
        captures.begin("", b"%d" % number, Wire()).end(finished(number))
    assert [told["request"] for told in kept()] == ["2", "3", "4"]


def test_only_those_keys_are_kept_that_were_named(tmp_path):
    captures = Captures(Capture(keys=("ann",)), str(tmp_path))
    client = Wire()
    transport = client.transport
    assert captures.begin("bob", b"{}", client) is None and client.transport is transport
    assert captures.begin("ann", b"{}", client) is not None


def test_large_bodies_are_cut_and_that_is_said(tmp_path, kept):
    captures = Captures(Capture(size=1024), str(tmp_path))
    client = Wire()
    captured = captures.begin("", b"- " * 1024, client)
    client.transport.write(b"HTTP/1.1 200 OK\r\n\r\n" + b". " * 500_000)
    captured.end(finished())
    [told] = kept()
    assert told["request"] == "- " * 512 and told["request_bytes"] == 2048
    assert told["answer"] == ". " * 512 and told["is_cut"]


def test_a_folder_that_is_gone_or_full_costs_no_answer(tmp_path, capsys):
    client = Wire()
    Captures(Capture(), str(tmp_path / "gone")).begin("", b"", client).end(finished())
    assert capsys.readouterr().err == ""
    (tmp_path / "file").write_text("")
    Captures(Capture(), str(tmp_path / "file")).begin("", b"", client).end(finished())
    assert "could not be kept" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("wire", "body"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", b"hi"),
        (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\nhi", b"hi"),
        (HEAD + b"2\r\nhi\r\n2\r\ny", b"hiy"),
        (HEAD + b"xyz\r\n", b"xyz\r\n"),
        (b"", b""),
    ],
)
def test_the_body_of_an_answer_is_read_as_far_as_it_came(wire, body):
    assert body_of(wire) == body


@pytest.mark.parametrize(
    "text",
    [
        "the key is sk-proj-SENTINEL0123456789abcd, keep it",
        "curl -H 'Authorization: Bearer SENTINEL.0123/45+=' http://x",
        '{"api_key": "SENTINEL one", "b": 1}',
        '{"x-api-key":"SENTINEL"}',
        r'{"content": "{\"password\": \"SENTINEL\"}"}',
        "-----BEGIN RSA PRIVATE KEY-----\nSENTINEL\n-----END RSA PRIVATE KEY-----",
        "-----BEGIN PRIVATE KEY-----\nSENTINEL, cut off",
        "eyJhbGciOiJIUzI1NiJ9.eyJSENTINELiOiIxIn0.abc",
        '{"url": "data:image/png;base64,' + "SENTINEL" * 100 + '"}',
        "ghp_SENTINEL0123456789abcdef",
    ],
)
def test_what_looks_like_a_secret_or_a_file_is_left_out(text):
    shown = redacted(text.encode())
    assert "SENTINEL" not in shown and ("***" in shown or "of base64)" in shown)


def test_everything_else_is_kept_to_the_letter():
    text = (
        '{"messages": [{"role": "user", "content": "the token count is 5; task-1 \\u00e9 \u2028"}]}'
    )
    assert redacted(text.encode()) == text
    assert re.fullmatch("a.b", redacted(b"a\xffb"))
