"""Words and drawings of the Activity rows."""

import pytest
from dashboard_scene import NOW, finished, running

from multiproxy.supervisor.dashboard import activity
from multiproxy.supervisor.dashboard.views import Outcome, Phase


@pytest.mark.parametrize(
    ("changes", "tone", "words"),
    [
        ({"phase": Phase.RECEIVING}, "rec", "Receiving"),
        ({"phase": Phase.QUEUED, "queue_position": 2}, "que", "Queued, 2nd"),
        ({"phase": Phase.QUEUED}, "que", "Queued"),
        ({"phase": Phase.CONNECTING}, "rec", "Connecting"),
        ({"phase": Phase.PREFILL}, "pre", "Prefill"),
        ({"phase": Phase.PREFILL, "prefill_progress": 0.625}, "pre", "Prefill 62 %"),
        ({"phase": Phase.DECODING}, "dec", "Decoding"),
    ],
)
def test_each_phase_has_its_words(changes, tone, words):
    [row] = activity.running_rows([running(**changes)])
    assert (row.tone, row.status) == (tone, words)


def test_prefill_shows_the_cached_part_apart():
    x = running(phase=Phase.PREFILL, prompt_tokens=1000, cached_tokens=250, prefill_progress=0.5)
    [row] = activity.running_rows([x])
    assert [(part.kind, part.x) for part in row.rects] == [("cache", 0.0), ("prefill", 60.0)]


def test_the_flow_of_all_streams_has_one_scale():
    fast, slow = activity.running_rows([running(flow=(20,)), running(flow=(10,))])
    assert fast.path == "M236 3.5h3V20h-3z"
    assert slow.path == "M236 11.7h3V20h-3z"


def test_a_slow_stream_looks_slow_even_alone():
    [row] = activity.running_rows([running(flow=(1,))])
    assert row.path == "M236 15.2h3V20h-3z"


@pytest.mark.parametrize(
    ("changes", "tone", "words"),
    [
        ({}, "ok", "200"),
        ({"attempts": 2}, "retried", "200, retried"),
        ({"outcome": Outcome.CLIENT_LEFT}, "gone", "Client left"),
        ({"outcome": Outcome.CLIENT_LEFT, "error": "mirror_made_way"}, "gone", "Made way"),
        ({"outcome": Outcome.REJECTED, "status": 400}, "gone", "400"),
        ({"outcome": Outcome.UPSTREAM_ERROR, "status": 502}, "failed", "502"),
        ({"outcome": Outcome.TIMEOUT, "status": 504}, "failed", "Timeout"),
        ({"outcome": Outcome.NO_BACKEND, "status": 503}, "failed", "No backend"),
        ({"outcome": Outcome.BROKEN_STREAM}, "failed", "Broken"),
    ],
)
def test_each_outcome_has_its_words(changes, tone, words):
    assert activity.outcome_words(finished(**changes)) == (tone, words)


def test_a_waterfall_accounts_for_the_whole_time():
    x = finished(total_s=5.0, queue_s=1.0, prefill_s=0.5, decode_s=2.5)
    assert activity.waterfall(x) == [
        ("rest", pytest.approx(1.0)),
        ("wait", 1.0),
        ("prefill", 0.5),
        ("decode", 2.5),
    ]


def test_a_waterfall_without_phases_is_one_bar():
    assert activity.waterfall(finished(total_s=2.0, queue_s=0.5)) == [("wait", 0.5), ("rest", 1.5)]


def test_the_untimed_decoding_of_an_answer_that_was_not_streamed_comes_last():
    x = finished(total_s=3.0, queue_s=0.5, prefill_s=0.5, output_tokens=40, stream=False)
    assert activity.waterfall(x) == [("wait", 0.5), ("prefill", 0.5), ("decode", 2.0)]


def test_the_longest_visible_request_sets_the_scale():
    long, short = activity.finished_rows(
        [finished(total_s=20.0, decode_s=20.0), finished(total_s=10.0, decode_s=10.0)], NOW
    )
    assert long.rects[-1].width == pytest.approx(237 - 0.8)
    assert short.rects[-1].width == pytest.approx(237 / 2 - 0.8, abs=0.1)


def test_a_failure_is_marked_where_it_broke():
    fine, broken = activity.finished_rows(
        [
            finished(total_s=4.0, decode_s=4.0),
            finished(total_s=2.0, outcome=Outcome.UPSTREAM_ERROR, status=502),
        ],
        NOW,
    )
    assert fine.broke_at is None
    assert broken.broke_at == 120.0


def test_a_row_is_new_for_a_moment():
    rows = activity.finished_rows([finished(ended_at=NOW - 1), finished(ended_at=NOW - 2)], NOW)
    assert [row.is_new for row in rows] == [True, False]


def test_the_speed_of_a_stream_without_one_is_read_from_its_flow():
    assert activity.live_speed(running(tokens_per_s=58.0, flow=(1, 1))) == 58.0
    assert activity.live_speed(running(flow=(0,) * 5 + (10,) * 10)) == 50.0
    assert activity.live_speed(running()) is None
