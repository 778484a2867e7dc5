"""Traces of clients, and those that begin here."""

import random

import pytest
from worker.workplace import chat

from multiproxy._http.head import RequestHead
from multiproxy._http.trace_context import NO_PARENT, decode, span_id
from multiproxy.worker.tracing import Tracing

PARENT = b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00"


class Head:
    """As much of a request's head as is looked at."""

    def __init__(self, *fields):
        self.fields: RequestHead = list(fields)


def keep_heads(monkeypatch, backend, heads):
    original = backend.heads.head

    def head(*parts):
        heads.append(original(*parts))
        return heads[-1]

    monkeypatch.setattr(backend.heads, "head", head)


def test_a_client_s_trace_goes_on_and_its_word_on_recording_holds():
    trace = Tracing(1.0, random.Random(1)).begin(
        Head((b"traceparent", PARENT), (b"tracestate", b"a=1"))
    )
    assert (trace.id.hex(), trace.flags, trace.state) == (PARENT.decode()[3:35], 0, b"a=1")


@pytest.mark.parametrize("fields", [(), ((b"traceparent", b"nonsense"),)])
def test_else_a_trace_begins_here(fields):
    tracing = Tracing(1.0, random.Random(1))
    traces = [tracing.begin(Head(*fields)) for _ in range(100)]
    assert len({trace.id for trace in traces}) == 100
    assert {(trace.parent, trace.flags) for trace in traces} == {(NO_PARENT, 1)}


def test_a_share_of_them_is_recorded_as_the_sdk_decides():
    sampling = pytest.importorskip("opentelemetry.sdk.trace.sampling")
    tracing, sampler = Tracing(0.25, random.Random(1)), sampling.TraceIdRatioBased(0.25)
    traces = [tracing.begin(Head()) for _ in range(400)]
    for trace in traces:
        verdict = sampler.should_sample(None, int.from_bytes(trace.id), "").decision
        assert verdict.is_sampled() == bool(trace.flags)
    assert 60 < sum(trace.flags for trace in traces) < 140
    assert not any(Tracing(0.0, random.Random(1)).begin(Head()).flags for _ in range(100))


async def test_every_attempt_tells_its_backend_a_span_of_its_own(staff, monkeypatch):
    workplace, servers = await staff(2)
    await servers[0].close()  # nobody listens there any more
    workplace.worker.tracing = Tracing(1.0, random.Random(1))
    trace, span = PARENT.decode()[3:-3].split("-")
    attempts = []
    for number in range(8):
        heads = []
        for backend in workplace.worker.backends.by_index.values():
            keep_heads(monkeypatch, backend, heads)
        fields = f"traceparent: {PARENT.decode()}\r\ntracestate: a=1\r\n"
        body = chat(content=f"question {number}")
        answer = await workplace.client().ask(body, "/v1/chat/completions", "POST", fields)
        assert answer.status == 200
        record = workplace.records[-1]
        known = decode(record.trace)
        assert (known.id.hex(), known.parent.hex(), known.flags) == (trace, span, 0)
        for attempt, sent in enumerate(heads, 1):
            ours = span_id(record.request_id, attempt).hex()
            lines = f"\r\ntraceparent: 00-{trace}-{ours}-00\r\ntracestate: a=1\r\n"
            assert lines.encode() in sent
        assert len(heads) == record.attempts
        attempts.append(record.attempts)
        monkeypatch.undo()
    assert 2 in attempts


async def test_without_tracing_nothing_is_passed_on_or_kept(staff, monkeypatch):
    workplace, _ = await staff(1)
    (backend,) = workplace.worker.backends.by_index.values()
    heads = []
    keep_heads(monkeypatch, backend, heads)
    fields = f"traceparent: {PARENT.decode()}\r\n"
    await workplace.client().ask(chat(), "/v1/chat/completions", "POST", fields)
    assert b"trace" not in heads[0].lower()
    assert workplace.records[0].trace == b""
