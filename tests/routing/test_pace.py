"""Speeds learned from answers: recent ones count, odd ones do not break anything."""

import pytest

from multiproxy.routing.pace import Pace


def test_the_prefill_rate_is_tokens_over_time():
    pace = Pace()
    pace.prefilled(500, 1.0)
    assert pace.prefill_rate == 500
    pace.prefilled(1500, 1.0)
    assert pace.prefill_rate == pytest.approx((500 * 0.95 + 1500) / 1.95)
    for _ in range(200):
        pace.prefilled(4000, 1.0)
    assert pace.prefill_rate == pytest.approx(4000, rel=0.01)


def test_short_prompts_hardly_count_beside_long_ones():
    pace = Pace()
    pace.prefilled(10_000, 10.0)
    pace.prefilled(1, 0.1)
    assert 950 < pace.prefill_rate < 1000


@pytest.mark.parametrize(("tokens", "seconds"), [(0, 1.0), (10, 0.0), (-5, 1.0), (5, -1.0)])
def test_impossible_numbers_are_ignored(tokens, seconds):
    pace = Pace()
    pace.prefilled(tokens, seconds)
    pace.decoded(tokens, seconds)
    assert (pace.prefill_rate, pace.decode_rate) == (1000.0, 0.0)


def test_the_decode_rate_is_learned():
    pace = Pace()
    pace.decoded(100, 2.0)
    assert pace.decode_rate == 50


def test_a_request_delays_the_next_by_what_is_left_of_its_prompt():
    pace = Pace()
    pace.held(10.0, 4.0)
    assert pace.hold_s == 10
    assert pace.crowding_s == pytest.approx(0.4 * 4 / 2)
    pace = Pace()
    pace.held(2.0, 9.0)  # a prefill longer than the whole is not believed
    assert pace.crowding_s == pytest.approx(1.0)


def test_a_cache_that_loses_prompts_is_trusted_for_a_shorter_time():
    pace = Pace()
    assert pace.keeps(60) > 0.99
    for _ in range(40):
        pace.missed(60)
    assert 59 < pace.reach_s < 65
    assert pace.keeps(600) < 0.01 < 0.99 < pace.keeps(10)
    for _ in range(40):
        pace.found(600)
    assert pace.keeps(300) > 0.9


def test_a_cache_that_never_helps_is_not_trusted_at_all():
    pace = Pace()
    for _ in range(200):
        pace.missed(0.5)
    assert pace.reach_s == 1.0
    assert pace.keeps(5) < 0.01


def test_a_backend_without_answers_is_thought_to_be_like_its_peers():
    typical = Pace()
    known, unknown = Pace(typical), Pace(typical)
    known.prefilled(4000, 1.0)
    known.held(3.0, 1.0)
    assert (unknown.prefill_rate, unknown.hold_s) == (4000, 3.0)
    unknown.prefilled(500, 1.0)
    assert unknown.prefill_rate == 500
    assert known.prefill_rate == 4000
