"""What is told to the Redis of all replicas, and what its answer means."""

from multiproxy.auth import Principal, Spent
from multiproxy.auth.shared import Moment, command, is_shared, understand

AT = Moment(minute=29_000_000, into_minute_s=15.0, day=20_138, day_left_s=100.0)


def test_a_key_tells_its_own_counts_and_its_limits():
    who = Principal("ann", 3, requests_per_minute=60, tokens_per_day=10_000)
    told = command(who, "ab12.1", Spent(5, 7, 8, 0, 0, 900), AT, counts=True)
    assert (told[0], told[2]) == ("EVALSHA", 5)
    assert told[3:8] == (
        "multiproxy:{ann}:requests:29000000",
        "multiproxy:{ann}:requests:28999999",
        "multiproxy:{ann}:tokens:29000000",
        "multiproxy:{ann}:tokens:28999999",
        "multiproxy:{ann}:day:20138",
    )
    # replica, counts, share of the minute before, three limits (-1: none), five counts
    assert told[8:] == ("ab12.1", 1, "0.75", 60, -1, 10_000, 7, 8, 0, 0, 900)


def test_only_limits_of_minutes_and_days_are_shared():
    assert not is_shared(Principal("ann", 0, max_concurrent=2))
    assert is_shared(Principal("ann", 0, requests_per_minute=1))
    assert is_shared(Principal("ann", 0, tokens_per_minute=1))
    assert is_shared(Principal("ann", 0, tokens_per_day=1))


def test_the_answer_is_a_verdict_and_what_all_replicas_used():
    assert understand([1, 5, 4, 3, 2, 1]) == (True, Spent(0, 5, 4, 3, 2, 1))
    assert understand([0, 0, 0, 0, 0, 9]) == (False, Spent(0, 0, 0, 0, 0, 9))
