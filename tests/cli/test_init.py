"""``multiproxy init``: a config that works at once, and never one file lost."""

import argparse

import pytest
from multiproxy_process import free_port

from multiproxy.cli import main
from multiproxy.cli.init import init
from multiproxy.config import load


@pytest.fixture
def path(tmp_path):
    return tmp_path / "config.yaml"


def looking(path, *ports, force=False):
    options = argparse.Namespace(output=str(path), force=force, urls=[])
    return init(options, ports)


def test_what_is_found_is_written_and_checks_out(path, engines, capsys):
    assert looking(path, engines("llama"), free_port(), engines("ollama")) == 0
    shown = capsys.readouterr().out
    assert "llama-server: qwen3-32b\n" in shown and "Ollama: llama3.2:latest\n" in shown
    assert f"Wrote {path}. Start with: multiproxy serve -c {path}\n" in shown
    assert main(["check", "--probe", str(path)]) == 0


def test_urls_are_taken_as_people_write_them(path, engines):
    port = engines("vllm")
    urls = [f"127.0.0.1:{port}", f"http://127.0.0.1:{port}/v1/", "http://127.0.0.1:1"]
    assert main(["init", "-o", str(path), *urls]) == 0
    assert [str(backend.url) for backend in load(path).backends] == [
        f"http://127.0.0.1:{port}",
        "http://127.0.0.1:1",
    ]
    assert "# when this was written: connection refused to 127.0.0.1:1\n" in path.read_text()


def test_a_file_is_replaced_only_by_force(path, engines, capsys):
    path.write_text("mine")
    port = engines("llama")
    assert looking(path, port) == 2
    assert (path.read_text(), "--force replaces it" in capsys.readouterr().err) == ("mine", True)
    assert looking(path, port, force=True) == 0
    assert len(load(path).backends) == 1


def test_by_force_a_link_stays_a_link(path, tmp_path, engines):
    target = tmp_path / "real.yaml"
    target.write_text("mine")
    path.symlink_to(target)
    assert looking(path, engines("llama"), force=True) == 0
    assert path.is_symlink() and len(load(target).backends) == 1


def test_nothing_found_writes_nothing_and_tells_the_ways_out(path, engines, capsys):
    assert looking(path, engines("multiproxy"), engines("other")) == 1
    error = capsys.readouterr().err
    assert "multiproxy init http://" in error and "multiproxy demo" in error
    assert not path.exists()


def test_a_bad_url_is_wrong_usage(path, capsys):
    assert main(["init", "-o", str(path), "ftp://gpu"]) == 2
    assert capsys.readouterr().err.startswith("error: the URL must be an http or https URL")
    assert not path.exists()
