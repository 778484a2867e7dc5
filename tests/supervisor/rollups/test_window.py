"""Windows: what they cover, when they are exact, and that both ways agree."""

import random

import pytest
from dashboard_scene import finished, running

from multiproxy.supervisor.dashboard.views import WINDOWS, Outcome
from multiproxy.supervisor.rollups import recorder as recorder_module
from multiproxy.supervisor.rollups.percentiles import TTFT_BOUNDS
from multiproxy.supervisor.rollups.recorder import Recorder

NOW = 1_790_002_800.0 + 45  # 45 s into an hour


def recorded(done):
    recorder = Recorder()
    for x in sorted(done, key=lambda x: x.ended_at):
        recorder.add(x)
    return recorder


@pytest.mark.parametrize(
    ("name", "inside", "outside"),
    [
        # Whole stretches: 10 s, a minute, five minutes, an hour; the running one included.
        ("5m", 294.9, 295.1),
        ("1h", 3584.9, 3585.1),
        ("24h", 86_144.9, 86_145.1),
        ("7d", 601_244.9, 601_245.1),
    ],
)
def test_a_window_covers_whole_stretches_up_to_now(name, inside, outside):
    done = [finished(ended_at=NOW - age) for age in (1.0, inside, outside)]
    view = recorded(done).window(name, [], NOW)
    assert view.total.requests == 2
    assert view.span_s == pytest.approx((inside + outside) / 2)


def test_sums_are_split_by_backend_and_by_model():
    done = [
        finished("1", NOW - 1, backend="a", model="m", prompt_tokens=100, cached_tokens=40),
        finished("2", NOW - 2, backend="b", model="m", output_tokens=7),
        finished("3", NOW - 3, backend="b", model="n", outcome=Outcome.BROKEN_STREAM),
    ]
    view = recorded(done).window("1h", [], NOW)
    assert (view.total.requests, view.total.failures, view.total.processed_tokens) == (3, 1, 60)
    assert {name: s.requests for name, s in view.by_backend.items()} == {"a": 1, "b": 2}
    assert {name: s.output_tokens for name, s in view.by_model.items()} == {"m": 7, "n": 0}
    assert view.by_backend["b"].failed_share == 0.5


@pytest.mark.parametrize("name", ["5m", "7d"])  # from samples, and from histograms
def test_the_parts_of_a_split_have_their_own_sums_and_first_tokens(name):
    plain = [finished(f"p{i}", NOW - i, model="big", ttft_s=9.0) for i in range(1, 21)]
    done = [
        finished(
            f"{model}{i}", NOW - i, model=model, split="assistant", ttft_s=ttft,
            tokens_per_s=100.0, outcome=Outcome.OK if i > 2 else Outcome.TIMEOUT,
        )
        for model, ttft in (("big", 0.5), ("small", 0.1))
        for i in range(1, 21)
    ]  # fmt: skip
    view = recorded(plain + done).window(name, [], NOW)
    assert list(view.by_part) == ["assistant"]
    big, small = (view.by_part["assistant"][model] for model in ("big", "small"))
    assert [(each.requests, each.failures, each.streams) for each in (big, small)] == [
        (20, 2, 20),
        (20, 2, 20),
    ]
    assert [each.ttft_p95 for each in (big, small)] == pytest.approx([0.5, 0.1], rel=0.026)
    assert small.speed == pytest.approx(100, rel=0.026)
    assert view.by_model["big"].requests == 40  # what came to it by its own name included


@pytest.mark.parametrize("name", ["5m", "7d"])
def test_mirrored_requests_are_no_requests_of_the_total(name):
    done = [
        finished("1", NOW - 1, model="m", ttft_s=0.5),
        finished("2", NOW - 1, model="n", ttft_s=0.1, output_tokens=7),
        finished("3", NOW - 1, model="n", copy_of="1", ttft_s=0.3, output_tokens=5,
                 outcome=Outcome.TIMEOUT),
    ]  # fmt: skip
    copy = running(model="n", copy_of="2", backend="b", ttft_s=0.2, started_at=NOW - 3)
    recorder = recorded(done)
    view = recorder.window(name, [copy], NOW)
    assert (view.total.requests, view.total.failures, view.total.streams) == (2, 0, 2)
    assert sum(map(sum, view.heat)) == 2
    counts = {name: (s.requests, s.failures) for name, s in view.by_model.items()}
    assert (counts["n"], counts["n (mirror)"]) == ((1, 0), (1, 1))
    assert sum(recorder.pulse([], NOW + 1).ended) == 2
    assert sum(recorder.pulse([], NOW + 1).failed) == 0


def test_percentiles_are_exact_while_every_sample_is_kept():
    done = [
        finished(str(i), NOW - i, ttft_s=i / 100, tokens_per_s=i, total_s=5.0)
        for i in range(1, 101)
    ]
    total = recorded(done).window("5m", [], NOW).total
    assert (total.streams, total.ttft_p50, total.ttft_p95, total.speed) == (100, 0.5, 0.95, 50)


def test_a_first_token_counts_when_it_came_even_if_its_answer_still_runs():
    live = [running(started_at=NOW - 10, ttft_s=4.0)]
    done = [finished(ended_at=NOW - 1, total_s=2.0, ttft_s=0.5)]
    view = recorded(done).window("5m", live, NOW)
    filled = [(i, row) for i, column in enumerate(view.heat) for row, n in enumerate(column) if n]
    # 30 columns of ten seconds: 6 s ago and 2.5 s ago are the last one
    assert filled == [(29, 5), (29, 9)]
    assert (view.total.streams, TTFT_BOUNDS[5], TTFT_BOUNDS[9]) == (2, 0.5, 5.0)
    assert (
        recorded([]).window("5m", [running(started_at=NOW - 400, ttft_s=4.0)], NOW).heat
        == [[0] * 12] * 30
    )


def test_histograms_take_over_when_samples_are_forgotten(monkeypatch):
    chance = random.Random(5)
    done = [
        finished(str(i), NOW - 200 + i / 10, ttft_s=chance.lognormvariate(-1, 1), tokens_per_s=50.0)
        for i in range(1000)
    ]
    exact = recorded(done).window("5m", [], NOW)
    monkeypatch.setattr(recorder_module, "KEPT", 100)
    rough = recorded(done).window("5m", [], NOW)
    assert (exact.is_exact, rough.is_exact) == (True, False)
    assert rough.total.requests == exact.total.requests == 1000
    assert rough.total.ttft_p50 == pytest.approx(exact.total.ttft_p50, rel=0.025)
    assert rough.total.ttft_p95 == pytest.approx(exact.total.ttft_p95, rel=0.025)
    assert rough.total.speed == pytest.approx(50, rel=0.025)
    assert sum(map(sum, rough.heat)) == 1000


@pytest.mark.parametrize("name", ["24h", "7d"])
def test_long_windows_place_tokens_and_first_tokens_in_time(name):
    window = WINDOWS[name]
    middle = NOW - 45 - window.span_s / 2
    done = [finished(str(i), middle, ttft_s=1.0, output_tokens=360) for i in range(5)]
    view = recorded(done).window(name, [], NOW)
    [line] = view.output.values()
    assert len(line) == window.span_s // window.step_s
    points = [(i, value) for i, value in enumerate(line) if value]
    assert points == [(len(line) // 2 - 1, pytest.approx(1800 / window.step_s))]
    assert [i for i, column in enumerate(view.heat) if any(column)] == [window.columns // 2 - 1]
    assert view.total.ttft_p50 == pytest.approx(1.0, rel=0.025)


def test_the_point_that_still_runs_is_per_second_of_its_own_time():
    view = recorded([finished(ended_at=NOW - 1, output_tokens=90)]).window("24h", [], NOW)
    assert view.output["gpu-a"][-1] == 2.0  # 90 tokens in 45 s


def test_an_empty_window_knows_nothing():
    for name in WINDOWS:
        view = recorded([]).window(name, [], NOW)
        assert (view.total.requests, view.total.ttft_p50, view.output) == (0, None, {})
        assert view.total.failed_share is None
