"""The exposition, byte by byte, and read by Prometheus's own parsers."""

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as read_openmetrics
from prometheus_client.parser import text_string_to_metric_families as read_text

from multiproxy.supervisor.prometheus import MOST_SERIES, Counter, Gauge, Histogram, render


def families():
    counter = Counter("tokens_total", "Tokens.", ("kind", "backend"))
    counter.add(3, "output", "gpu-a")
    counter.add(2, "output", "gpu-a")
    gauge = Gauge("slots", "Slots.", ("backend",))
    gauge.set(4, "gpu-a")
    gauge.set(None, "gpu-b")
    histogram = Histogram("wait_seconds", "Wait.", (0.5, 1, 2.5), ("error",))
    for value in (0.5, 0.6, 9.0):
        histogram.observe(value, "")
    return [counter, gauge, histogram, Gauge("empty", "Nothing.")]


TEXT = """\
# HELP tokens_total Tokens.
# TYPE tokens_total counter
tokens_total{kind="output",backend="gpu-a"} 5
# HELP slots Slots.
# TYPE slots gauge
slots{backend="gpu-a"} 4
# HELP wait_seconds Wait.
# TYPE wait_seconds histogram
wait_seconds_bucket{le="0.5"} 1
wait_seconds_bucket{le="1"} 2
wait_seconds_bucket{le="2.5"} 2
wait_seconds_bucket{le="+Inf"} 3
wait_seconds_sum 10.1
wait_seconds_count 3
"""


def test_the_text_format():
    assert render(families(), openmetrics=False) == TEXT


def test_openmetrics_names_counter_families_without_total_and_has_an_end():
    text = render(families(), openmetrics=True)
    expected = TEXT.replace("# HELP tokens_total", "# HELP tokens")
    expected = expected.replace("# TYPE tokens_total", "# TYPE tokens")
    assert text == expected + "# EOF\n"


@pytest.mark.parametrize(("read", "openmetrics"), [(read_text, False), (read_openmetrics, True)])
def test_the_parsers_of_prometheus_read_the_same_numbers(read, openmetrics):
    found = {
        (sample.name, sample.labels.get("le")): sample.value
        for family in read(render(families(), openmetrics))
        for sample in family.samples
    }
    assert found["tokens_total", None] == 5
    assert found["wait_seconds_sum", None] == 10.1
    assert [value for (name, _), value in found.items() if name == "wait_seconds_bucket"] == [
        1, 2, 2, 3,
    ]  # fmt: skip


@pytest.mark.parametrize("name", ['quo"te', "back\\slash", "new\nline", "naïve ☃", "{a=b}"])
@pytest.mark.parametrize(("read", "openmetrics"), [(read_text, False), (read_openmetrics, True)])
def test_any_text_survives_as_a_label(name, read, openmetrics):
    gauge = Gauge("slots", "Slots.", ("backend",))
    gauge.set(1, name)
    [family] = read(render([gauge], openmetrics))
    assert family.samples[0].labels == {"backend": name}


def test_series_beyond_the_most_become_one_and_are_counted():
    counter = Counter("requests_total", "Requests.", ("model", "backend"))
    for number in range(MOST_SERIES + 500):
        counter.add(1, f"m{number}", "a")
    lines = render([counter], openmetrics=False).splitlines()[2:]
    assert len(lines) == MOST_SERIES
    assert lines[-1] == 'requests_total{model="_other",backend="_other"} 501'
    assert counter.overflows == 501


def test_large_sums_stay_exact():
    counter = Counter("tokens_total", "Tokens.")
    counter.add(2**52)
    counter.add(1)
    assert f"tokens_total {2**52 + 1}" in render([counter], openmetrics=False)
