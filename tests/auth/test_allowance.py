"""Limits, as sliding minutes, and the moment at which it makes sense to come again."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from multiproxy.auth import Principal, Spent, refuse_excess
from multiproxy.auth.allowance import seconds_until_room
from multiproxy.errors import RateLimited


def refusal(principal, into_minute_s=0.0, **spent):
    try:
        chance = random.Random(1)
        refuse_excess(principal, Spent(**spent), into_minute_s, day_left_s=3600.5, chance=chance)
    except RateLimited as refused:
        assert refused.status == 429
        return refused
    return None


def test_who_has_no_limits_is_never_refused():
    assert refusal(Principal("x"), running=9**9, requests=9**9, tokens_today=9**9) is None


def test_as_many_as_allowed_may_run_and_not_one_more():
    two = Principal("x", max_concurrent=2)
    assert refusal(two, running=1) is None
    assert 1 <= refusal(two, running=2).retry_after_s <= 5


def test_a_day_that_is_used_up_says_how_long_it_lasts_and_that_retrying_is_of_no_use():
    thousand = Principal("x", tokens_per_day=1000)
    assert refusal(thousand, tokens_today=999) is None
    refused = refusal(thousand, tokens_today=1000)
    assert (refused.code, refused.retry_after_s) == ("insufficient_quota", 3601)
    assert refused.headers == ((b"x-should-retry", b"false"),)


@pytest.mark.parametrize(
    ("now", "before", "into_minute_s", "wait_s"),
    [
        (0, 0, 0, None),
        (9, 0, 30, None),
        (10, 0, 30, 36),  # 30 s to the next minute, then 10 % of it
        (10, 0, 60 - 1e-9, 7),
        (0, 10, 0, 6),  # a tenth of the minute before must pass
        (0, 10, 5, 1),
        (0, 10, 6.1, None),
        (5, 10, 30, 6),  # room for 4 of the 10: 60 % must have passed
        (5, 10, 36.1, None),
        (0, 1_000_000, 0, 60),
    ],
)
@pytest.mark.parametrize("unit", ["requests", "tokens"])
def test_the_last_60_seconds_hold_at_most_the_limit(now, before, into_minute_s, wait_s, unit):
    ten = Principal("x", **{f"{unit}_per_minute": 10})
    refused = refusal(ten, into_minute_s, **{unit: now, f"{unit}_before": before})
    assert (refused and refused.retry_after_s) == wait_s
    assert refused is None or f"10 {unit} per minute" in refused.message


@given(st.integers(1, 1000), st.integers(0, 5000), st.integers(0, 5000), st.floats(0, 59.999))
def test_who_waits_as_told_is_let_in(limit, now, before, into_minute_s):
    wait_s = seconds_until_room(limit, now, before, into_minute_s)
    assert 0 <= wait_s <= 120
    then = into_minute_s + wait_s + 1e-6
    if then >= 60:
        now, before, then = 0, now, then - 60
        if then >= 60:
            now, before, then = 0, 0, then - 60
    assert seconds_until_room(limit, now, before, then) == pytest.approx(0, abs=1e-3)
