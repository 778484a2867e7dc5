"""The pulse: the last two minutes, with sums that can be done by hand."""

import pytest
from dashboard_scene import NOW, finished, running

from multiproxy.supervisor.dashboard.views import Outcome
from multiproxy.supervisor.rollups.recorder import Recorder, series_of


def pulse(done=(), live=(), now=NOW):
    recorder = Recorder()
    for x in done:
        recorder.add(x)
    return recorder.pulse(live, now)


def test_output_flows_between_the_first_token_and_the_end():
    x = finished(ended_at=NOW - 0.5, total_s=6.0, ttft_s=1.0, output_tokens=50)
    line = pulse([x]).output["gpu-a"]
    assert line[-5:] == [10, 10, 10, 10, 10]
    assert (line[-6], len(line)) == (0, 120)


def test_an_answer_that_was_not_streamed_flows_over_its_decode_time():
    x = finished(ended_at=NOW - 0.5, total_s=6.0, decode_s=2.0, output_tokens=50, stream=False)
    assert pulse([x]).output["gpu-a"][-3:] == [0, 25, 25]


def test_a_running_stream_adds_its_rhythm_and_what_came_before_it():
    flow = (2,) * 10  # the last two seconds
    x = running(started_at=NOW - 10, ttft_s=6.0, output_tokens=120, flow=flow)
    # 100 tokens in the two seconds before the rhythm began, 10 per second since
    assert pulse(live=[x]).output["gpu-a"][-4:] == pytest.approx([25, 50, 30, 10])


def test_only_processed_prompt_tokens_are_throughput():
    x = finished(prompt_tokens=1000, cached_tokens=900, ttft_s=0.5, prefill_s=0.4)
    assert sum(pulse([x]).prompt) == pytest.approx(100)


def test_leaving_and_rejected_requests_are_not_failures():
    outcomes = (Outcome.OK, Outcome.CLIENT_LEFT, Outcome.REJECTED, Outcome.TIMEOUT)
    found = pulse([finished(outcome=outcome) for outcome in outcomes])
    assert (sum(found.ended), sum(found.failed)) == (4, 1)


def test_the_speed_of_a_stream_is_the_median():
    live = [running(ttft_s=1.0, tokens_per_s=speed) for speed in (20.0, 60.0, 58.0)]
    assert pulse(live=live).stream_speed == 58.0
    assert pulse().stream_speed is None


def test_a_backend_without_output_has_no_line():
    assert pulse([finished(output_tokens=None)]).output == {}


def test_a_name_that_was_asked_for_and_never_served_is_not_a_model():
    made_up = finished(model="no-such-model", backend="", outcome=Outcome.REJECTED)
    assert series_of(made_up) == ("", "", "")
    assert series_of(finished(backend="", outcome=Outcome.NO_BACKEND))[0] != ""


def test_usage_is_added_up_by_model_backend_and_key():
    recorder = Recorder()
    for key in ("alice", "bob", "alice"):
        recorder.add(finished(key=key, output_tokens=10))
    found = {u.name: (u.requests, u.output_tokens) for u in recorder.usage_by("key", NOW)}
    assert found == {"alice": (2, 20), "bob": (1, 10)}
    assert [u.name for u in recorder.usage_by("model", NOW)] == ["qwen3-32b-instruct"]
    assert [u.requests for u in recorder.usage_by("backend", NOW)] == [3]
    assert recorder.usage_by("backend", NOW + 7200) == []
