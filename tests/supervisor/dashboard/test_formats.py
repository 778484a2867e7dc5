"""How numbers are written, at every border between two ways of writing them."""

from zoneinfo import available_timezones

import pytest

from multiproxy.supervisor.dashboard import formats


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "–"), (0, "0"), (904, "904"), (31_870, "31,870"), (999_999, "999,999"),
     (1_000_000, "1.00M"), (3_841_000, "3.84M")],
)  # fmt: skip
def test_tokens(value, text):
    assert "".join(formats.tokens(value)) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "–"), (0, "0 tok"), (9_999, "9,999 tok"), (378_210, "378 thousand"),
     (12_345, "12.3 thousand"), (3_840_000, "3.84 million")],
)  # fmt: skip
def test_tokens_of_a_headline(value, text):
    assert " ".join(filter(None, formats.big_tokens(value))) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "–"), (0, "0"), (0.04, "0.0"), (58.24, "58.2"), (99.94, "99.9"), (99.96, "100"),
     (2810, "2,810")],
)  # fmt: skip
def test_rates(value, text):
    assert formats.rate(value)[0] == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "–"), (0, "0.00 s"), (0.0004, "<1 ms"), (0.0034, "3 ms"),
     (0.051, "0.05 s"), (9.99, "9.99 s"), (9.996, "10.0 s"), (99.9, "99.9 s"),
     (100, "1 m 40 s"), (125, "2 m 05 s")],
)  # fmt: skip
def test_seconds(value, text):
    assert " ".join(filter(None, formats.seconds(value))) == text


def test_seconds_that_still_count_have_one_decimal():
    assert formats.elapsed(1.234) == ("1.2", "s")
    assert formats.elapsed(125) == ("2 m 05 s", "")


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "–"), (0.0003, "<1 ms"), (0.0031, "3 ms"), (0.9994, "999 ms"), (1.5, "1.50 s")],
)
def test_milliseconds(value, text):
    assert " ".join(filter(None, formats.milliseconds(value))) == text


@pytest.mark.parametrize(
    ("part", "whole", "text"),
    [(None, 1, "–"), (1, 0, "–"), (1, None, "–"), (0, 1, "0%"), (0.003, 1, "0.3%"),
     (0.71, 1, "71%"), (1, 1, "100%"), (0.992, 1, "99.2%"), (28_120, 31_870, "88%")],
)  # fmt: skip
def test_percent(part, whole, text):
    assert "".join(formats.percent(part, whole)) == text


def test_context_sizes_are_in_binary_thousands():
    assert formats.context(32_768) == ("32k", "ctx")
    assert formats.context(1000) == ("1,000", "ctx")
    assert formats.context(None)[0] == "–"


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0 s"), (59.9, "59 s"), (61, "1 m 01 s"), (7260, "2 h 1 m"), (532_800, "6 d 4 h")],
)
def test_spans_have_their_two_largest_units(value, text):
    assert formats.span(value) == text


@pytest.mark.parametrize(
    ("number", "text"),
    [(1, "1st"), (2, "2nd"), (3, "3rd"), (4, "4th"), (11, "11th"), (12, "12th"), (21, "21st"),
     (113, "113th")],
)  # fmt: skip
def test_ordinals(number, text):
    assert formats.ordinal(number) == text


needs_zones = pytest.mark.skipif(
    not available_timezones(), reason="this system has no time zone database"
)


@needs_zones
def test_the_clock_is_the_readers():
    assert formats.clock(1_790_000_000, "UTC") == "14:13:20"
    assert formats.clock(1_790_000_000, "Asia/Kolkata") == "19:43:20"
    assert formats.clock(None, "UTC") == "–"
    assert formats.iso(1_790_000_000.5) == "2026-09-21T14:13:20.500+00:00"


@pytest.mark.parametrize("name", ["../../etc/passwd", "", "Mars/Olympus", "a" * 99, "<script>"])
def test_a_zone_nobody_knows_is_the_servers(name):
    assert formats.known_zone(name) == ""


@needs_zones
def test_a_known_zone_keeps_its_name():
    assert formats.known_zone("Europe/Berlin") == "Europe/Berlin"


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (750, "750"), (1500, "1.5k"), (2e7, "20M"), (3e9, "3G"), (0.5, "0.5")],
)
def test_axis_marks_are_short(value, text):
    assert formats.compact(value) == text


def test_a_day_is_the_readers():
    assert formats.day(1_790_000_000, "UTC") == "21 Sep"
    assert formats.day(1_790_000_000, "Pacific/Auckland") == "22 Sep"
