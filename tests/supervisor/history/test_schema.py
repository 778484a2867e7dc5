"""Rows and values become each other without loss."""

import pytest
from dashboard_scene import attempt, finished

from multiproxy.supervisor.dashboard.views import Outcome
from multiproxy.supervisor.history import schema
from multiproxy.supervisor.rollups.totals import COUNTERS, Counters, Totals

FULL = finished(
    outcome=Outcome.BROKEN_STREAM, prompt_tokens=9, cached_tokens=3, output_tokens=5, ttft_s=0.1,
    tokens_per_s=44.4, queue_s=0.2, prefill_s=0.3, decode_s=0.4, attempts=2, termination="BD",
    finish_reason="stop", error="backend_failed", client="10.0.0.1", user_agent="curl/8",
    split="assistant", copy_of="r_first",
    path=(
        attempt("a", error="backend_failed", was_retried=True),
        attempt("b", broke_at="tools", reread_tokens=9),
    ),
)  # fmt: skip


@pytest.mark.parametrize("x", [finished(), finished(stream=False, key=""), FULL])
def test_an_exchange_survives_its_row(x):
    row = schema.row_of(x)
    assert len(row) == len(schema.COLUMNS)
    assert schema.view_of(row) == x


def test_a_row_knows_its_end_and_whether_it_failed():
    row = dict(zip(schema.COLUMNS, schema.row_of(FULL), strict=True))
    assert (row["ended"], row["failed"]) == (FULL.ended_at, True)


def test_totals_survive_their_row():
    totals = Totals()
    totals.add(FULL)
    row = schema.sums_row(300, 600, ("m", "b", "s"), totals)
    assert row[:5] == (300, 600, "m", "b", "s")
    copy = schema.totals_of(row[5:])
    assert copy.counters == totals.counters
    assert list(copy.ttft.values()) == list(totals.ttft.values())
    assert (copy.ttft.count, copy.speed.count) == (1, 1)


def test_a_damaged_histogram_is_told():
    row = schema.sums_row(300, 600, ("m", "b", ""), Totals())
    with pytest.raises(ValueError, match="damaged histogram"):
        schema.totals_of((*row[5:-1], b"odd"))


def test_counters_are_whole_numbers_but_for_the_time():
    counters = schema.counters_of([1.0] * len(COUNTERS))
    assert counters == Counters(*[1] * len(COUNTERS))
    assert isinstance(counters.ok, int) and isinstance(counters.compute_s, float)
