"""Loads, slots, weights and what is cached where -> the backend that is chosen, or the wait."""

from collections import Counter
from random import Random

import pytest

from multiproxy.routing.affinity import Homes, Mark, marks_of
from multiproxy.routing.pace import Pace
from multiproxy.routing.placement import (
    FEW,
    SAMPLE,
    WIDE_SAMPLE,
    Candidate,
    Decision,
    Reason,
    Shares,
    choose,
    shortlists,
)
from multiproxy.routing.recall import WORTH, Known, Wish


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
        ([Candidate(0, 1, 4, share=0.2), Candidate(1, 2, 4)], 1),  # it recovers: less for it
    ],
)
def test_the_least_loaded_backend_with_room_is_chosen(candidates, chosen):
    assert choose(candidates, Random(1)).backend == chosen


def test_ties_are_broken_evenly():
    candidates = [Candidate(index, 1, 4) for index in range(4)] + [Candidate(9, 2, 4)]
    chance = Random(1)
    counts = Counter(choose(candidates, chance).backend for _ in range(10_000))
    assert counts.keys() == {0, 1, 2, 3}
    assert all(abs(count - 2_500) < 300 for count in counts.values())


def test_backends_fill_in_proportion_to_slots_and_weight():
    slots, weights = [4, 8, 4], [1, 1, 2]
    in_flight = [0, 0, 0]
    for _ in range(8):
        index = choose(
            [Candidate(i, in_flight[i], slots[i], weights[i]) for i in range(3)], Random(1)
        ).backend
        in_flight[index] += 1
    assert in_flight == [2, 4, 2] or in_flight == [2, 3, 3] or in_flight == [1, 4, 3]
    assert sum(in_flight) == 8


# -- conversations ------------------------------------------------------------------------------

RATE = 1000.0  # tokens per second of every pace here
HOLD_S = 8.0


def pace(rate: float = RATE, hold_s: float = HOLD_S) -> Pace:
    made = Pace()
    made.prefilled(int(rate), 1.0)
    made.held(hold_s, 0.0)
    return made


def wish(tokens: int = 4000, mark: int = 1, **cached: int) -> Wish:
    """A prompt of which backend ``b0`` has so many tokens, and so on."""
    by_index = {int(name[1:]): float(count) for name, count in cached.items()}
    known = {index: Known(int(count), 1.0, mark) for index, count in by_index.items()}
    return Wish([Mark(1, 10), Mark(2, tokens * 4)], tokens, known, by_index, 3)


def fleet(*in_flight: int, slots: int = 4, **more) -> list[Candidate]:
    return [
        Candidate(index, count, slots, pace=pace(), **more) for index, count in enumerate(in_flight)
    ]


def test_a_conversation_goes_where_it_was():
    assert choose(fleet(2, 0), Random(1), wish(b0=3500)) == Decision(0, Reason.CACHED)
    assert choose(fleet(3, 0), Random(1), wish(b0=3500)) == Decision(0, Reason.CACHED)


def test_of_two_that_know_it_the_one_that_knows_more_is_chosen():
    assert choose(fleet(0, 0, 0), Random(1), wish(b1=1000, b2=2000)).backend == 2


def test_a_small_saving_does_not_bind_to_a_busy_backend():
    # To read 300 tokens again takes 0.3 s; beside three others a second of reading counts more.
    assert choose(fleet(3, 0), Random(1), wish(b0=300)).backend == 1


@pytest.mark.parametrize(
    ("cached", "hold_s", "chosen"),
    [
        (1000, 8.0, 1),  # a slot is free in 8 s / 4 = 2 s; what it saves is 1 s
        (3500, 8.0, None),  # 3.5 s saved: worth the wait
        (3500, 80.0, 1),
    ],
)
def test_it_waits_for_its_backend_only_if_that_is_sooner(cached, hold_s, chosen):
    candidates = [
        Candidate(0, 4, 4, pace=pace(hold_s=hold_s)),
        Candidate(1, 0, 4, pace=pace(hold_s=hold_s)),
    ]
    choice = choose(candidates, Random(1), wish(b0=cached))
    assert choice.backend == chosen
    if chosen is None:
        assert choice.wanted == 0
    else:
        assert choice.reason is Reason.SPILLED


def test_those_who_wait_for_it_already_count():
    def candidates(waiting):
        return [
            Candidate(0, 4, 4, pace=pace(), waiting=waiting),
            Candidate(1, 0, 4, pace=pace()),
        ]

    assert choose(candidates(0), Random(1), wish(b0=3500)).backend is None
    assert choose(candidates(2), Random(1), wish(b0=3500)).backend == 1


def test_who_waited_long_enough_takes_what_is_free():
    assert choose(fleet(4, 0), Random(1), wish(b0=3500), may_wait=False).backend == 1


def test_nobody_waits_for_a_favourite_without_a_guess_of_how_long():
    candidates = [Candidate(0, 4, 4), Candidate(1, 0, 4)]
    assert choose(candidates, Random(1), wish(b0=3500)).backend == 1


def test_when_all_are_full_the_favourite_is_named():
    assert choose(fleet(4, 4), Random(1), wish(b1=3500)) == Decision(None, wanted=1, is_full=True)
    assert choose(fleet(4, 4), Random(1), wish()) == Decision(None, is_full=True)


def test_a_new_conversation_goes_home_unless_home_is_busier():
    for in_flight, chosen, reason in [
        ((0, 0, 0), 2, Reason.HOME),
        ((1, 1, 2), 1, Reason.HOME),
        ((0, 1, 2), 0, Reason.LEAST_BUSY),
        ((0, 0, 4), 1, Reason.HOME),  # full: the next in its order
    ]:
        choice = choose(fleet(*in_flight), Random(1), wish(), [2, 1])
        assert choice == Decision(chosen, reason), in_flight


def test_a_head_that_few_have_read_is_not_waited_for():
    assert choose(fleet(4, 0, 0), Random(1), wish(mark=0, b0=3500)).backend in (1, 2)
    assert choose(fleet(4, 4, 0), Random(1), wish(mark=0, b0=3500, b1=3500)).backend is None


def test_short_prompts_have_no_home_and_no_favourite():
    short = wish(tokens=WORTH - 1, b0=200)
    counts = Counter(
        choose(fleet(1, 1), Random(seed), short, [0, 1]).backend for seed in range(200)
    )
    assert min(counts.values()) > 50


def test_a_slow_backend_gets_less():
    candidates = [
        Candidate(0, 0, 4, pace=pace(), share=0.25),
        Candidate(1, 0, 4, pace=pace()),
    ]
    assert {choose(candidates, Random(seed), wish(), [0]).backend for seed in range(20)} == {1}


def test_a_straggler_gets_less_and_those_a_little_slower_do_not():
    def candidates(rate: float, in_flight: int) -> list[Candidate]:
        made = [Candidate(index, in_flight, 8, pace=pace()) for index in range(3)]
        for each in made:
            each.pace.decoded(100, 100 / (rate if each.backend == 0 else 50.0))
        made[0] = made[0]._replace(in_flight=1)
        return made

    # One request at a fifth of the speed is as much as five elsewhere.
    assert choose(candidates(10.0, 4), Random(1)).backend in (1, 2)
    assert choose(candidates(10.0, 6), Random(1)).backend == 0
    assert choose(candidates(30.0, 2), Random(1)).backend == 0


@pytest.mark.parametrize("tokens", [WORTH // 2, 4000])
def test_ten_thousand_placements_are_within_three_percent_of_their_shares(tokens):
    """Sequential ones, the hardest case: no load ever tells the backends apart."""
    backends, weights = 4, [1, 1, 2, 1]
    homes = Homes({index: f"gpu-{index}" for index in range(backends)}, dict(enumerate(weights)))
    shares, chance, counts = Shares(), Random(1), Counter()
    candidates = [Candidate(i, 0, 4, weights[i], pace()) for i in range(backends)]
    for number in range(10_000):
        marks = marks_of(b"", b"head", [number], [9], tokens * 4)
        asked = Wish(marks, tokens)
        order = homes.order(asked.key, 3)
        backend = choose(candidates, chance, asked, order, shares).backend
        shares.count(backend)
        counts[backend] += 1
    for index, weight in enumerate(weights):
        assert abs(counts[index] / (10_000 * weight / 5) - 1) < 0.03, counts


def test_of_many_candidates_some_are_looked_at_and_those_that_matter_always():
    many = range(1000)
    asked = wish(b5=3000, b900=100)
    listed, wide, all_ = shortlists(many, asked, [17, 18, 19], Random(1))
    assert {5, 900, 17, 18, 19} <= set(listed) <= set(wide)
    assert len(set(listed)) == len(listed) == 3 + SAMPLE
    assert len(set(wide)) == len(wide) == 3 + WIDE_SAMPLE
    assert all_ == many
    assert [*shortlists(range(FEW), asked, [3], Random(1))] == [range(FEW)]
    few, _ = shortlists(range(FEW + 1), asked, [3], Random(1))
    assert len(few) == 1 + SAMPLE


def test_a_home_that_is_down_and_a_cache_that_failed_are_not_on_the_list():
    ready = [index for index in range(1000) if index not in (5, 17)]
    for listed in shortlists(ready, wish(b5=3000), [17, 18], Random(1)):
        assert not {5, 17} & set(listed)
        assert 18 in listed


def test_counts_are_halved_so_that_they_do_not_remember_for_ever():
    shares = Shares()
    candidate = Candidate(0, 0, 1)
    for _ in range(Shares._REMEMBERED + 1):
        shares.count(0)
    assert shares.of(candidate) == (Shares._REMEMBERED + 1) / 2
