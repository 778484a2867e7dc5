"""Coordinates of the drawings, checked against sums done by hand."""

import pytest

from multiproxy.supervisor.dashboard import figures
from multiproxy.supervisor.dashboard.figures import Rect


def test_a_line_goes_from_edge_to_edge_and_upwards():
    assert figures.line([0, 5, 10], 100, 20, 10) == "M0 20L50 10L100 0"


def test_an_area_is_closed_along_its_lower_line():
    path = figures.area([10, 10], [5, 0], 100, 20, 10)
    assert path == "M0 0L100 0L100 20L0 10Z"


def test_a_series_at_zero_draws_no_edge():
    assert figures.edge([5, 5, 5], [0, 0, 0], 100, 20, 10) == ""


def test_an_edge_reaches_its_neighbours_and_breaks_where_the_band_is_empty():
    own = [0, 0, 4, 0, 0, 0]
    assert figures.edge(own, own, 100, 20, 10) == "M20 20L40 12L60 20"
    assert figures.edge([5] * 7, [1, 0, 0, 0, 0, 0, 1], 60, 20, 10) == "M0 10L10 10M50 10L60 10"


@pytest.mark.parametrize(
    ("peak", "top"),
    [(0, 4), (0.3, 0.3), (3.9, 4), (4.1, 6), (573, 600), (601, 800), (9_000, 10_000)],
)
def test_a_scale_is_round_in_all_its_parts(peak, top):
    assert figures.nice_top(peak) == pytest.approx(top)


@pytest.mark.parametrize("peak", [0.001, 0.7, 1.01, 99.9, 12_345.6, 7e8])
def test_a_scale_holds_its_peak_and_wastes_less_than_two_thirds(peak):
    assert peak <= figures.nice_top(peak) < 3 * peak


def test_one_heat_cell():
    assert figures.heat([[1, 0], [0, 0]], 20, 10) == [(2, "M0 5h8.6v3.6h-8.6z")]


def test_heat_levels_follow_the_root_of_the_count():
    columns = [[1], [5], [17], [37], [65], [100]]
    cells = figures.heat(columns, 60, 10)
    assert [(level, path.count("M")) for level, path in cells] == [
        (1, 1), (2, 1), (3, 1), (4, 1), (5, 2)
    ]  # fmt: skip


def test_the_newest_bar_of_a_flow_is_at_the_right_edge():
    assert figures.flow([4], 4, 240, 20) == "M236 1h3V20h-3z"
    assert figures.flow([4, 4], 4, 240, 20).startswith("M232 1h3V20h-3z")


def test_a_stall_is_a_thin_line_and_a_single_token_is_seen():
    assert figures.flow([0], 4, 240, 20) == "M236 19h3V20h-3z"
    assert figures.flow([1], 100, 240, 20) == "M236 17.1h3V20h-3z"


def test_a_flow_shows_its_newest_sixty_steps():
    assert figures.flow([9] * 40 + [0] * 60, 9, 240, 20).count("M") == 60
    assert "M0 19h3" in figures.flow([9] * 40 + [0] * 60, 9, 240, 20)


def test_segments_lie_side_by_side_and_small_ones_stay_visible():
    parts = [("wait", 1.0), ("prefill", 0.0), ("decode", 3.0), ("rest", 0.001)]
    assert figures.segments(parts, 4, 240) == [
        Rect("wait", 0.0, 59.2),
        Rect("decode", 60.0, 179.2),
        Rect("rest", 240.0, 1.2),
    ]
