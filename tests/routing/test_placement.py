"""Loads, slots and weights -> the backend that is chosen."""

from collections import Counter
from random import Random

import pytest

from multiproxy.routing.placement import Candidate, choose


@pytest.mark.parametrize(
    ("candidates", "chosen"),
    [
        ([], None),
        ([Candidate(0, 0, 1)], 0),
        ([Candidate(0, 1, 4), Candidate(1, 0, 4)], 1),  # fewest in flight
        ([Candidate(0, 2, 8), Candidate(1, 1, 2)], 0),  # per slot: a quarter, not a half
        ([Candidate(0, 2, 4, 4), Candidate(1, 1, 4, 1)], 0),  # per weight: an eighth
        ([Candidate(0, 4, 4), Candidate(1, 5, 6)], 1),  # no slot is free at 0
        ([Candidate(0, 4, 4), Candidate(1, 6, 6)], None),  # everything is taken
        ([Candidate(0, 5, 4), Candidate(1, 9, 6)], None),  # or overbooked
        ([Candidate(0, 1000, 0)], 0),  # no known bound: there is always room
        ([Candidate(0, 3, 0), Candidate(1, 5, 4)], 0),
        ([Candidate(0, 1, 0), Candidate(1, 3, 4)], 1),  # an unknown bound counts as one slot
        ([Candidate(7, 0, 1), Candidate(3, 1, 2)], 7),
    ],
)
def test_the_least_loaded_backend_with_room_is_chosen(candidates, chosen):
    assert choose(candidates, Random(1)) == chosen


def test_candidates_may_come_from_a_generator():
    assert choose((Candidate(index, index, 9) for index in (2, 1, 3)), Random(1)) == 1


def test_ties_are_broken_evenly():
    candidates = [Candidate(index, 1, 4) for index in range(4)] + [Candidate(9, 2, 4)]
    chance = Random(1)
    counts = Counter(choose(candidates, chance) for _ in range(10_000))
    assert counts.keys() == {0, 1, 2, 3}
    assert all(abs(count - 2_500) < 300 for count in counts.values())


def test_backends_fill_in_proportion_to_slots_and_weight():
    slots, weights = [4, 8, 4], [1, 1, 2]
    in_flight = [0, 0, 0]
    for _ in range(8):
        index = choose(
            [Candidate(i, in_flight[i], slots[i], weights[i]) for i in range(3)], Random(1)
        )
        in_flight[index] += 1
    assert in_flight == [2, 4, 2] or in_flight == [2, 3, 3] or in_flight == [1, 4, 3]
    assert sum(in_flight) == 8
