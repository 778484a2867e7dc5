"""Inference servers as ``init`` and ``check --probe`` meet them: a few answers by path."""

import json
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest

Answers = dict[str, Any]

LLAMA: Answers = {
    "server": "llama.cpp",
    "/health": {"status": "ok"},
    "/props": {"total_slots": 4, "default_generation_settings": {"n_ctx": 8192}},
    "/v1/models": {"data": [{"id": "qwen3-32b", "owned_by": "llamacpp"}]},
}
LOADING: Answers = {
    "server": "llama.cpp",
    "/health": (503, {"error": {"message": "Loading model", "code": 503}}),
}
# Neither knows /health and /props: Ollama says 404, LM Studio says 200 and an error.
OLLAMA: Answers = {
    "/v1/models": {
        "object": "list",
        "data": [{"id": "llama3.2:latest", "object": "model", "owned_by": "library"}],
    }
}
UNKNOWN = {"error": "Unexpected endpoint or method. (GET /health)"}
LM_STUDIO: Answers = {
    "/health": UNKNOWN,
    "/props": UNKNOWN,
    "/v1/models": {"data": [{"id": "gemma-3-27b-it", "owned_by": "organization_owner"}]},
}
VLLM: Answers = {
    "/health": (200, None),
    "/v1/models": {
        "data": [{"id": "Qwen/Qwen3-8B", "owned_by": "vllm", "max_model_len": 40960}],
    },
}
MULTIPROXY: Answers = {
    "/health": {"status": "ok"},
    "/v1/models": {"data": [{"id": "demo", "owned_by": "multiproxy"}]},
}
OTHER_WEB_SERVER: Answers = {"/": "hello"}
LOCKED: Answers = {
    "server": "llama.cpp",
    "/health": {"status": "ok"},
    "/props": (401, {"error": {"message": "Invalid API Key", "code": 401}}),
    "/v1/models": {"data": [{"id": "qwen3-32b", "owned_by": "llamacpp"}]},
}


KINDS = {
    "llama": LLAMA,
    "loading": LOADING,
    "locked": LOCKED,
    "ollama": OLLAMA,
    "lm-studio": LM_STUDIO,
    "vllm": VLLM,
    "multiproxy": MULTIPROXY,
    "other": OTHER_WEB_SERVER,
}


@pytest.fixture
def engines() -> Iterator[Callable[[str], int]]:
    """``engines(kind)`` starts a server of one of `KINDS`; its port."""
    servers: list[ThreadingHTTPServer] = []

    def start(kind: str) -> int:
        answers = KINDS[kind]

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                answer = answers.get(self.path, (404, {"error": "not found"}))
                status, body = answer if isinstance(answer, tuple) else (200, answer)
                text = b"" if body is None else json.dumps(body).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def version_string(self) -> str:
                return str(answers.get("server", "stand-in"))

            def log_message(self, *_: object) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.daemon_threads = True
        servers.append(server)
        Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        return int(server.server_address[1])

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()
