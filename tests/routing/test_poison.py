"""Two deaths make a poison, and what only looks like a death makes none."""

from multiproxy.routing.poison import Death, Suspicion, confirmed, hash_of, quarantined

S = 10**9


def test_a_body_that_died_with_two_backends_is_quarantined_for_ten_minutes():
    deaths = [Death(7, 0, 1 * S), Death(7, 1, 2 * S), Death(8, 0, 1 * S)]
    assert quarantined(deaths, 3 * S) == {7}
    assert quarantined(deaths, 601 * S) == frozenset()


def test_a_hundred_equal_requests_at_one_dying_backend_are_one_death():
    assert quarantined([Death(7, 0, 1 * S)] * 100, 3 * S) == frozenset()


def test_one_death_that_several_saw_at_about_the_same_time_is_one():
    seen = [Death(7, 0, 10 * S), Death(7, 0, int(11.5 * S)), Death(7, 0, int(12.9 * S))]
    assert quarantined(seen, 14 * S) == frozenset()
    assert quarantined([*seen, Death(7, 0, 13 * S)], 14 * S) == {7}
    assert quarantined([*seen, Death(7, 1, 12 * S)], 14 * S) == {7}


def test_one_backend_that_was_killed_twice_counts_twice():
    assert quarantined([Death(7, 0, 1 * S), Death(7, 0, 30 * S)], 31 * S) == {7}


def test_only_what_the_probes_confirm_is_a_death():
    suspicion = Suspicion(7, 0, 10 * S)
    assert confirmed(suspicion, True, int(10.1 * S), int(10.2 * S)) is True
    assert confirmed(suspicion, True, int(9.5 * S), int(10.2 * S)) is True
    assert confirmed(suspicion, True, 2 * S, int(10.2 * S)) is None, "it was down before"
    assert confirmed(suspicion, False, 0, 12 * S) is None
    assert confirmed(suspicion, False, 0, 13 * S) is False


def test_bodies_are_told_apart():
    assert hash_of(b"a") != hash_of(b"b") and 0 <= hash_of(b"") < 2**64
