"""The parts of every attempt, on one scale, with their gaps."""

from dataclasses import replace

import pytest
from dashboard_scene import attempt, finished

from multiproxy.supervisor.dashboard import timeline

FAILED = attempt("gpu-c", chosen_s=0.01, sent_s=0.013, ended_s=1.82, error="backend_disconnected",
                 was_retried=True, first_s=None)  # fmt: skip
SECOND = attempt("gpu-a", waited_s=1.58, chosen_s=3.4, sent_s=3.4, first_s=4.38, ended_s=15.6)
RETRIED = finished("r", total_s=15.61, attempts=2, path=(FAILED, SECOND), prompt_tokens=12_044,
                   cached_tokens=44, output_tokens=655)  # fmt: skip


def told(x):
    return [(bar.title, round(bar.seconds, 3), bar.is_group) for bar in timeline.rows(x)]


def test_each_attempt_is_a_group_of_its_parts():
    assert told(RETRIED) == [
        ("receiving the request", 0.01, False),
        ("Attempt 1 · gpu-c", 1.81, True),
        ("connecting", 0.003, False),
        ("prefill, then it failed", 1.807, False),
        ("Attempt 2 · gpu-a", 13.78, True),
        ("waiting for a slot", 1.58, False),
        ("prefill, 12,000 tokens", 0.98, False),
        ("decode, 655 tokens", 11.22, False),
        ("finishing", 0.01, False),
    ]


def test_the_parts_reach_the_whole():
    parts = [bar for bar in timeline.rows(RETRIED) if not bar.is_group]
    assert sum(bar.seconds for bar in parts) == pytest.approx(15.61, abs=0.001)


def test_where_an_attempt_broke_is_marked():
    broken = [bar for bar in timeline.rows(RETRIED) if bar.broke_at is not None]
    assert [(bar.title, bar.broke_at) for bar in broken] == [("prefill, then it failed", 11.66)]


def test_what_the_backend_let_wait_is_told_from_its_prefill():
    x = finished("r", total_s=10.0, prefill_s=1.0, path=(
        attempt("a", chosen_s=0.0, sent_s=0.0, first_s=4.0, ended_s=10.0),
    ))  # fmt: skip
    assert told(x)[1:] == [
        ("waiting inside the backend", 3.0, False),
        ("prefill", 1.0, False),
        ("decode", 6.0, False),
    ]


def test_an_answer_that_was_not_streamed_is_split_by_what_the_backend_says():
    whole = attempt("a", chosen_s=0.0, sent_s=0.0, first_s=None, ended_s=3.0)
    x = finished("r", total_s=3.0, stream=False, prefill_s=1.0, path=(whole,))
    assert told(x)[1:] == [("prefill", 1.0, False), ("decode", 2.0, False)]
    assert told(replace(x, prefill_s=None))[1:] == [("in flight", 3.0, False)]


def test_an_attempt_that_never_connected_ends_there():
    lost = attempt("a", chosen_s=0.0, sent_s=None, first_s=None, ended_s=2.0,
                   error="backend_unreachable", was_retried=True)  # fmt: skip
    x = finished("r", total_s=62.0, queue_s=60.0, path=(lost,))
    assert told(x) == [
        ("Attempt 1 · a", 2.0, True),
        ("connecting, then it failed", 2.0, False),
        ("waiting for another backend", 60.0, False),
    ]


def test_attempts_that_were_left_out_show_in_the_number():
    x = replace(RETRIED, attempts=7)
    assert [bar.title for bar in timeline.rows(x) if bar.is_group][1] == "Attempt 7 · gpu-a"


def test_a_part_at_the_very_end_stays_inside():
    x = finished("r", total_s=1000.0, path=(
        attempt("a", chosen_s=0.0, sent_s=0.0, first_s=999.999, ended_s=1000.0),
    ))  # fmt: skip
    assert all(bar.x + bar.width <= 100.001 for bar in timeline.rows(x))


def test_the_time_to_the_first_token_is_told_in_its_parts():
    parts = timeline.until_first_token(replace(RETRIED, ttft_s=4.38, queue_s=1.58))
    assert [(words, round(seconds, 2)) for words, seconds in parts] == [
        ("failed try", 1.81),
        ("queue", 1.58),
        ("prefill", 0.98),
    ]
    quick = finished("r", ttft_s=0.5, path=(attempt("a"),))
    assert timeline.until_first_token(quick) == [("prefill", 0.499)]
    assert timeline.until_first_token(replace(RETRIED, ttft_s=None)) == []


def test_without_attempts_there_is_no_timeline():
    assert timeline.rows(finished("r")) == []
