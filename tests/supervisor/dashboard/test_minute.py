"""The last minute, with sums that can be done by hand."""

import pytest
from dashboard_scene import NOW, finished, running

from multiproxy.supervisor.dashboard.minute import (
    TTFT_BOUNDS,
    Bins,
    Minute,
    bucket,
    percentile,
)
from multiproxy.supervisor.dashboard.views import Outcome

LIMIT = 100


def minute(done=(), live=()) -> Minute:
    return Minute(list(live), list(done), NOW, LIMIT)


def test_an_amount_is_spread_evenly_over_its_time():
    bins = Bins(100.0)
    bins.spread(40, 90.0, 94.0)
    assert bins.totals[50:54] == [10, 10, 10, 10]
    assert sum(bins.totals) == 40


def test_part_seconds_get_their_part():
    bins = Bins(100.0)
    bins.spread(10, 90.5, 91.5)
    assert bins.totals[50:52] == [5, 5]


def test_what_lies_before_the_window_or_after_it_is_not_counted():
    bins = Bins(100.0)
    bins.spread(20, 30.0, 50.0)
    bins.spread(10, 99.0, 101.0)
    assert sum(bins.totals) == 10 + 5
    bins.spread(7, 200.0, 200.0)
    assert sum(bins.totals) == 15


def test_a_moment_belongs_to_its_second():
    bins = Bins(100.0)
    bins.spread(1, 99.999, 99.999)
    assert bins.totals[-1] == 1


def test_now_is_the_mean_of_the_last_three_complete_seconds():
    bins = Bins(100.7)  # the window ends at the last full second
    bins.spread(30, 97.0, 100.0)
    bins.spread(1000, 100.0, 100.7)
    assert bins.now == 10


@pytest.mark.parametrize(
    ("count", "p", "expected"),
    [
        (4, 0.5, None),
        (5, 0.5, 3),
        (19, 0.95, None),
        (20, 0.95, 19),
        (99, 0.99, None),
        (100, 0.99, 99),
    ],
)
def test_percentiles_are_nearest_rank_and_silent_with_few_samples(count, p, expected):
    assert percentile(range(1, count + 1), p) == expected


def test_output_flows_between_the_first_token_and_the_end():
    x = finished(ended_at=NOW - 0.5, total_s=6.0, ttft_s=1.0, output_tokens=50)
    bins = minute([x]).output["gpu-a"]
    assert bins.totals[-5:] == [10, 10, 10, 10, 10]
    assert bins.totals[-6] == 0


def test_an_answer_that_was_not_streamed_flows_over_its_decode_time():
    x = finished(ended_at=NOW - 0.5, total_s=6.0, decode_s=2.0, output_tokens=50, stream=False)
    assert minute([x]).output["gpu-a"].totals[-3:] == [0, 25, 25]


def test_a_running_stream_adds_its_rhythm_and_what_came_before_it():
    flow = (2,) * 10  # the last two seconds
    x = running(started_at=NOW - 10, ttft_s=6.0, output_tokens=120, flow=flow)
    result = minute(live=[x])
    # 100 tokens in the two seconds before the rhythm began, 10 per second since
    totals = result.output["gpu-a"].totals
    assert totals[-4:] == pytest.approx([25, 50, 30, 10])
    assert result.output_tokens == 120


def test_only_processed_prompt_tokens_are_throughput():
    x = finished(prompt_tokens=1000, cached_tokens=900, ttft_s=0.5, prefill_s=0.4)
    result = minute([x])
    assert sum(result.prompt.totals) == pytest.approx(100)
    assert (result.cached_tokens, result.processed_tokens) == (900, 100)


def test_leaving_and_rejected_requests_are_not_failures():
    done = [
        finished(outcome=outcome)
        for outcome in (Outcome.OK, Outcome.CLIENT_LEFT, Outcome.REJECTED, Outcome.TIMEOUT)
    ]
    result = minute(done)
    assert result.finished == 4
    assert result.failures == 1
    assert result.ok_share == 0.75
    assert sum(result.failed.totals) == 1


def test_nothing_finished_has_no_share():
    assert minute().ok_share is None
    assert minute().stream_speed is None
    assert minute().output_total().now == 0


def test_the_speed_of_a_stream_is_the_median():
    live = [running(ttft_s=1.0, tokens_per_s=speed) for speed in (20.0, 60.0, 58.0)]
    assert minute(live=live).stream_speed == 58.0


def test_first_tokens_of_running_and_finished_streams_count_in_time_order():
    live = [running(started_at=NOW - 10, ttft_s=4.0)]
    done = [finished(ended_at=NOW - 1, total_s=2.0, ttft_s=0.5), finished(stream=False)]
    result = minute(done, live)
    assert result.first_tokens == [(NOW - 6, 4.0), (NOW - 2.5, 0.5)]
    assert result.ttfts == [0.5, 4.0]
    assert sum(result.ttft_histogram()) == 2


def test_first_tokens_before_the_window_do_not_count():
    assert minute(live=[running(started_at=NOW - 90, ttft_s=4.0)]).ttfts == []


def test_a_cut_list_shortens_the_window():
    done = [finished(ended_at=NOW - i * 0.1) for i in range(LIMIT)]
    assert minute(done).span_s == pytest.approx(9.9)
    assert minute(done[:-1]).span_s == 60


def test_buckets_are_closed_above_and_the_last_one_is_open():
    assert [bucket(bound) for bound in TTFT_BOUNDS] == list(range(12))
    assert bucket(0.041) == 1
    assert bucket(60) == 11
