"""``multiproxy config``: the right file, what overrides it, and what may be in it."""

import json
import os
import subprocess
import sys

import pytest

from multiproxy.cli import main
from multiproxy.config.reference import reference
from multiproxy.config.schema import schema

GOOD = "listen: 127.0.0.1:8001\nbackends: [{simulate: true}]\n"


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in list(os.environ):
        if name.startswith("MULTIPROXY_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    (tmp_path / "config.yaml").write_text(GOOD)


@pytest.mark.usefixtures("here")
def test_a_variable_wins_over_the_file_and_says_so(capsys, monkeypatch):
    monkeypatch.setenv("MULTIPROXY_LISTEN", "127.0.0.1:99")
    monkeypatch.setenv("MULTIPROXY_LOG_FORMAT", "json")
    assert main(["config", "show"]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert lines[0] == ["#", "config.yaml"]
    assert ["listen:", "127.0.0.1:99", "#", "MULTIPROXY_LISTEN"] in lines
    assert ["format:", "json", "#", "MULTIPROXY_LOG_FORMAT"] in lines
    assert ["listen:", "127.0.0.1:8080", "#", "default"] in lines


@pytest.mark.usefixtures("here")
def test_a_dashboard_that_a_variable_switched_off_is_shown_off(capsys, monkeypatch):
    monkeypatch.setenv("MULTIPROXY_DASHBOARD", "off")
    assert main(["config", "show", "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert (shown["file"], shown["config"]["dashboard"]) == ("config.yaml", False)
    assert shown["sources"]["dashboard"] == "MULTIPROXY_DASHBOARD"
    assert shown["sources"]["listen"] == "line 1"


@pytest.mark.usefixtures("here")
def test_the_path_is_the_file_that_serve_would_use(capsys, tmp_path):
    assert main(["config", "path"]) == 0
    assert capsys.readouterr().out == "config.yaml\n"
    (tmp_path / "config.yaml").unlink()
    assert main(["config", "path"]) == 2
    assert "no configuration found" in capsys.readouterr().err


@pytest.mark.usefixtures("here")
def test_a_bad_file_shows_its_problems_and_nothing_else(capsys, tmp_path):
    (tmp_path / "config.yaml").write_text(GOOD + "worker: 2\n")
    assert main(["config", "show"]) == 2
    shown = capsys.readouterr()
    assert (shown.out, "config.yaml:3:1" in shown.err) == ("", True)


def test_schema_and_reference_are_printed_without_a_config(capsys):
    assert main(["config", "schema"]) == 0
    assert json.loads(capsys.readouterr().out) == schema()
    assert main(["config", "reference"]) == 0
    assert capsys.readouterr().out == reference()


def test_a_reader_that_leaves_early_sees_no_traceback():
    command = [sys.executable, "-m", "multiproxy", "config", "schema"]
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE)
    os.close(writer)
    assert (done.returncode, done.stderr) == (1, b"")
