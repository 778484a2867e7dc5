"""The page of one request, while it runs and after."""

import pytest
from dashboard_scene import NOW, Scene, attempt, backend, finished, running

from multiproxy.supervisor.dashboard import request
from multiproxy.supervisor.dashboard.feed import Look
from multiproxy.supervisor.dashboard.snapshot import Snapshot
from multiproxy.supervisor.dashboard.views import Outcome

LOOK = Look("request", (("id", "r_1"),))


def detail(**lists: object) -> dict:
    return request.detail(Snapshot(Scene(**lists), NOW), LOOK)


def test_a_running_request_is_found_before_a_finished_one():
    data = detail(running_list=[running("r_1")], finished_list=[finished("r_1")])
    assert data["live"].id == "r_1"
    assert data["ended"] is None


def test_the_timeline_covers_the_whole_request():
    x = finished("r_1", total_s=10.0, queue_s=2.0, prefill_s=1.0, decode_s=6.0,
                 prompt_tokens=1000, cached_tokens=400, output_tokens=300)  # fmt: skip
    bars = detail(finished_list=[x])["bars"]
    assert [(bar.title, bar.x, bar.width) for bar in bars] == [
        ("receiving, connecting, failed tries", 0.0, 10.0),
        ("waiting for a slot", 10.0, 20.0),
        ("prefill, 600 tokens", 30.0, 10.0),
        ("decode, 300 tokens", 40.0, 60.0),
    ]
    assert sum(bar.seconds for bar in bars) == pytest.approx(x.total_s)


def test_without_phases_the_time_is_in_flight():
    [bar] = detail(finished_list=[finished("r_1", total_s=2.0)])["bars"]
    assert (bar.title, bar.width) == ("in flight", 100.0)


def test_a_part_too_short_to_see_is_still_drawn():
    x = finished("r_1", total_s=1000.0, queue_s=0.001, decode_s=999.999)
    assert detail(finished_list=[x])["bars"][0].width == 0.15


def test_the_context_is_the_backends():
    x = finished("r_1", prompt_tokens=12_044, output_tokens=655)
    data = detail(backend_list=[backend("gpu-a")], finished_list=[x])
    assert data["context"] == (12_699, 32_768)
    assert detail(finished_list=[x])["context"] is None


@pytest.mark.parametrize(
    ("termination", "blame"),
    [("--", ""), ("CD", "the client"), ("BW", "the backend"), ("PQ", "MultiProxy")],
)
def test_it_is_said_who_ended_it(termination, blame):
    x = finished("r_1", termination=termination, outcome=Outcome.BROKEN_STREAM)
    assert detail(finished_list=[x])["blame"] == blame


async def test_a_prompt_that_broke_is_told_with_its_cost(serve):
    broken = attempt("gpu-a", broke_at="message 3", reread_tokens=4120)
    served = await serve(Scene(finished_list=[finished("r_1", path=(broken,))]))
    page = (await served.get("/requests/r_1")).text
    assert "<dt>Prompt changed</dt><dd>at message 3: 4,120 tokens were read again</dd>" in page
    served = await serve(Scene(finished_list=[finished("r_1", path=(attempt("gpu-a"),))]))
    assert "Prompt changed" not in (await served.get("/requests/r_1")).text


async def test_a_request_has_its_own_address(serve):
    x = finished(
        "r_1", error="connection reset <by> peer", outcome=Outcome.UPSTREAM_ERROR, status=502
    )
    served = await serve(Scene(finished_list=[x]))
    page = (await served.get("/requests/r_1")).text
    assert "connection reset &lt;by&gt; peer" in page
    assert 'hx-sse:connect="/live/request?id=r_1"' in page
    assert 'aria-current="page">' in page


async def test_an_unknown_request_is_not_found(serve):
    answer = await (await serve(Scene())).get("/requests/r_1")
    assert answer.status == 404
    assert "not kept any more" in answer.text


async def test_a_request_that_is_forgotten_while_shown_says_so(serve):
    answer = await (await serve(Scene())).get("/fragments/request-detail?id=r_1")
    assert "Not kept any more" in answer.text


async def test_an_id_with_strange_letters_is_linked_and_found(serve):
    served = await serve(Scene(finished_list=[finished("a b?c#d%", NOW - 1)]))
    assert 'href="/requests/a%20b%3Fc%23d%25"' in (await served.get("/requests")).text
    assert (await served.get("/requests/a%20b%3Fc%23d%25")).status == 200
