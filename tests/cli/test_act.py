"""Drain, resume and reload from a shell."""

import json
from dataclasses import replace

import pytest
from cli.answering import dashboard
from dashboard_scene import busy

from multiproxy.cli import main


@pytest.mark.parametrize("name", ["drain", "resume"])
def test_a_backend_is_held_and_let_go(name, capsys):
    with dashboard() as (url, told):
        assert main([name, "gpu-b", "--url", url]) == 0
        assert told.calls == [(name, "gpu-b")]
    assert capsys.readouterr().out.startswith("gpu-b gets ")


def test_json_tells_what_still_runs_there(capsys):
    with dashboard() as (url, _):
        assert main(["drain", "gpu-a", "--json", "--url", url]) == 0
    assert json.loads(capsys.readouterr().out) == {
        "backend": "gpu-a",
        "drained": True,
        "running": 4,
    }


def test_waiting_ends_when_nothing_runs_there(monkeypatch, capsys):
    scene = busy()
    naps = []

    def nap(seconds):
        naps.append(seconds)
        scene.backend_list[0] = replace(scene.backend_list[0], slots_busy=2 - len(naps))

    monkeypatch.setattr("multiproxy.cli.act.time.sleep", nap)
    with dashboard(scene) as (url, _):
        assert main(["drain", "gpu-a", "--wait", "--url", url]) == 0
    assert len(naps) == 2
    assert "0 running there" in capsys.readouterr().out


def test_a_mistyped_backend_gets_a_suggestion(capsys):
    with dashboard() as (url, _):
        assert main(["drain", "gpub", "--url", url]) == 1
        assert capsys.readouterr().err == "error: no backend 'gpub'; did you mean 'gpu-b'?\n"
        assert main(["drain", "zzz", "--url", url]) == 1
    assert "there are: gpu-a, gpu-b, mac-studio, gpu-d, gpu-c" in capsys.readouterr().err


def test_a_reload_says_what_is_loaded(capsys):
    with dashboard() as (url, told):
        assert main(["reload", "--url", url]) == 0
        assert told.calls == [("reload", "")]
    assert capsys.readouterr().out == "config.yaml is loaded; 2 workers serving\n"


def test_a_file_with_mistakes_is_told_and_fails(capsys):
    with dashboard(problem="config.yaml: unknown setting 'slot'") as (url, _):
        assert main(["reload", "--url", url]) == 1
        assert "unknown setting 'slot'; the old settings go on" in capsys.readouterr().err
        assert main(["reload", "--json", "--url", url]) == 1
    body = json.loads(capsys.readouterr().out)
    assert body == {"ok": False, "error": "config.yaml: unknown setting 'slot'"}
