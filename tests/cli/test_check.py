import json

import pytest

from multiproxy.cli import main

GOOD = "backends: [{simulate: true}, {url: 'http://10.0.0.1:8080'}]\nmodels: {m: [simulated-1]}\n"
BAD = "backends:\n  - url: http://10.0.0.1:8080\n    slot: 4\nworker: 2\n"


@pytest.fixture
def config(tmp_path):
    path = tmp_path / "config.yaml"

    def write(text):
        path.write_text(text)
        return str(path)

    return write


def test_a_valid_file_is_counted(config, capsys):
    path = config(GOOD)
    assert main(["check", path]) == 0
    assert capsys.readouterr().out == f"{path} is valid: 2 backends, 1 model\n"


def test_every_mistake_is_shown_on_standard_error(config, capsys):
    path = config(BAD)
    assert main(["check", path]) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert f"--> {path}:3:5" in shown.err
    assert f"--> {path}:4:1" in shown.err
    assert shown.err.endswith(f"2 problems in {path}\n")


def test_json_is_for_programs(config, capsys):
    assert main(["check", "--json", config(GOOD)]) == 0
    assert json.loads(capsys.readouterr().out) == []
    assert main(["check", "--json", config(BAD)]) == 2
    problems = json.loads(capsys.readouterr().out)
    assert [(problem["line"], problem["column"]) for problem in problems] == [(3, 5), (4, 1)]


def test_without_a_name_the_config_of_serve_is_checked(config, capsys, monkeypatch, tmp_path):
    config(GOOD)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MULTIPROXY_CONFIG", raising=False)
    assert main(["check"]) == 0
    assert capsys.readouterr().out.startswith("config.yaml is valid")


def test_no_config_at_all_is_wrong_usage(capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.delenv("MULTIPROXY_CONFIG", raising=False)
    assert main(["check"]) == 2
    assert "no configuration found; looked for\n  config.yaml\n" in capsys.readouterr().err


def test_the_file_is_named_as_for_other_commands_too(tmp_path, capsys):
    path = tmp_path / "config.yaml"
    path.write_text("backends: [{simulate: true}]")
    assert main(["check", "-c", str(path)]) == 0
    assert capsys.readouterr().out == f"{path} is valid: 1 backend\n"
    with pytest.raises(SystemExit):
        main(["check", "-c", str(path), str(path)])
    assert capsys.readouterr().err.startswith("error: two files: FILE and --config\n")
