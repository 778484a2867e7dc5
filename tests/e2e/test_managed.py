"""Servers that MultiProxy runs itself: they load, die, idle, fail and make way for others."""

import asyncio
import http.client
import os
import random
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from e2e.raw_client import Client, ask, chat
from multiproxy_process import MultiProxyProcess
from waiting import until

from multiproxy.cli.instance import Instance

SIMULATE = [sys.executable, "-m", "multiproxy", "simulate", "--port", "${PORT}"]
MESSAGES = {"model": "a", "max_tokens": 4, "messages": [{"role": "user", "content": "hi"}]}
RESPONSES = {"model": "a", "max_output_tokens": 4, "input": "hi"}
DIALECTS = {
    "/v1/chat/completions": chat("hi", model="a", max_tokens=4),
    "/v1/messages": MESSAGES,
    "/v1/responses": RESPONSES,
}


def simulate(*flags: object) -> list[str]:
    return [*SIMULATE, *map(str, flags)]


class Managed:
    """A running MultiProxy and what its dashboard tells of its servers."""

    def __init__(self, proxy: MultiProxyProcess) -> None:
        self.proxy = proxy
        self.port = proxy.port

    def server(self, id: str = "a") -> dict[str, Any]:
        return next(b for b in self._backends() if b["id"] == id)["server"]

    def state(self, id: str = "a") -> str:
        return next(b for b in self._backends() if b["id"] == id)["state"]

    def pid(self, id: str = "a") -> int:
        return until(lambda: self.server(id)["pid"])

    def _backends(self) -> list[dict[str, Any]]:
        return Instance(self.proxy.dashboard_url).get("backends")["backends"]

    def page(self) -> str:
        connection = http.client.HTTPConnection("127.0.0.1", self.proxy.dashboard_port, timeout=10)
        connection.request("GET", "/backends")
        text = connection.getresponse().read().decode()
        connection.close()
        return text

    async def answers(self, **more: object) -> bool:
        outcome = (await ask(self.port, chat("hi", max_tokens=2, **{"model": "a"} | more))).outcome
        return outcome == "ok"


@pytest.fixture
def managed(multiproxy_process: Callable[..., MultiProxyProcess]) -> Callable[..., Managed]:
    """``managed([{"id": "a", "command": [...]}], workers=2, timeouts={...})``."""

    def start(backends: list[dict[str, Any]], workers: int = 1, **config: Any) -> Managed:
        return Managed(multiproxy_process({"backends": backends, **config}, workers=workers))

    return start


def is_alive(pid: int) -> bool:
    """Whether a process runs: one that nobody has reaped does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


async def test_requests_wait_for_a_slow_load_with_signs_of_life_in_every_dialect(managed):
    """``timeouts.queue`` is shorter than the load: that is no time in a queue."""
    place = managed(
        [{"id": "a", "command": simulate("--load-time", 2, "--slots", 2)}],
        workers=2,
        timeouts={"queue": "500ms", "comment": "200ms"},
    )
    assert (place.state(), place.server()["starts"]) == ("stopped", 0)
    asked = [(path, {**body, "stream": True}) for path, body in DIALECTS.items()] * 2
    streams = [ask(place.port, body, path) for path, body in asked]
    whole = ask(place.port, {**MESSAGES, "stream": False}, "/v1/messages")
    answers = await asyncio.gather(*streams, whole)
    for (path, _), answer in zip(asked, answers[:-1], strict=True):
        assert (answer.status, answer.ended) == (200, True), (path, answer)
        quiet, _, _ = answer.body.partition(b'"delta"')
        sign = b"response.in_progress\n" if path == "/v1/responses" else b": keep-alive\n\n"
        assert quiet.count(sign) >= 3, (path, quiet)
        assert b'"error":{' not in answer.body, path
    assert answers[-1].status == 200
    assert (place.server()["starts"], place.state()) == (1, "up")
    assert "a is up: demo, 2 slots" in place.proxy.log_text()


async def test_its_models_go_by_the_id_before_and_after_it_ran(managed):
    place = managed([{"id": "a", "command": simulate("--model", "qwen")}])
    names = lambda: [m["id"] for m in place.proxy.ask("GET", "/v1/models")[1]["data"]]  # noqa: E731
    assert names() == ["a"]
    assert await place.answers(model="a")
    assert until(lambda: names() == ["a", "qwen"])
    assert await place.answers(model="qwen")


async def test_a_killed_server_is_started_again_and_requests_wait_for_it(managed):
    place = managed([{"id": "a", "command": simulate("--tps", 50, "--load-time", 0.5)}])
    assert await place.answers()
    victim = place.pid()
    async with Client(place.port) as client:
        client.send(chat("hi", model="a", max_tokens=100_000, ignore_eos=True))
        await client.until_content()
        os.kill(victim, signal.SIGKILL)
        assert (await client.receive()).outcome == "error-after"
    until(lambda: "was ended by signal 9" in place.proxy.log_text())
    assert await place.answers(), "while it loads"
    assert place.pid() != victim
    assert (place.server()["starts"], place.server()["deaths"]) == (2, 1)


async def test_everything_ends_with_a_killed_supervisor_even_what_a_script_has_started(
    managed, tmp_path
):
    script = tmp_path / "run.sh"
    words = " ".join(SIMULATE).replace("${PORT}", "$1")
    script.write_text(f"#!/bin/sh\n{words} &\necho server $!\nwait\n")
    place = managed(
        [
            {"id": "a", "command": ["sh", str(script), "${PORT}"]},
            {"id": "b", "command": simulate(), "start": "always"},
        ]
    )
    assert await place.answers()
    lines = [line["text"] for line in place.server()["lines"]]
    inner = next(int(text.split()[1]) for text in lines if text.startswith("server "))
    pids = [place.pid("a"), inner, place.pid("b"), *place.proxy.worker_pids()]
    assert all(map(is_alive, pids))
    os.kill(place.proxy.pid, signal.SIGKILL)
    until(lambda: not any(map(is_alive, pids)), 20)


async def test_sigterm_lets_the_stream_finish_and_ends_the_server_after_it(managed):
    place = managed([{"id": "a", "command": simulate("--tps", 50)}])
    async with Client(place.port) as client:
        client.send(chat("hi", model="a", max_tokens=40, ignore_eos=True))
        await client.until_content()
        pid = place.pid()
        place.proxy.terminate()
        assert (await client.receive()).outcome == "ok"
    assert await asyncio.to_thread(place.proxy.wait) == 0
    assert not is_alive(pid)


async def test_an_idle_server_ends_after_its_ttl_and_no_request_is_lost_to_that(managed, full):
    place = managed(
        [{"id": "a", "command": simulate("--tps", 0, "--pps", 0), "ttl": "300ms"}], workers=2
    )
    assert await place.answers()
    pid = place.pid()
    until(lambda: place.state() == "stopped" and not is_alive(pid))
    assert place.server()["pid"] is None
    chance = random.Random(8)
    rounds = 60 if full else 8
    for _ in range(rounds):
        assert await place.answers()
        await asyncio.sleep(0.25 + 0.4 * chance.random())  # about the moment when it ends
    assert place.server()["deaths"] == 0
    assert place.server()["starts"] > 1


BAD = {
    "nofile": (["/no/such/llama-server", "${PORT}"], "cannot be run: No such file or directory"),
    "exits": (
        ["sh", "-c", "echo no model >&2; exit 3", "${PORT}"],
        "ended with status 3: no model",
    ),
    "mute": (["sh", "-c", "sleep 600", "${PORT}"], "was not ready within 1 s"),
}


async def test_a_command_that_does_not_work_is_an_honest_error_in_every_dialect(managed):
    backends = [{"id": id, "command": command} for id, (command, _) in BAD.items()]
    place = managed(backends, timeouts={"load": "1s"})
    for id, (_, reason) in BAD.items():
        for path, body in DIALECTS.items():
            answer = await ask(place.port, {**body, "model": id, "stream": False}, path)
            assert answer.status == 503, (id, path, answer)
            assert b"could not be started" in answer.body
            assert b"such file" not in answer.body, "that is the operator's to know"
        assert reason in place.server(id)["reason"]
        assert f"{id} is down: its command" in place.proxy.log_text()
        assert reason in place.page()


async def test_a_failing_command_is_not_run_in_a_loop_however_many_ask(managed):
    place = managed([{"id": "a", "command": BAD["exits"][0]}], workers=2)
    for _ in range(10):
        answers = await asyncio.gather(*[ask(place.port, DIALECTS["/v1/messages"], "/v1/messages")
                                         for _ in range(20)])  # fmt: skip
        assert {answer.status for answer in answers} == {503}
        await asyncio.sleep(0.1)
    assert 1 <= place.server()["starts"] <= 3


async def test_a_reload_keeps_a_server_whose_command_is_the_same(managed):
    backend = {"id": "a", "command": simulate("--tps", 50)}
    place = managed([backend])
    assert await place.answers()
    pid = place.pid()
    place.proxy.write_config({"backends": [backend | {"ttl": "1h", "weight": 3}]})
    place.proxy.reload()
    until(lambda: place.server()["ttl_s"] == 3600)
    assert await place.answers()
    assert (place.pid(), place.server()["starts"]) == (pid, 1)
    place.proxy.write_config({"backends": [{"id": "z", "simulate": True}]})
    place.proxy.reload()
    until(lambda: not is_alive(pid))


async def test_a_changed_command_takes_over_when_the_requests_of_the_old_one_have_ended(managed):
    place = managed([{"id": "a", "command": simulate("--tps", 50, "--model", "old")}])
    async with Client(place.port) as client:
        client.send(chat("hi", model="a", max_tokens=80, ignore_eos=True))
        await client.until_content()
        old = place.pid()
        place.proxy.write_config({"backends": [{"id": "a", "command": simulate("--model", "new")}]})
        place.proxy.reload()
        until(lambda: "configuration loaded" in place.proxy.log_text())
        asked = asyncio.create_task(ask(place.port, chat("hi", model="a", max_tokens=2)))
        answer = await client.receive()
        assert answer.outcome == "ok"
        assert b'"model":"old"' in answer.body
        assert is_alive(old) or not asked.done(), "never both"
    answer = await asked
    assert answer.outcome == "ok"
    assert b'"model":"new"' in answer.body
    assert not is_alive(old)


async def test_a_drained_server_ends_and_a_resumed_one_is_started_again(managed):
    place = managed([{"id": "a", "command": simulate()}])
    assert await place.answers()
    pid = place.pid()
    instance = Instance(place.proxy.dashboard_url)
    instance.act("drain", id="a")
    until(lambda: not is_alive(pid))
    assert place.state() == "draining"
    assert (await ask(place.port, MESSAGES, "/v1/messages")).status == 503
    assert place.server()["starts"] == 1
    instance.act("resume", id="a")
    assert await place.answers()


async def test_of_those_that_exclude_each_other_one_runs_and_nobody_is_refused(managed):
    backends = [
        {"id": id, "command": simulate("--model", id, "--tps", 200), "exclusive": "gpu"}
        for id in "ab"
    ]
    place = managed(backends, workers=2)
    both: list[bool] = []

    async def watch() -> None:
        while True:
            servers = await asyncio.to_thread(lambda: [place.server(id)["pid"] for id in "ab"])
            both.append(all(pid and is_alive(pid) for pid in servers))
            await asyncio.sleep(0.02)

    watching = asyncio.create_task(watch())
    for _ in range(2):
        outcomes = await asyncio.gather(*[place.answers(model=id) for id in "ab" * 5])
        assert all(outcomes)
    watching.cancel()
    assert len(both) > 5
    assert not any(both)
    assert sum(place.server(id)["starts"] for id in "ab") >= 3


async def test_a_server_is_added_when_those_that_run_are_full_for_a_while(managed):
    slow = simulate("--slots", 1, "--tps", 50, "--model", "m")
    backends = [{"id": "a", "command": slow}, {"id": "b", "command": slow}]
    place = managed(backends, models={"m": ["a", "b"]})
    async with Client(place.port) as client:
        client.send(chat("hi", model="m", max_tokens=100_000, ignore_eos=True))
        await client.until_content()
        assert (place.state("a"), place.state("b")) == ("up", "stopped")
        assert await place.answers(model="m"), "at b"
        assert (place.state("a"), place.state("b")) == ("up", "up")


async def test_what_it_writes_is_shown_as_text_and_without_its_key(managed):
    code = "echo '<script>alert(1)</script>' $@; exec \"$@\""
    command = ["sh", "-c", code, "sh", *simulate("--api-key", "sk-hidden-1")]
    place = managed([{"id": "a", "command": command, "api_key": "sk-hidden-1"}])
    assert await place.answers()
    page, lines = place.page(), place.server()["lines"]
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "<script>alert" not in page
    assert any("<script>alert(1)</script>" in line["text"] for line in lines)
    everything = page + str(place.server()) + place.proxy.log_text()
    assert "--api-key '***'" in place.server()["command"]
    assert "sk-hidden" not in everything
