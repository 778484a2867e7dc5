"""The screen of ``multiproxy status``, line by line."""

from dataclasses import replace

import pytest
from cli.answering import dashboard
from dashboard_scene import Scene, backend, busy, finished

from multiproxy.cli import main
from multiproxy.supervisor.dashboard.views import BackendState


def screen(scene, capsys):
    with dashboard(scene) as (url, _):
        status = main(["status", "--url", url])
    return status, capsys.readouterr().out.replace(url, "URL").splitlines()


def test_a_busy_one_on_one_screen(capsys):
    status, lines = screen(busy(), capsys)
    assert status == 0
    assert lines[0] == "MultiProxy at URL, up 6 d 4 h, 2 of 2 workers, config.yaml"
    assert lines[2].split() == [
        "backend", "state", "slots", "tok/s", "TTFT", "p50", "failed", "model",
    ]  # fmt: skip
    assert lines[3].split()[:3] == ["gpu-a", "up", "4/4"]
    assert lines[7].split()[:3] == ["gpu-c", "down", "0/4"]
    assert lines[7].endswith("connection refused")
    assert lines[9].startswith("5 requests running, 2 waiting · ")
    assert lines[10].startswith("last 5m: 90 requests, ")
    assert max(map(len, lines)) <= 100


def test_it_fails_when_nothing_could_be_served(capsys):
    down = Scene(backend_list=[backend(state=BackendState.DOWN)])
    assert screen(down, capsys)[0] == 1
    assert screen(Scene(), capsys)[0] == 1


def test_problems_and_a_failed_reload_are_told(capsys):
    scene = busy()
    scene.state = replace(scene.state, problems=("Disk full.",), reload_error="line 3: no")
    lines = screen(scene, capsys)[1]
    assert lines[-2:] == ["warning: Disk full.", "warning: the last reload failed: line 3: no"]


@pytest.mark.parametrize("name", ["\x1b[31mred", "a\nb"])
def test_a_name_from_outside_does_not_steer_the_terminal(name, capsys):
    scene = Scene(backend_list=[backend(models=(name,))], finished_list=[finished(model=name)])
    with dashboard(scene) as (url, _):
        main(["status", "--url", url])
        main(["tail", "--url", url])
    assert name not in capsys.readouterr().out
