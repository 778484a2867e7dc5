"""Amounts over time, with bins that can be filled by hand."""

import pytest

from multiproxy.supervisor.rollups.track import Track, spread


@pytest.mark.parametrize(
    ("amount", "begin", "end", "step", "parts"),
    [
        (40, 90.0, 94.0, 1, [(90, 10), (91, 10), (92, 10), (93, 10)]),
        (10, 90.5, 91.5, 1, [(90, 5), (91, 5)]),
        (30, 95.0, 110.0, 10, [(9, 10), (10, 20)]),
        (1, 99.999, 99.999, 1, [(99, 1)]),  # a moment belongs to its second
    ],
)
def test_an_amount_is_spread_evenly_over_its_time(amount, begin, end, step, parts):
    assert dict(spread(amount, begin, end, step)) == pytest.approx(dict(parts))


def test_only_complete_bins_are_shown():
    track = Track(1, 5)
    track.add(30, 97.0, 100.0)
    track.add(1000, 100.0, 100.7)
    assert track.until(100.7).amounts == [0, 0, 10, 10, 10]
    assert track.until(101.2).amounts == pytest.approx([0, 10, 10, 10, 1000])


def test_rates_are_per_second_whatever_the_length_of_a_bin():
    track = Track(10, 2)
    track.add(50, 90.0, 100.0)
    assert track.until(100.0).rates == [0, 5]


def test_a_long_answer_keeps_only_the_part_that_can_be_seen():
    track = Track(1, 10)
    track.add(1_000_000, 0.0, 1_000_000.0)
    assert track.until(1_000_000.0).amounts == pytest.approx([1] * 10)


def test_old_bins_are_forgotten():
    track = Track(1, 10)
    for second in range(1000):
        track.add(1, second, second)
    assert len(track._bins) <= 21
    assert track.until(1000.0).amounts == [1] * 10


def test_running_answers_are_added_to_a_copy():
    track = Track(1, 4)
    track.add(8, 96.0, 100.0)
    bins = track.until(100.0)
    bins.add(30, 90.0, 99.0)  # six of nine seconds lie before the first bin
    assert bins.amounts == pytest.approx([2 + 10 / 3] * 3 + [2])
    bins.add(99, 10.0, 20.0)
    bins.add(99, 100.0, 101.0)
    assert track.until(100.0).amounts == [2, 2, 2, 2]
    assert sum(bins.amounts) == pytest.approx(18)
