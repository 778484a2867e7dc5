"""Answers that need no backend."""

import pytest
from worker.workplace import Workplace, row

from multiproxy.scoreboard import BackendState


@pytest.fixture
async def workplace():
    place = Workplace(1, 2)  # nothing listens there, and nobody asks
    yield place
    place.close()


@pytest.mark.parametrize("path", ["/", "/livez", "/api/hello"])
async def test_a_process_that_runs_is_alive(workplace, path):
    for index in (0, 1):
        workplace.board.backends.write(index, row(BackendState.DOWN))
    answer = await workplace.client().ask(None, path, "GET")
    assert (answer.status, answer.json) == (200, {"status": "ok"})


@pytest.mark.parametrize(
    ("states", "status", "serving"),
    [
        ((BackendState.UP, BackendState.UP), 200, 2),
        ((BackendState.SLEEPING, BackendState.DOWN), 200, 1),
        ((BackendState.LOADING, BackendState.UNCHECKED), 503, 0),
        ((BackendState.DOWN, BackendState.DRAINING), 503, 0),
    ],
)
async def test_health_is_whether_a_backend_can_serve(workplace, states, status, serving):
    for index, state in enumerate(states):
        workplace.board.backends.write(index, row(state))
    answer = await workplace.client().ask(None, "/health", "GET")
    assert answer.status == status
    assert answer.json["backends"] == {"serving": serving, "configured": 2}


async def test_a_draining_worker_is_not_ready(workplace):
    workplace.worker.draining = True
    assert (await workplace.client().ask(None, "/readyz", "GET")).status == 503


async def test_head_is_get_without_a_body(workplace):
    client = workplace.client()
    got = await client.ask(None, "/health", "GET")
    headed = await client.ask(None, "/health", "HEAD")
    assert headed.body == b""
    assert b"Content-Length: %d" % len(got.body) in headed.head


async def test_probes_and_preflights_leave_no_line(workplace):
    client = workplace.client()
    for method, path in (("GET", "/health"), ("GET", "/livez"), ("OPTIONS", "/v1/models")):
        await client.ask(None, path, method)
    assert workplace.log.records == []
    await client.ask(None, "/v1/models", "GET")
    assert workplace.endings == [(200, "--")]


async def test_a_preflight_tells_the_methods(workplace):
    answer = await workplace.client().ask(None, "/v1/chat/completions", "OPTIONS")
    assert (answer.status, answer.body) == (204, b"")
    assert b"\r\nAllow: POST, OPTIONS" in answer.head
    assert b"Content-Length" not in answer.head


async def test_models_are_listed_and_found_by_name(workplace):
    client = workplace.client()
    page = (await client.ask(None, "/v1/models?limit=1", "GET")).json
    assert [entry["id"] for entry in page["data"]] == ["demo"]
    for path in ("/v1/models/demo", "/models/demo", "/v1/models/d%65mo"):
        assert (await client.ask(None, path, "GET")).json["id"] == "demo"
    for path in ("/v1/models/other", "/v1/models/", "/v1/models/%ff"):
        assert (await client.ask(None, path, "GET")).error == "model_not_found"
