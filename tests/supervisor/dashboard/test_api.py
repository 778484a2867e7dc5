"""The JSON twins of the pages, over the same scene as the pages themselves."""

import json

import pytest
from dashboard_scene import NOW, Scene, attempt, busy, finished, running

from multiproxy.supervisor.dashboard.api import TWINS
from multiproxy.supervisor.dashboard.pages import PAGES
from multiproxy.supervisor.dashboard.views import Outcome


async def read(served, path):
    answer = await served.get(path)
    assert (answer.status, answer.headers["content-type"]) == (200, "application/json")
    assert answer.headers["cache-control"] == "no-store"
    return json.loads(answer.text)


@pytest.mark.parametrize(
    "page", [page for page in PAGES if page.name in TWINS], ids=lambda p: p.name
)
async def test_every_page_has_a_twin(serve, page):
    scene = busy()
    served = await serve(scene)
    path = page.path.format(id=scene.running_list[0].id) if page.parent else f"/{page.name}"
    await read(served, f"/api{path}")


async def test_the_overview_is_what_the_page_shows(serve):
    scene = busy()
    body = await read(await serve(scene), "/api/overview?w=1h")
    assert [b["id"] for b in body["backends"]] == [b.id for b in scene.backend_list]
    assert [r["id"] for r in body["running"]] == [r.id for r in scene.running_list]
    assert body["running"][1]["phase"] == "prefill"
    assert body["window"]["name"] == "1h"
    assert body["window"]["total"]["requests"] == len(scene.finished_list)
    assert body["health"]["api_url"] == "http://127.0.0.1:8001/v1"
    assert len(body["pulse"]["prompt"]) == 120


async def test_requests_are_filtered_and_paged_as_on_the_page(serve):
    rows = [finished(f"r_{n:03}", NOW - n, key="alice" if n % 2 else "bob") for n in range(120)]
    served = await serve(Scene(finished_list=rows, running_list=[running(key="alice")]))
    first = await read(served, "/api/requests?key=alice")
    assert [x["id"] for x in first["finished"]] == [f"r_{n:03}" for n in range(1, 100, 2)]
    assert [x["id"] for x in first["running"]] == ["r_live"]
    rest = await read(served, f"/api/requests?key=alice&before={first['older']}")
    assert [x["id"] for x in rest["finished"]] == [f"r_{n:03}" for n in range(101, 120, 2)]
    assert (rest["older"], rest["running"]) == (None, [])


async def test_one_request_with_its_attempts_and_reasons(serve):
    x = finished("r_1", outcome=Outcome.OK, path=(attempt("gpu-a", reason="only_candidate"),))
    served = await serve(Scene(finished_list=[x]))
    body = await read(served, "/api/requests/r_1")
    assert body["finished"]["path"][0]["backend"] == "gpu-a"
    assert body["finished"]["ended_at"] == NOW - 2
    assert body["why"][0].startswith("gpu-a was chosen")


async def test_what_is_not_there_is_told_as_json(serve):
    answer = await (await serve(Scene())).get("/api/requests/nope")
    assert answer.status == 404
    assert json.loads(answer.text) == {"error": "It is not kept any more, or never was."}
    answer = await (await serve(Scene())).get("/api/nothing")
    assert json.loads(answer.text) == {"error": "There is nothing at this address."}


async def test_a_program_learns_the_token_it_acts_with(serve):
    body = await read(await serve(), "/api/session")
    assert body["boot"] == "boot-1"
    assert len(body["token"]) == 32


async def test_usage_is_grouped_as_on_the_page(serve):
    scene = busy()
    body = await read(await serve(scene), "/api/usage?by=backend&range=24h&measure=requests")
    assert (body["by"], body["range"]) == ("backend", "24h")
    assert sum(group["requests"] for group in body["groups"]) == len(scene.finished_list)
    assert sum(group["share"] for group in body["groups"]) == pytest.approx(1)
    assert body["groups"][0]["name"] == "gpu-a"


async def test_models_and_backends_carry_their_sums(serve):
    served = await serve(busy())
    backends = (await read(served, "/api/backends"))["backends"]
    assert sum(b["summary"]["requests"] for b in backends) > 0
    models = {m["name"]: m for m in (await read(served, "/api/models"))["models"]}
    assert models["gemma-3-27b-it"]["backends"] == ["mac-studio"]


async def test_the_parts_of_splits_and_mirrors_carry_their_numbers(serve):
    scene = busy()
    scene.finished_list = [
        *(finished(str(i), model="m", split="s", ttft_s=0.5) for i in range(20)),
        finished("c", model="n", copy_of="1"),
    ]
    part, mirror = (await read(await serve(scene), "/api/models"))["parts"]
    assert (part["split"], part["model"], part["is_mirror"], part["share"]) == ("s", "m", False, 1)
    assert (part["summary"]["requests"], part["summary"]["ttft_p95"]) == (20, 0.5)
    assert (mirror["split"], mirror["model"], mirror["is_mirror"]) == (None, "n", True)
