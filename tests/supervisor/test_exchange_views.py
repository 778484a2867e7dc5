from dataclasses import replace

import pytest

from multiproxy.scoreboard import BAR_NS, UNKNOWN, Choice, Finished, Phase, Running, Try
from multiproxy.supervisor.dashboard.views import Outcome
from multiproxy.supervisor.dashboard.views import Phase as ViewPhase
from multiproxy.supervisor.exchange_views import (
    finished_view,
    flow_until,
    outcome_of,
    running_view,
)

SECOND = 1_000_000_000
FINE = Finished(
    "9f2c60abcdef", "chat", "openai", True, 200, "--", "", "gpt-4o", "qwen", 3, 2, "alice",
    "127.0.0.1:1", "SDK", "stop", 1_000 * SECOND,
    queue_ns=SECOND, connect_ns=2 * SECOND, first_event_ns=3 * SECOND, last_event_ns=13 * SECOND,
    total_ns=14 * SECOND, prompt_tokens=2_000, cached_tokens=1_500, output_tokens=401,
)  # fmt: skip


def test_a_finished_exchange_in_the_dashboards_words():
    view = finished_view(FINE, "gpu-a")
    assert (view.id, view.model, view.requested_model, view.backend) == (
        "9f2c60abcdef",
        "qwen",
        "gpt-4o",
        "gpu-a",
    )
    assert (view.started_at, view.ended_at, view.ttft_s) == (1_000.0, 1_014.0, 3.0)
    assert (view.queue_s, view.prefill_s, view.decode_s) == (1.0, 1.0, 10.0)
    assert (view.tokens_per_s, view.outcome) == (40.0, Outcome.OK)


def test_attempts_are_the_failed_ones_and_the_record_itself():
    names = {3: "gpu-a", 7: "gpu-c"}
    failed = Try(7, Choice(3, 1, 4, 2, 2), "backend_disconnected", 100, 200, SECOND)
    record = replace(
        FINE, attempts=2, tries=(failed,), chosen_ns=2 * SECOND, choice=Choice(2, 0, 4, 1, 2)
    )
    first, last = finished_view(record, "gpu-a", names.__getitem__).path
    assert (first.backend, first.reason, first.busy, first.error) == (
        "gpu-c", "least_busy", 1, "backend_disconnected",
    )  # fmt: skip
    assert (first.sent_s, first.first_s, first.ended_s) == (2e-7, None, 1.0)
    assert (last.backend, last.reason, last.ready, last.candidates) == ("gpu-a", "only_ready", 1, 2)
    assert (last.waited_s, last.chosen_s, last.first_s, last.ended_s) == (1.0, 2.0, 3.0, 13.0)
    assert (first.was_retried, last.was_retried, last.error) == (True, False, "")


def test_the_last_attempt_is_the_one_that_read_a_broken_prompt_again():
    failed = Try(7, Choice(3, 1, 4, 2, 2), "backend_disconnected", 100, 200, SECOND)
    record = replace(
        FINE, attempts=2, tries=(failed,), chosen_ns=SECOND, broke_at=2, broke_tokens=900
    )
    first, last = finished_view(record, "gpu-a").path
    assert (first.broke_at, first.reread_tokens) == ("", 0)
    assert (last.broke_at, last.reread_tokens) == ("tools", 900)


def test_a_continued_answer_began_at_its_first_backend():
    failed = Try(7, Choice(), "backend_disconnected", 0, SECOND, 5 * SECOND)
    record = replace(FINE, attempts=2, tries=(failed,), chosen_ns=6 * SECOND, connect_ns=7 * SECOND)
    assert record.was_continued and not FINE.was_continued
    view = finished_view(record, "gpu-a")
    assert (view.ttft_s, view.prefill_s) == (3.0, None)
    assert [each.first_s for each in view.path] == [3.0, None]


def test_a_wait_belongs_to_the_attempt_that_it_was_for():
    failed = Try(7, Choice(), "backend_disconnected", SECOND, SECOND, 2 * SECOND)
    record = replace(
        FINE, attempts=2, tries=(failed,), chosen_ns=5 * SECOND, queue_ns=int(3.75 * SECOND)
    )
    first, second = finished_view(record, "").path
    assert (first.waited_s, second.waited_s) == (0.75, 3.0)


def test_the_last_failure_is_no_attempt_more():
    failed = Try(7, Choice(), "backend_unreachable", 100, UNKNOWN, SECOND)
    record = replace(FINE, attempts=1, tries=(failed,), chosen_ns=100)
    (only,) = finished_view(record, "").path
    assert (only.backend, only.reason, only.sent_s) == ("7", "", None)


def test_a_record_of_no_attempt_has_no_path():
    assert finished_view(replace(FINE, attempts=0), "").path == ()


def test_the_backends_own_prefill_time_is_preferred():
    assert finished_view(replace(FINE, prefill_ns=SECOND // 2), "").prefill_s == 0.5


def test_what_never_came_is_none():
    view = finished_view(
        replace(
            FINE, stream=False, first_event_ns=UNKNOWN, last_event_ns=UNKNOWN, queue_ns=UNKNOWN,
            prompt_tokens=UNKNOWN, cached_tokens=UNKNOWN, output_tokens=UNKNOWN,
        ),
        "",
    )  # fmt: skip
    assert (view.ttft_s, view.prefill_s, view.decode_s, view.tokens_per_s) == (None,) * 4
    assert (view.prompt_tokens, view.cached_tokens, view.output_tokens) == (None,) * 3
    assert view.queue_s == 0.0


def test_a_non_stream_has_no_first_token_for_the_client():
    assert finished_view(replace(FINE, stream=False), "").ttft_s is None


@pytest.mark.parametrize(
    ("status", "termination", "error", "outcome"),
    [
        (200, "--", "", Outcome.OK),
        (404, "--", "", Outcome.REJECTED),
        (499, "CQ", "client_gone", Outcome.CLIENT_LEFT),
        (200, "CD", "client_gone", Outcome.CLIENT_LEFT),
        (400, "CR", "invalid_json", Outcome.REJECTED),
        (200, "BD", "backend_disconnected", Outcome.BROKEN_STREAM),
        (502, "BW", "backend_disconnected", Outcome.UPSTREAM_ERROR),
        (504, "BW", "backend_timeout", Outcome.TIMEOUT),
        (503, "PQ", "overloaded", Outcome.NO_BACKEND),
        (503, "PD", "mirror_made_way", Outcome.CLIENT_LEFT),
        (503, "PQ", "no_backend_available", Outcome.NO_BACKEND),
        (500, "PR", "internal_error", Outcome.UPSTREAM_ERROR),
    ],
)
def test_the_class_of_an_end(status, termination, error, outcome):
    record = replace(FINE, status=status, termination=termination, error=error)
    assert outcome_of(record) is outcome


NOW_BAR = 10_000
NOW = NOW_BAR * BAR_NS + 7
ROW = Running(
    "9f2c60abcdef", Phase.DECODING, NOW - 4 * SECOND, 1_000 * SECOND, NOW - 6 * SECOND,
    endpoint="chat", stream=True, model_asked="gpt-4o", model_served="qwen", key="alice",
    prompt_total=1_000, prompt_cached=400, prompt_processed=700, tokens=99,
    bars=bytes(50) + bytes([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]), bar_at=NOW_BAR,
)  # fmt: skip


def test_a_running_exchange_in_the_dashboards_words():
    view = running_view(ROW, "gpu-a", NOW)
    assert (view.elapsed_s, view.phase, view.ttft_s) == (6.0, ViewPhase.DECODING, 2.0)
    assert (view.prompt_tokens, view.cached_tokens, view.prefill_progress) == (1_000, 400, 0.7)
    assert (view.output_tokens, view.tokens_per_s) == (99, 55 / 2)
    assert len(view.flow) == 31  # six seconds and the bar that has begun
    assert view.flow[-10:] == (1, 2, 3, 4, 5, 6, 7, 8, 9, 10)


def test_a_copy_and_a_part_of_a_split_are_told_from_the_rest():
    view = finished_view(replace(FINE, split="assistant", copy_of="ba9876543210"), "gpu-a")
    assert (view.split, view.copy_of) == ("assistant", "ba9876543210")
    assert running_view(replace(ROW, copy_of="ba9876543210"), "", NOW).copy_of == "ba9876543210"


def test_without_progress_nothing_is_invented():
    view = running_view(replace(ROW, phase=Phase.PREFILL, prompt_total=0), "", NOW)
    assert (view.prompt_tokens, view.prefill_progress, view.tokens_per_s) == (None, None, None)
    assert view.ttft_s is None


def test_the_flow_moves_on_when_nothing_comes():
    assert flow_until(ROW, NOW + 2 * BAR_NS)[-4:] == (9, 10, 0, 0)
    assert set(flow_until(ROW, NOW + 100 * BAR_NS)) == {0}


def test_an_exchange_without_tokens_has_a_flow_of_silence():
    silent = replace(ROW, bars=bytes(60), bar_at=0, started_ns=NOW - BAR_NS)
    assert flow_until(silent, NOW) == (0, 0)
