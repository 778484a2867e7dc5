"""What ``multiproxy tail`` prints, and that it prints everything once."""

import json
import re

import pytest
from cli.answering import dashboard
from dashboard_scene import NOW, Scene, finished

from multiproxy.cli import main, tail
from multiproxy.supervisor.dashboard.views import Outcome


def rows(count, **more):
    return [finished(f"r_{n:03}", NOW - n, **more) for n in range(count)]


def printed(capsys):
    return re.findall(r"(r_\w+)$", capsys.readouterr().out, re.MULTILINE)


@pytest.fixture(autouse=True)
def at_the_scenes_time(monkeypatch):
    monkeypatch.setattr(tail.time, "time", lambda: NOW)


def test_the_newest_come_last(capsys):
    with dashboard(Scene(finished_list=rows(60))) as (url, _):
        assert main(["tail", "-n", "3", "--url", url]) == 0
        assert printed(capsys) == ["r_002", "r_001", "r_000"]
        assert main(["tail", "-n", "55", "--url", url]) == 0  # more than one page
        assert len(printed(capsys)) == 55


def test_following_prints_each_request_once_and_filters(capsys, monkeypatch):
    scene = Scene(finished_list=rows(5, key="alice"))
    naps = []

    def nap(seconds):
        naps.append(seconds)
        if len(naps) > 2:
            raise KeyboardInterrupt
        late = finished("r_late", NOW - 1.5, key="alice")  # ended before some that were printed
        new = finished(f"r_new{len(naps)}", NOW, key="alice")
        scene.finished_list = [new, finished("r_bob", NOW, key="bob"), late, *rows(5, key="alice")]

    monkeypatch.setattr(tail.time, "sleep", nap)
    with dashboard(scene) as (url, _):
        assert main(["tail", "-f", "-n", "2", "--key", "alice", "--url", url]) == 130
    assert printed(capsys) == ["r_001", "r_000", "r_late", "r_new1", "r_new2"]


def test_json_is_one_object_a_line(capsys):
    with dashboard(Scene(finished_list=rows(2))) as (url, _):
        assert main(["tail", "--json", "--url", url]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [x["id"] for x in lines] == ["r_001", "r_000"]


def test_without_requests_it_says_so_beside_the_data(capsys):
    with dashboard(Scene()) as (url, _):
        assert main(["tail", "--url", url]) == 0
    assert capsys.readouterr() == ("", "no requests yet\n")


def test_a_line_holds_what_matters(capsys):
    x = finished("r_1", NOW, status=502, outcome=Outcome.UPSTREAM_ERROR, termination="BW",
                 error="backend_timeout", attempts=2, prompt_tokens=2118, cached_tokens=1673,
                 output_tokens=402, ttft_s=0.31, tokens_per_s=60.8, total_s=6.9)  # fmt: skip
    with dashboard(Scene(finished_list=[x])) as (url, _):
        main(["tail", "--url", url])
    line = re.sub(r"\s+", " ", capsys.readouterr().out)
    assert line[9:] == (
        "502 qwen3-32b-instruct → gpu-a 2,118+402 tok 79% cached ttft 0.31s 60.8 tok/s 6.90s "
        "2 attempts BW backend_timeout open-webui r_1 "
    )
