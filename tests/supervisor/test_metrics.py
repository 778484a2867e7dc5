"""What each exchange adds, by hand, and that clients cannot make the metrics grow."""

from dataclasses import replace

import pytest
from dashboard_scene import NOW, attempt, busy, finished
from prometheus_client.openmetrics.parser import text_string_to_metric_families as read_openmetrics
from prometheus_client.parser import text_string_to_metric_families as read_text

from multiproxy.config import Metrics as Settings
from multiproxy.supervisor import metrics as module
from multiproxy.supervisor.dashboard.views import HealthView, Outcome, Phase
from multiproxy.supervisor.metrics import Metrics
from multiproxy.supervisor.metrics_now import Now

PAIR = {"backend": "gpu-a", "model": "qwen3-32b-instruct"}
GEN_AI = {
    "gen_ai_operation_name": "chat",
    "gen_ai_provider_name": "llama_cpp",
    "gen_ai_request_model": "qwen3-32b-instruct",
    "backend": "gpu-a",
}


def now(scene=None, **changes):
    scene = scene or busy()
    facts = {
        "version": "0.1.0", "python": "3.13.0", "live_streams": 3,
        "rows_dropped": 4, "rows_unlisted": 6, "unrecorded": 5,
    }  # fmt: skip
    return Now(scene.backends(), scene.running(), scene.health(), **facts | changes)


def told(*exchanges, settings=None, at=None, openmetrics=False):
    """Every sample: (name, labels) -> value."""
    metrics = Metrics(settings or Settings())
    for exchange in exchanges:
        metrics.observe(exchange)
    read = read_openmetrics if openmetrics else read_text
    text = metrics.exposition(at or now(), openmetrics)
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in read(text)
        for sample in family.samples
    }


def value(samples, name, **labels):
    return samples.get((name, frozenset(labels.items())))


def test_a_mirrored_request_has_series_of_its_own():
    copy = finished(model="qwen", copy_of="r_first", prompt_tokens=10, output_tokens=5, key="")
    found = told(copy)
    marked = {"backend": "gpu-a", "model": "qwen (mirror)"}
    assert value(found, "multiproxy_tokens_total", **marked, type="output") == 5
    assert value(found, "multiproxy_requests_total", **marked, status="ok", api="chat") == 1
    plain = {"backend": "gpu-a", "model": "qwen"}
    assert value(found, "multiproxy_requests_total", **plain, status="ok", api="chat") is None


def test_a_mirrored_request_that_runs_is_not_counted_as_one_of_its_model():
    scene = busy()
    before = told(at=now(scene))
    scene.running_list = [replace(scene.running_list[0], copy_of="r_first", phase=Phase.DECODING)]
    x = scene.running_list[0]
    after = told(at=now(scene))
    name = "multiproxy_requests_running"
    assert value(after, name, backend=x.backend, model=f"{x.model} (mirror)") == 1
    assert value(after, name, backend=x.backend, model=x.model) == 0
    assert value(before, name, backend=x.backend, model=f"{x.model} (mirror)") is None


@pytest.mark.parametrize("openmetrics", [False, True])
def test_an_answer_counts_in_every_family(openmetrics):
    x = finished(
        total_s=3.0, ttft_s=0.5, tokens_per_s=40.0, prompt_tokens=100, cached_tokens=60,
        output_tokens=101, queue_s=0.2,
    )  # fmt: skip
    found = told(x, openmetrics=openmetrics)
    assert value(found, "gen_ai_server_request_duration_seconds_sum", **GEN_AI) == 3
    ttft = "gen_ai_server_time_to_first_token_seconds"
    assert value(found, f"{ttft}_bucket", **GEN_AI, le="0.25") == 0
    assert value(found, f"{ttft}_bucket", **GEN_AI, le="0.5") == 1
    per_token = "gen_ai_server_time_per_output_token_seconds"
    assert value(found, f"{per_token}_sum", **GEN_AI) == 0.025
    usage = "gen_ai_client_token_usage_sum"
    assert value(found, usage, **GEN_AI, gen_ai_token_type="input") == 100
    assert value(found, usage, **GEN_AI, gen_ai_token_type="output") == 101
    tokens = "multiproxy_tokens_total"
    assert value(found, tokens, **PAIR, type="prompt_processed") == 40
    assert value(found, tokens, **PAIR, type="prompt_cached") == 60
    assert value(found, tokens, **PAIR, type="output") == 101
    assert value(found, "multiproxy_requests_total", **PAIR, status="ok", api="chat") == 1
    assert value(found, "multiproxy_queue_seconds_sum", model=PAIR["model"]) == 0.2


def test_the_bounds_are_those_of_opentelemetry_and_more():
    duration = [0.01 * 2**i for i in range(14)]
    assert set(duration) < set(module._DOUBLES) and max(module._DOUBLES) == 1310.72
    first = {0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10}
    assert first < set(module._FIRST_TOKEN)
    per_token = {0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1, 2.5}
    assert per_token < set(module._PER_TOKEN)
    assert module._TOKENS[0] == 1 and module._TOKENS[-1] == 67_108_864


def test_an_answer_that_is_not_streamed_has_no_first_token():
    found = told(finished(stream=False, ttft_s=None, tokens_per_s=None))
    assert not [name for name, _ in found if "first_token" in name or "per_output" in name]


@pytest.mark.parametrize("outcome", list(Outcome))
def test_every_end_has_its_status_and_only_errors_a_type(outcome):
    found = told(finished(outcome=outcome, total_s=1.0))
    status = value(found, "multiproxy_requests_total", **PAIR, status=outcome.value, api="chat")
    assert status == 1
    error = {} if outcome is Outcome.OK else {"error_type": outcome.value}
    assert value(found, "gen_ai_server_request_duration_seconds_count", **GEN_AI, **error) == 1


def test_a_retry_counts_for_the_backend_that_failed():
    path = (attempt("gpu-b", error="backend_died", was_retried=True), attempt("gpu-a"))
    found = told(finished(attempts=2, path=path))
    labels = {"backend": "gpu-b", "reason": "backend_died"}
    assert value(found, "multiproxy_retries_total", **labels) == 1
    assert len([1 for name, _ in found if name == "multiproxy_retries_total"]) == 1


def test_names_that_clients_make_up_do_not_become_labels():
    made_up = [
        finished(str(i), model=f"no-{i}", backend="", outcome=Outcome.REJECTED, key=f"k{i}",
                 client=f"10.0.{i}", user_agent=f"ua-{i}", requested_model=f"no-{i}")
        for i in range(1000)
    ]  # fmt: skip
    found = told(*made_up)
    assert len(found) < 2000
    rejected = value(
        found, "multiproxy_requests_total", status="rejected", model="_other", api="chat"
    )
    assert rejected == 1000
    assert not [labels for _, labels in found if any("no-" in text for _, text in labels)]


def test_keys_are_told_apart_only_when_asked_for():
    exchanges = [finished(key="alice"), finished(key="bob")]
    assert (
        value(told(*exchanges), "multiproxy_requests_total", **PAIR, status="ok", api="chat") == 2
    )
    found = told(*exchanges, settings=Settings(key_label=True))
    labels = PAIR | {"status": "ok", "api": "chat", "key": "bob"}
    assert value(found, "multiproxy_requests_total", **labels) == 1


@pytest.mark.parametrize(
    ("names", "old", "new"), [("legacy", 1, 0), ("next", 0, 1), ("both", 1, 1)]
)
def test_tokens_have_the_names_of_today_of_tomorrow_or_both(names, old, new):
    found = told(finished(prompt_tokens=10, output_tokens=5), settings=Settings(genai_tokens=names))
    assert any(name == "gen_ai_client_token_usage_sum" for name, _ in found) == old
    labels = GEN_AI | {"gen_ai_token_modality": "text"}
    counter = "gen_ai_client_inference_usage_input_tokens_total"
    assert value(found, counter, **labels) == (10 if new else None)


def test_the_moment_tells_queues_slots_states_and_the_program():
    found = told()
    running = "multiproxy_requests_running"
    assert value(found, running, model="qwen3-32b-instruct", backend="gpu-a") == 3
    assert value(found, running, model="gemma-3-27b-it", backend="mac-studio") == 1
    assert value(found, "multiproxy_requests_queued", model="qwen3-32b-instruct") == 2
    assert value(found, "multiproxy_requests_queued", model="gemma-3-27b-it") == 0
    assert value(found, "multiproxy_backend_state", backend="gpu-c", state="down") == 1
    assert value(found, "multiproxy_backend_state", backend="gpu-c", state="up") == 0
    assert value(found, "multiproxy_backend_slots", backend="mac-studio") == 2
    assert value(found, "multiproxy_backend_slots_busy", backend="gpu-a") == 4
    assert value(found, "multiproxy_backend_check_seconds", backend="gpu-a") == 0.003
    assert value(found, "multiproxy_backend_check_seconds", backend="gpu-c") is None
    assert value(found, "multiproxy_config_last_reload_successful") == 1
    stamp = "multiproxy_config_last_reload_success_timestamp_seconds"
    assert value(found, stamp) == NOW - 90_000
    assert value(found, "multiproxy_event_loop_lag_seconds") == 0.002
    assert value(found, "multiproxy_live_streams") == 3
    assert value(found, "multiproxy_store_rows_dropped_total") == 4
    assert value(found, "multiproxy_store_rows_unlisted_total") == 6
    assert value(found, "multiproxy_requests_unrecorded_total") == 5
    assert value(found, "multiproxy_build_info", version="0.1.0", python="3.13.0") == 1


def test_a_failed_reload_is_told():
    scene = busy()
    scene.state = HealthView(1.0, 1, 1, reload_error="line 3")
    found = told(at=now(scene))
    assert value(found, "multiproxy_config_last_reload_successful") == 0
