"""Records become spans, and spans reach a collector."""

import logging
import os
import subprocess
import sys
from dataclasses import replace

import pytest
from otlp_receiver import OtlpReceiver

from multiproxy import __version__
from multiproxy._http.trace_context import NO_PARENT, Trace, span_id
from multiproxy.routing.placement import Reason
from multiproxy.scoreboard import UNKNOWN, Choice, Finished, Try
from multiproxy.supervisor.exchange_views import finished_view
from multiproxy.supervisor.tracing import begin, is_wanted, ratio_of

MS = 1_000_000
START = 1_790_000_000_000_000_000
ID, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
TRACE = Trace(bytes.fromhex(ID), bytes.fromhex(SPAN), 1)
CHOICE = Choice(int(next(filter(None, Reason))), 1, 4, 2, 2)
FINE = Finished(
    "9f2c60abcdef", "messages", "messages", True, 200, "--", "", "claude-sonnet", "qwen3-32b",
    1, 2, "ann", "10.0.0.7:50000", "Agent/1", "stop", START,
    queue_ns=30 * MS, connect_ns=1_600 * MS, first_event_ns=2_000 * MS, last_event_ns=5_000 * MS,
    total_ns=5_001 * MS, prompt_tokens=900, cached_tokens=800, output_tokens=40,
    chosen_ns=1_500 * MS, choice=CHOICE,
    tries=(Try(0, CHOICE, "backend_died", 30 * MS, 40 * MS, 1_400 * MS),), trace=TRACE.encode(),
)  # fmt: skip


@pytest.fixture
def receiver():
    pytest.importorskip("opentelemetry.proto")
    receiver = OtlpReceiver()
    yield receiver
    receiver.close()


@pytest.fixture
def start(receiver, monkeypatch):
    """``tracing = start(OTEL_...="...")``: spans go to the receiver soon."""
    started = []
    logger = logging.getLogger("opentelemetry")
    handlers = logger.handlers

    def start(**environ):
        environ = {
            "OTEL_EXPORTER_OTLP_ENDPOINT": receiver.url, "OTEL_BSP_SCHEDULE_DELAY": "50", **environ,
        }  # fmt: skip
        for name, value in environ.items():
            monkeypatch.setenv(name, value)
        said = []
        started.append(begin(os.environ, said.append))
        return started[-1], said

    yield start
    for tracing in started:
        if tracing is not None:
            tracing.close()
    logger.handlers, logger.propagate = handlers, True


def observe(tracing, record):
    tracing.observe(record, finished_view(record, "gpu-b", {0: "gpu-a", 1: "gpu-b"}.__getitem__))


def test_a_request_and_its_attempts_are_spans_of_the_client_s_trace(start, receiver):
    tracing, _ = start()
    observe(tracing, FINE)
    request, failed, answered = receiver.wait_for(3)
    assert receiver.paths == {"/v1/traces"}
    assert {span.trace for span in receiver.spans} == {ID}
    assert (request.parent, request.kind, request.name) == (SPAN, "server", "chat claude-sonnet")
    assert [span.id for span in (request, failed, answered)] == [
        span_id("9f2c60abcdef", number).hex() for number in (0, 1, 2)
    ]
    assert failed.parent == answered.parent == request.id
    assert (request.start, request.end) == (START, START + 5_001 * MS)
    assert (failed.start, failed.end) == (START + 30 * MS, START + 1_400 * MS)
    assert (answered.start, answered.end) == (START + 1_500 * MS, START + 5_000 * MS)
    assert [span.failed for span in (request, failed, answered)] == [False, True, False]
    assert failed.message == failed.attributes["error.type"] == "backend_died"


def test_they_say_what_the_conventions_have_names_for(start, receiver):
    tracing, _ = start()
    observe(tracing, FINE)
    request, failed, answered = receiver.wait_for(3)
    said = {name: value for name, value in request.attributes.items() if "multiproxy" not in name}
    assert said == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "llama_cpp",
        "gen_ai.request.model": "claude-sonnet",
        "gen_ai.request.stream": True,
        "gen_ai.response.model": "qwen3-32b",
        "gen_ai.response.finish_reasons": ["stop"],
        "gen_ai.response.time_to_first_chunk": 2.0,
        "gen_ai.usage.input_tokens": 900,
        "gen_ai.usage.cache_read.input_tokens": 800,
        "gen_ai.usage.output_tokens": 40,
        "http.response.status_code": 200,
    }
    assert request.attributes["multiproxy.key"] == "ann"
    assert answered.attributes["multiproxy.backend"] == "gpu-b"
    assert answered.attributes["multiproxy.attempt"] == 2
    assert answered.attributes["multiproxy.sent_s"] == 1.6
    # A request's tokens are counted once, whoever adds up what the spans say.
    assert not any("usage" in name for name in (*failed.attributes, *answered.attributes))
    assert receiver.resource["service.name"] == "multiproxy"
    assert receiver.resource["service.version"] == __version__


@pytest.mark.parametrize(
    ("fields", "failed", "error"),
    [
        ({"status": 503, "termination": "PQ", "error": "overloaded"}, True, "overloaded"),
        ({"status": 200, "termination": "BD", "error": "backend_died"}, True, "backend_died"),
        ({"status": 404, "termination": "CR", "error": "no_model"}, False, "no_model"),
        ({"status": 499, "termination": "CD", "error": "client_gone"}, False, "client_gone"),
    ],
)  # fmt: skip
def test_a_failure_is_an_error_unless_it_is_the_client_s(start, receiver, fields, failed, error):
    tracing, _ = start()
    observe(tracing, replace(FINE, attempts=0, tries=(), chosen_ns=UNKNOWN, **fields))
    (span,) = receiver.wait_for(1)
    assert (span.failed, span.attributes["error.type"]) == (failed, error)


def test_a_trace_may_begin_here_and_a_client_may_not_want_it_recorded(start, receiver):
    tracing, _ = start(OTEL_SERVICE_NAME="gateway")
    observe(tracing, replace(FINE, trace=Trace(TRACE.id, TRACE.parent, 0).encode()))
    observe(tracing, replace(FINE, trace=Trace(TRACE.id, NO_PARENT, 1).encode()))
    request, *_ = receiver.wait_for(3)
    assert (request.trace, request.parent) == (ID, "")
    assert receiver.resource["service.name"] == "gateway"


def test_a_share_of_the_traces_that_begin_here_is_recorded(start, receiver):
    tracing, _ = start(OTEL_TRACES_SAMPLER="parentbased_traceidratio", OTEL_TRACES_SAMPLER_ARG="0")
    assert tracing.ratio == 0.0
    observe(tracing, replace(FINE, trace=Trace(TRACE.id, NO_PARENT, 0).encode()))
    observe(tracing, FINE)
    assert {span.parent for span in receiver.wait_for(3)} >= {SPAN}


def test_a_collector_that_refuses_is_told_of_in_the_log(start, receiver):
    tracing, said = start()
    receiver.status = 400
    observe(tracing, FINE)
    tracing.close()
    assert any(line.startswith("tracing: Failed to export") for line in said), said


@pytest.mark.parametrize(
    ("environ", "wanted"),
    [
        ({}, False),
        ({"OTEL_SERVICE_NAME": "x"}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://a"}, True),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://a"}, True),
        ({"OTEL_TRACES_EXPORTER": "otlp"}, True),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://a", "OTEL_TRACES_EXPORTER": "none"}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://a", "OTEL_SDK_DISABLED": "true"}, False),
    ],
)
def test_the_usual_variables_switch_it_on_and_off(environ, wanted):
    assert is_wanted(environ) is wanted


def test_what_it_cannot_do_is_said_and_it_serves_all_the_same(start, monkeypatch):
    tracing, said = start(OTEL_EXPORTER_OTLP_PROTOCOL="grpc")
    assert (tracing, said) == (None, ["OTLP over grpc is unknown here; http/protobuf is known"])
    monkeypatch.setitem(__import__("sys").modules, "opentelemetry.sdk.trace", None)
    tracing, said = start(OTEL_EXPORTER_OTLP_PROTOCOL="http/protobuf")
    assert tracing is None
    assert "pip install 'multiproxy[otel]'" in said[0]


@pytest.mark.parametrize(
    ("sampler", "argument", "ratio"),
    [
        ("", "", 1.0), ("parentbased_always_on", "", 1.0), ("always_off", "", 0.0),
        ("traceidratio", "0.25", 0.25), ("parentbased_traceidratio", "7", 1.0),
        ("traceidratio", "x", 1.0),
    ],
)  # fmt: skip
def test_the_sampler_s_share(sampler, argument, ratio):
    assert ratio_of({"OTEL_TRACES_SAMPLER": sampler, "OTEL_TRACES_SAMPLER_ARG": argument}) == ratio


def test_who_wants_no_spans_and_no_limit_store_pays_for_neither():
    code = (
        "import sys, multiproxy.supervisor.main, multiproxy.worker.main;"
        "print({'redis', 'opentelemetry'} & sys.modules.keys())"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout == "set()\n"
