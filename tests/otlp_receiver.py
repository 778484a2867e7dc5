"""A collector of spans: OTLP over HTTP, as the specification has it, and nothing else."""

import gzip
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace
from typing import Any

from waiting import until

KINDS = {2: "server", 3: "client"}


class OtlpReceiver:
    """``spans`` as they arrived; ``status`` is what it answers."""

    def __init__(self) -> None:
        from opentelemetry.proto.collector.trace.v1 import trace_service_pb2

        self._request = trace_service_pb2.ExportTraceServiceRequest
        self.spans: list[Any] = []
        self.bodies: list[bytes] = []
        self.paths: set[str] = set()
        self.resource: dict[str, Any] = {}
        self.status = 200
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                if self.headers.get("content-encoding") == "gzip":
                    body = gzip.decompress(body)
                receiver.paths.add(self.path)
                if receiver.status == 200:
                    receiver.take(body)
                self.send_response(receiver.status)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *arguments: object) -> None:
                """Nothing is said."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()

    def take(self, body: bytes) -> None:
        self.bodies.append(body)
        for group in self._request.FromString(body).resource_spans:
            self.resource = attributes_of(group.resource)
            for scope in group.scope_spans:
                self.spans += map(told, scope.spans)

    def wait_for(self, count: int) -> list[Any]:
        """The spans by the time of their beginning, once there are so many."""
        until(lambda: len(self.spans) >= count)
        assert len(self.spans) == count
        return sorted(self.spans, key=lambda span: (span.start, span.kind == "client"))

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def attributes_of(carrier: Any) -> dict[str, Any]:
    return {each.key: _value(each.value) for each in carrier.attributes}


def _value(value: Any) -> Any:
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [_value(each) for each in value.array_value.values]
    return getattr(value, kind)


def told(span: Any) -> Any:
    return SimpleNamespace(
        name=span.name,
        kind=KINDS[span.kind],
        trace=span.trace_id.hex(),
        id=span.span_id.hex(),
        parent=span.parent_span_id.hex(),
        start=span.start_time_unix_nano,
        end=span.end_time_unix_nano,
        attributes=attributes_of(span),
        failed=span.status.code == 2,
        message=span.status.message,
    )
