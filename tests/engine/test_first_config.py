"""The first minutes in front of real engines: ``init``, ``check --probe``, ``serve``, an answer."""

import subprocess
import sys

import pytest

pytestmark = pytest.mark.engine

QUESTION = {"max_tokens": 8, "messages": [{"role": "user", "content": "hello"}]}


def multiproxy(*words):
    command = [sys.executable, "-m", "multiproxy", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, timeout=40)


def test_what_init_writes_is_accepted_and_serves(engine_factory, multiproxy_process, tmp_path):
    engines = [engine_factory(alias=name) for name in ("one", "two")]
    path = tmp_path / "config.yaml"
    written = multiproxy("init", "--output", path, *(engine.url for engine in engines))
    assert written.returncode == 0, written.stderr
    assert "llama-server: one\n" in written.stdout and "llama-server: two\n" in written.stdout
    assert path.read_text().startswith("# yaml-language-server: $schema=")

    checked = multiproxy("check", "--probe", "--config", path)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert "no backend is down" in checked.stdout
    assert checked.stdout.count("4,096") == 2, "the context of a slot, as the engine tells it"

    proxy = multiproxy_process(path.read_text())
    for name in ("one", "two"):
        status, answer = proxy.ask("POST", "/v1/chat/completions", {"model": name, **QUESTION})
        assert (status, answer["model"]) == (200, name)
    engines[1].kill()
    checked = multiproxy("check", "--probe", "--config", path)
    assert checked.returncode == 1
    assert "1 of 2 backends is down" in checked.stdout
