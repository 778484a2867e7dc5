"""Sums that can be done by hand."""

from dashboard_scene import finished

from multiproxy.supervisor.dashboard.views import Outcome
from multiproxy.supervisor.rollups.totals import Counters, Totals


def test_every_outcome_has_its_counter_and_four_of_them_are_failures():
    counters = Counters()
    for number, outcome in enumerate(Outcome, start=1):
        for _ in range(number):
            counters.add(finished(outcome=outcome))
    assert [getattr(counters, outcome.value) for outcome in Outcome] == [1, 2, 3, 4, 5, 6, 7]
    assert (counters.requests, counters.failures) == (28, 4 + 5 + 6 + 7)


def test_tokens_are_added_up_and_the_cached_part_is_no_work():
    counters = Counters()
    counters.add(finished(prompt_tokens=1000, cached_tokens=900, output_tokens=50))
    counters.add(finished(prompt_tokens=100, cached_tokens=None, output_tokens=None))
    assert (counters.prompt_tokens, counters.cached_tokens) == (1100, 900)
    assert (counters.processed_tokens, counters.output_tokens) == (200, 50)


def test_a_backend_that_claims_more_cached_than_there_was_saves_all_of_it():
    counters = Counters()
    counters.add(finished(prompt_tokens=10, cached_tokens=99))
    assert counters.processed_tokens == 0


def test_compute_is_prefill_and_decode():
    counters = Counters()
    counters.add(finished(prefill_s=0.5, decode_s=2.0, queue_s=60.0, attempts=2))
    counters.add(finished(prefill_s=None, decode_s=None))
    assert (counters.compute_s, counters.retried) == (2.5, 1)


def test_merging_adds_every_counter_and_both_histograms():
    one, other = Totals(), Totals()
    for _ in range(3):
        one.add(finished(output_tokens=5, ttft_s=1.0, tokens_per_s=10.0))
    for _ in range(4):
        other.add(finished(outcome=Outcome.TIMEOUT, ttft_s=None, tokens_per_s=None))
    one.merge(other)
    assert (one.counters.requests, one.counters.failures, one.counters.output_tokens) == (7, 4, 15)
    assert (one.ttft.count, one.speed.count) == (3, 3)
