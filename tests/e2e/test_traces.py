"""Spans of real requests, in a real collector's hands."""

import asyncio
import json

import pytest
from e2e.raw_client import Client, ask, chat
from otlp_receiver import OtlpReceiver

from multiproxy.simulator import Settings

FAST = Settings(slots=8, tokens_per_second=0, prompt_tokens_per_second=0)
KEY = "sk-ann-0123456789"
TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


@pytest.fixture
def receiver(monkeypatch):
    pytest.importorskip("opentelemetry.proto")
    receiver = OtlpReceiver()
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.url)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip")
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment=test")
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "100")
    yield receiver
    receiver.close()


async def traced(port, body, *fields):
    """One request with header fields of its own."""
    data = json.dumps(body).encode()
    lines = [f"Authorization: Bearer {KEY}", f"Content-Length: {len(data)}", *fields]
    async with Client(port) as client:
        head = "\r\n".join(["POST /v1/chat/completions HTTP/1.1", "Host: localhost", *lines])
        client.writer.write(head.encode() + b"\r\n\r\n" + data)
        return await client.receive()


async def test_requests_are_spans_of_their_clients_traces_without_what_was_said(house, receiver):
    keys = [{"name": "ann", "key": KEY}]
    place = await house(FAST, workers=2, keys=keys)
    body = chat("the secret word is rutabaga", max_tokens=5)
    fields = (f"traceparent: 00-{TRACE}-{SPAN}-01", "tracestate: vendor=1")
    assert (await traced(place.port, body, *fields)).outcome == "ok"
    spans = await asyncio.to_thread(receiver.wait_for, 2)
    request, attempt = spans
    assert (request.trace, request.parent, request.kind) == (TRACE, SPAN, "server")
    assert (attempt.trace, attempt.parent, attempt.kind) == (TRACE, request.id, "client")
    assert request.start <= attempt.start <= attempt.end <= request.end
    assert request.attributes["gen_ai.usage.output_tokens"] == 5
    assert request.attributes["gen_ai.response.model"] == "demo"
    (line,) = await place.logged(1)
    assert line["request_id"].endswith(request.attributes["multiproxy.request_id"])
    assert receiver.resource["deployment.environment"] == "test"
    # One that nobody follows, one that is refused, and one of a client that has no key.
    assert (await traced(place.port, body)).outcome == "ok"
    assert (await traced(place.port, {**body, "model": "none"})).status == 404
    assert (await ask(place.port, body)).status == 401
    assert (await ask(place.port, body, "/v1/nowhere")).status == 404
    spans = await asyncio.to_thread(receiver.wait_for, 6)
    assert [span.name for span in spans] == [
        "chat demo", "attempt sim-0", "chat demo", "attempt sim-0", "chat none", "request",
    ]  # fmt: skip
    assert [span.attributes.get("error.type") for span in spans[2:] if span.failed] == []
    assert len({span.trace for span in spans}) == 4
    said = b"".join(receiver.bodies)
    assert b"rutabaga" not in said and KEY.encode() not in said


async def test_the_last_spans_are_sent_at_the_end(house, receiver, monkeypatch):
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "600000")
    place = await house(FAST)
    assert (await ask(place.port, chat("hi", max_tokens=2))).outcome == "ok"
    await place.logged(1)
    assert receiver.spans == []
    place.proxy.terminate()
    assert await asyncio.to_thread(place.proxy.wait) == 0
    assert len(receiver.spans) == 2


async def test_a_collector_that_is_away_disturbs_nobody(house, receiver, monkeypatch):
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    place = await house(FAST)
    answers = [await ask(place.port, chat("hi", max_tokens=2)) for _ in range(20)]
    assert {answer.outcome for answer in answers} == {"ok"}
    async with asyncio.timeout(20):
        while '"tracing: ' not in place.proxy.log_text():
            await asyncio.sleep(0.05)
    place.proxy.terminate()
    assert await asyncio.to_thread(place.proxy.wait) == 0
