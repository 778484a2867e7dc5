"""Nearest rank, done by hand."""

import pytest

from multiproxy.supervisor.rollups.percentiles import TTFT_BOUNDS, percentile, ttft_row


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


def test_rows_are_closed_above_and_the_last_one_is_open():
    assert [ttft_row(bound) for bound in TTFT_BOUNDS] == list(range(12))
    assert ttft_row(0.041) == 1
    assert ttft_row(60) == 11
