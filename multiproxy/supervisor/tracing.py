"""Spans for OpenTelemetry, made of what is known of an exchange when it has ended.

No request waits for a span: the supervisor makes them from the workers' records, and a thread of
the SDK sends them where the usual ``OTEL_*`` variables say. A span has names and numbers, never
what was said, nor a key.
"""

import logging
import threading
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from multiproxy import __version__
from multiproxy._http.trace_context import NO_PARENT, decode, span_id
from multiproxy.scoreboard import TRIES, Finished
from multiproxy.supervisor.dashboard.views import AttemptView, FinishedView, Outcome
from multiproxy.supervisor.metrics import PROVIDER, operation
from multiproxy.supervisor.prometheus import OTHER

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.trace import Span

CLOSE_S = 3.0  # for the last spans at the end of the program
_SAMPLERS = {"always_on": 1.0, "always_off": 0.0}
_OUR_FAULT = 500  # status codes from here on are errors of a server's span; 4xx are its client's


class NoTracing(Exception):
    """Spans are wanted and cannot be made; the message says why."""


def is_wanted(environ: Mapping[str, str]) -> bool:
    """Whether the environment names somebody who wants spans."""
    exporter = environ.get("OTEL_TRACES_EXPORTER", "").strip().lower()
    if environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true" or exporter == "none":
        return False
    names = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
    return bool(exporter) or any(environ.get(name) for name in names)


def ratio_of(environ: Mapping[str, str]) -> float:
    """The share of new traces that the environment's sampler takes."""
    name = environ.get("OTEL_TRACES_SAMPLER", "").strip().lower().removeprefix("parentbased_")
    if name != "traceidratio":
        return _SAMPLERS.get(name, 1.0)
    try:
        return min(1.0, max(0.0, float(environ.get("OTEL_TRACES_SAMPLER_ARG", "1"))))
    except ValueError:
        return 1.0  # as the SDK does, which says so


def begin(environ: Mapping[str, str], warn: Callable[[str], None]) -> "Tracing | None":
    """What makes spans, if somebody wants them and it is installed."""
    if not is_wanted(environ):
        return None
    try:
        return Tracing(environ, warn)
    except NoTracing as error:
        warn(str(error))
        return None


class Tracing:
    """``observe`` every traced exchange once; ``ratio`` is for the workers."""

    def __init__(self, environ: Mapping[str, str], warn: Callable[[str], None]) -> None:
        """Raises NoTracing."""
        self.ratio = ratio_of(environ)
        _listen(warn)
        try:
            from opentelemetry import trace

            exporter = _exporter(environ)
            self._provider, self._ids = _provider(environ, exporter)
        except ImportError as error:
            raise NoTracing(
                f"OTEL_* variables want traces, which need pip install 'multiproxy[otel]': {error}"
            ) from error
        self._api = trace
        self._tracer = self._provider.get_tracer("multiproxy", __version__)

    def observe(self, record: Finished, x: FinishedView) -> None:
        """Make the spans of an exchange that has ended."""
        api, trace = self._api, decode(record.trace)
        self._ids.trace = int.from_bytes(trace.id)
        context = api.Context()
        if trace.parent != NO_PARENT:
            parent = api.SpanContext(
                self._ids.trace, int.from_bytes(trace.parent), True, api.TraceFlags(trace.flags)
            )
            context = api.set_span_in_context(api.NonRecordingSpan(parent), context)
        self._ids.span = span_id(record.request_id, 0)
        span = self._tracer.start_span(
            _name(x), context, api.SpanKind.SERVER, _of_request(record, x), (),
            start_time=record.started_unix_ns,
        )  # fmt: skip
        for number, attempt in enumerate(x.path, 1):
            if number > TRIES:
                number = record.attempts  # those between were not kept
            self._attempt(span, record, x, attempt, number)
        if record.status >= _OUR_FAULT or x.outcome is Outcome.BROKEN_STREAM:
            span.set_status(api.StatusCode.ERROR, x.error or x.outcome.value)
        span.end(record.started_unix_ns + max(record.total_ns, 0))

    def close(self) -> None:
        """Send what is left, for a while."""
        # A collector that is away must not hold up the end.
        last = threading.Thread(target=self._provider.shutdown, name="tracing", daemon=True)
        last.start()
        last.join(CLOSE_S)

    def _attempt(
        self, parent: "Span", record: Finished, x: FinishedView, attempt: AttemptView, number: int
    ) -> None:
        api = self._api
        self._ids.span = span_id(record.request_id, number)
        span = self._tracer.start_span(
            f"attempt {attempt.backend}",
            api.set_span_in_context(parent),
            api.SpanKind.CLIENT,
            _of_attempt(x, attempt, number),
            (),
            start_time=record.started_unix_ns + int(attempt.chosen_s * 1e9),
        )
        if attempt.error:
            span.set_status(api.StatusCode.ERROR, attempt.error)
        span.end(record.started_unix_ns + int(max(attempt.ended_s, attempt.chosen_s) * 1e9))


def _name(x: FinishedView) -> str:
    """What kind of request it was; few names for many requests."""
    if operation(x.api) == OTHER or not x.requested_model:
        return x.api or "request"  # refused before anybody knew
    return f"{operation(x.api)} {x.requested_model}"


def _of_request(record: Finished, x: FinishedView) -> dict[str, Any]:
    """The request is the generation, whoever made it: tokens are here, and only here."""
    values = {
        **_of_model(x),
        "gen_ai.response.model": x.model if x.backend else None,
        "gen_ai.response.finish_reasons": (x.finish_reason,) if x.finish_reason else None,
        "gen_ai.response.time_to_first_chunk": x.ttft_s,
        "gen_ai.usage.input_tokens": x.prompt_tokens,
        "gen_ai.usage.cache_read.input_tokens": x.cached_tokens,
        "gen_ai.usage.output_tokens": x.output_tokens,
        "http.response.status_code": x.status or None,
        "error.type": None if x.outcome is Outcome.OK else x.error or x.outcome.value,
        "multiproxy.request_id": x.id,
        "multiproxy.api": x.api,
        "multiproxy.backend": x.backend,
        "multiproxy.key": x.key,
        "multiproxy.end": x.termination,
        "multiproxy.attempts": x.attempts,
        "multiproxy.queue_s": x.queue_s,
    }
    return _known(values)


def _of_attempt(x: FinishedView, attempt: AttemptView, number: int) -> dict[str, Any]:
    values = {
        **_of_model(x),
        "error.type": attempt.error,
        "multiproxy.backend": attempt.backend,
        "multiproxy.attempt": number,
        "multiproxy.reason": attempt.reason,
        "multiproxy.waited_s": attempt.waited_s,
        "multiproxy.sent_s": attempt.sent_s,
        "multiproxy.first_event_s": attempt.first_s,
    }
    return _known(values)


def _of_model(x: FinishedView) -> dict[str, Any]:
    if operation(x.api) == OTHER:
        return {}
    return {
        "gen_ai.operation.name": operation(x.api),
        "gen_ai.provider.name": PROVIDER,
        "gen_ai.request.model": x.requested_model,
        "gen_ai.request.stream": x.stream or None,
    }


def _known(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None and value != ""}


def _provider(environ: Mapping[str, str], exporter: Any) -> "tuple[TracerProvider, Any]":
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor
    from opentelemetry.sdk.trace.id_generator import IdGenerator

    class GivenIds(IdGenerator):
        """The identifiers of the next span, which a backend may have been told already."""

        trace = 0
        span = b""

        def generate_trace_id(self) -> int:
            return self.trace

        def generate_span_id(self) -> int:
            return int.from_bytes(self.span)

    about = {"service.version": __version__}
    named = environ.get("OTEL_RESOURCE_ATTRIBUTES", "")
    if not environ.get("OTEL_SERVICE_NAME") and "service.name=" not in named:
        about["service.name"] = "multiproxy"
    ids = GivenIds()
    provider = TracerProvider(
        resource=Resource.create(about), id_generator=ids, shutdown_on_exit=False
    )
    provider.add_span_processor(BatchSpanProcessor(exporter))
    return provider, ids


def _exporter(environ: Mapping[str, str]) -> Any:
    """What sends spans; the SDK itself reads where to and how.

    Raises:
        ImportError: it is not installed.
        NoTracing: there is none of that name.
    """
    name = environ.get("OTEL_TRACES_EXPORTER", "").strip().lower() or "otlp"
    if name != "otlp":
        raise NoTracing(f"OTEL_TRACES_EXPORTER={name} is unknown here; otlp and none are known")
    kind = environ.get("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")
    kind = environ.get("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", kind).strip().lower()
    if kind != "http/protobuf":
        raise NoTracing(f"OTLP over {kind} is unknown here; http/protobuf is known")
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

    return OTLPSpanExporter()


def _listen(warn: Callable[[str], None]) -> None:
    """What the SDK has to say goes into our log."""

    class Ear(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            warn(f"tracing: {record.getMessage()}")

    logger = logging.getLogger("opentelemetry")
    logger.handlers = [Ear(logging.WARNING)]
    logger.propagate = False
