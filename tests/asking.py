"""One HTTP request with JSON in, without a client library's retries and defaults."""

import http.client
import json
from typing import Any
from urllib.parse import urlsplit

CHAT = {"model": "demo", "messages": [{"role": "user", "content": "hello"}]}


def ask(url: str, method: str, target: str, body: object = None) -> tuple[int, Any]:
    """Return (status, JSON answer) of one request to a server on this machine."""
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=20)
    fields = {} if body is None else {"Content-Type": "application/json"}
    try:
        connection.request(method, target, None if body is None else json.dumps(body), fields)
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())
    finally:
        connection.close()


def begun_stream(
    port: int, tokens: int
) -> tuple[http.client.HTTPConnection, http.client.HTTPResponse]:
    """Return a streamed chat's connection and answer, of which the first line has come."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    body = CHAT | {"stream": True, "max_tokens": tokens, "ignore_eos": True}
    connection.request("POST", "/v1/chat/completions", json.dumps(body))
    answer = connection.getresponse()
    assert answer.status == 200
    assert answer.readline().startswith(b"data: ")
    return connection, answer
