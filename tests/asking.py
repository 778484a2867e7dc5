"""One HTTP request with JSON in and out, without a client library's retries and defaults."""

import http.client
import json
from typing import Any
from urllib.parse import urlsplit


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
