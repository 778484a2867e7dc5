"""The Backends page: numbers of the window, and advice."""

import pytest
from dashboard_scene import NOW, Scene, backend, finished

from multiproxy.supervisor.dashboard import fleet
from multiproxy.supervisor.dashboard.feed import Look
from multiproxy.supervisor.dashboard.snapshot import Snapshot
from multiproxy.supervisor.dashboard.views import BackendState, LineView, Outcome, ServerView


def cards(**lists: object) -> list[fleet.Card]:
    return fleet.rows(Snapshot(Scene(**lists), NOW), Look("backends"))["cards"]


def test_each_backend_has_its_own_numbers():
    done = [
        finished(f"r_{i}", NOW - 200 + i, ttft_s=float(i), tokens_per_s=50.0 + i)
        for i in range(1, 8)
    ]
    done.append(finished("r_bad", NOW - 9, backend="gpu-b", outcome=Outcome.TIMEOUT))
    done.append(finished("r_old", NOW - 301, ttft_s=99.0))
    a, b = cards(backend_list=[backend("gpu-a"), backend("gpu-b")], finished_list=done)
    assert (a.summary.requests, a.summary.failed_share) == (7, 0)
    assert (a.summary.ttft_p50, a.summary.ttft_p95, a.summary.speed) == (4.0, None, 54.0)
    assert (b.summary.requests, b.summary.failed_share) == (1, 1)


def test_the_share_from_the_cache_is_weighted_by_tokens():
    done = [
        finished("r_1", prompt_tokens=9000, cached_tokens=9000),
        finished("r_2", prompt_tokens=1000, cached_tokens=0),
    ]
    [card] = cards(backend_list=[backend()], finished_list=done)
    assert card.summary.cached_share == 0.9


def test_an_idle_backend_has_no_line_and_unknown_shares():
    [card] = cards(backend_list=[backend(since=NOW - 3600)])
    assert (card.line, card.speed, card.since_s) == ("", 0.0, 3600)
    assert (card.summary.failed_share, card.summary.cached_share) == (None, None)


@pytest.mark.parametrize(
    ("reason", "word"),
    [
        ("connection refused", "--host 0.0.0.0"),
        ("answered 401", "api_key"),
        ("name or service not known", "resolve"),
        ("something new", ""),
    ],
)
def test_a_known_reason_comes_with_advice(reason, word):
    text = fleet.advice(backend(state=BackendState.DOWN, reason=reason))
    assert word in text and bool(word) == bool(text)


def test_a_serving_backend_needs_no_advice():
    assert fleet.advice(backend(reason="connection refused an hour ago")) == ""


def test_a_command_shows_the_last_lines_it_wrote_and_where_to_look_when_it_fails():
    lines = tuple(LineView(NOW, f"line {number}") for number in range(20))
    server = ServerView("llama-server --port 1", "broken", reason="it failed", lines=lines)
    failing = backend(state=BackendState.DOWN, reason="connection refused", server=server)
    [card] = cards(backend_list=[failing])
    assert [line.text for line in card.lines] == [f"line {number}" for number in range(12, 20)]
    assert card.advice == "It is tried again when a request comes; what it wrote last is below."
    [plain] = cards(backend_list=[backend()])
    assert plain.lines == ()
