"""``check --probe``: each backend's own words, and the exit status that scripts act on."""

import json

import pytest
from multiproxy_process import free_port

from multiproxy.cli import main
from multiproxy.cli.probe import Finding, table
from multiproxy.config import Backend, Config, Model, Url

LLAMA = "llama"


@pytest.fixture
def config(tmp_path):
    def write(*entries, more=""):
        path = tmp_path / "config.yaml"
        path.write_text(f"backends: [{', '.join(entries)}]\n{more}")
        return str(path)

    return write


def at(name, port):
    return f"{{id: {name}, url: 'http://127.0.0.1:{port}'}}"


def test_all_is_well_when_no_backend_is_down(config, engines, capsys):
    path = config(at("gpu", engines("llama")), at("slow", engines("loading")), "{simulate: true}")
    assert main(["check", "--probe", path]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert lines[2] == ["backend", "state", "model", "slots", "context", "answered", "in"]
    assert lines[3][:5] == ["gpu", "up", "qwen3-32b", "4", "8,192"] and lines[3][-1] == "ms"
    assert lines[4] == ["slow", "loading", "loading", "its", "model"]
    assert lines[5][:2] == ["simulated-1", "simulated"]
    assert lines[-1] == ["no", "backend", "is", "down"]


def test_a_backend_that_is_down_makes_it_1(config, engines, capsys):
    port = free_port()
    assert main(["check", "--probe", config(at("a", engines("llama")), at("b", port))]) == 1
    shown = capsys.readouterr().out
    assert f"down   connection refused to 127.0.0.1:{port}\n" in shown
    assert shown.endswith("1 of 2 backends is down\n")


def test_a_wrong_key_is_down_and_says_why(config, engines, capsys):
    assert main(["check", "--probe", config(at("a", engines("locked")))]) == 1
    assert "it refuses our api_key (status 401)" in capsys.readouterr().out


def test_authorities_that_are_not_there_are_a_backend_that_is_down(config, capsys):
    path = config("{id: far, url: 'https://127.0.0.1:1', tls: {ca: missing.pem}}")
    assert main(["check", "--probe", path]) == 1
    assert "missing.pem" in capsys.readouterr().out


def test_mistakes_in_the_file_make_it_2_and_nobody_is_asked(config, capsys):
    assert main(["check", "--probe", "--json", config("{simulate: true}", more="worker: 2\n")]) == 2
    found = json.loads(capsys.readouterr().out)
    assert [problem["path"] for problem in found["problems"]] == ["worker"]
    assert found["backends"] == []


def test_programs_get_every_finding(config, engines, capsys):
    assert main(["check", "--probe", "--json", config(at("gpu", engines("llama")))]) == 0
    (found,) = json.loads(capsys.readouterr().out)["backends"]
    assert found.pop("answered_ms") > 0
    assert found == {
        "id": "gpu",
        "state": "up",
        "reason": "",
        "models": ["qwen3-32b"],
        "slots": 4,
        "context_size": 8192,
    }


def config_of(*models):
    backends = tuple(Backend(name, Url("http", name, 80)) for name in "ab")
    return Config(backends=backends, models=models)


def test_different_context_sizes_of_one_model_are_worth_a_warning():
    findings = [Finding("a", "up", "", ("m",), 4, 8192), Finding("b", "up", "", ("m",), 4, 4096)]
    shown = table(config_of(Model("m", ("a", "b"))), findings)
    assert "warning: model 'm' has backends with different context sizes\n" in shown
    assert "warning" not in table(config_of(Model("m", ("a",))), findings)


def test_a_model_that_no_backend_reports_is_worth_a_warning():
    findings = [Finding("a", "up", "", ("m",), 4, 8), Finding("b", "up", "", ("n",), 4, 8)]
    shown = table(config_of(Model("m"), Model("typo")), findings)
    assert "no backend reports a model 'typo'" in shown and "'m'" not in shown
    loading = [findings[0], Finding("b", "loading", "loading its model")]
    assert "warning" not in table(config_of(Model("typo")), loading)
