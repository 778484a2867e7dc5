"""Percentiles out of buckets, beside the exact ones."""

import random
import struct

import pytest

from multiproxy.supervisor.rollups.histogram import LogHistogram, bucket_of, value_of
from multiproxy.supervisor.rollups.percentiles import percentile


def filled(values):
    histogram = LogHistogram()
    for value in values:
        histogram.add(value)
    return histogram


@pytest.mark.parametrize(("value", "bucket"), [(1.0, 0), (1.05, 1), (1.04, 1), (1.06, 2), (2, 15)])
def test_a_bucket_ends_with_a_power_of_the_growth(value, bucket):
    assert bucket_of(value) == bucket


def test_nothing_comes_out_more_than_two_and_a_half_percent_wrong():
    for i in range(1, 5000):
        value = i / 100
        assert abs(value_of(bucket_of(value)) / value - 1) < 0.0245


def test_zero_and_absurd_values_have_a_bucket_too():
    assert filled([0.0, -1.0]).count == 2
    assert bucket_of(1e99) == bucket_of(1e6)


@pytest.mark.parametrize("p", [0.5, 0.95, 0.99])
def test_percentiles_are_those_of_the_samples_within_the_width_of_a_bucket(p):
    chance = random.Random(3)
    samples = sorted(chance.lognormvariate(-1, 1.2) for _ in range(3000))
    assert filled(samples).percentile(p) == pytest.approx(percentile(samples, p), rel=0.025)


def test_few_samples_have_no_percentile():
    assert filled([1.0] * 19).percentile(0.95) is None
    assert filled([1.0] * 20).percentile(0.95) == pytest.approx(1.0, rel=0.025)


def test_merged_histograms_are_the_histogram_of_everything():
    one, other = filled([0.1] * 60), filled([10.0] * 40)
    one.merge(other)
    assert one.count == 100
    assert one.percentile(0.5) == pytest.approx(0.1, rel=0.025)
    assert one.percentile(0.95) == pytest.approx(10, rel=0.025)


def test_a_histogram_survives_its_encoding():
    histogram = filled([0.001, 0.5, 0.5, 800.0])
    data = histogram.encode()
    assert len(data) == 3 * 6
    copy = LogHistogram.decode(data)
    assert (copy.count, list(copy.values())) == (4, list(histogram.values()))
    with pytest.raises(struct.error):
        LogHistogram.decode(data[:-1])
