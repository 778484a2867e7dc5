"""The text of a first config: valid, in the order of the servers, out of their way."""

from pathlib import Path

import pytest

from multiproxy.cli.discover import Server
from multiproxy.cli.new_config import text
from multiproxy.config import Url, load


def local(port, kind="llama-server", *models, **more):
    return Server(Url("http", "127.0.0.1", port), kind, models, **more)


@pytest.fixture
def loaded(tmp_path):
    def loaded(*servers, is_free=lambda port: True):
        path = tmp_path / "config.yaml"
        path.write_text(text(servers, is_free))
        return load(path)

    return loaded


def test_each_server_is_a_backend_with_a_short_name(loaded):
    far = Server(Url("https", "gpu.example.org", 443, "/llama"))
    config = loaded(local(8081, "llama-server", "m"), local(1234, "LM Studio", "n"), far)
    assert [(backend.id, str(backend.url)) for backend in config.backends] == [
        ("llama-server-8081", "http://127.0.0.1:8081"),
        ("lm-studio-1234", "http://127.0.0.1:1234"),
        ("gpu.example.org-443", "https://gpu.example.org/llama"),
    ]


def test_our_own_addresses_avoid_the_servers_and_whatever_else_listens(loaded):
    config = loaded(local(8080), local(8001), is_free=lambda port: port not in (8002, 8081))
    assert (config.listen.port, config.dashboard.listen.port) == (8003, 8082)


def test_one_model_becomes_the_default_and_several_do_not(loaded):
    assert loaded(local(8081, "vLLM", "m"), local(8082, "vLLM", "m")).default_model == "m"
    assert loaded(local(8081, "vLLM", "m"), local(8082, "vLLM", "n")).default_model is None


def test_ourselves_are_no_backend(loaded):
    config = loaded(local(8081), local(8001, "MultiProxy", "m"))
    assert [backend.id for backend in config.backends] == ["llama-server-8081"]


def test_names_from_servers_cannot_write_settings(loaded):
    config = loaded(local(8081, "llama-server", "x\nlisten: 0.0.0.0:1", "ok: no"))
    assert (config.listen.port, config.default_model) == (8001, None)


def test_hosts_that_give_the_same_or_no_name_get_numbers(loaded):
    servers = [Server(Url("http", host, 80)) for host in ("gpu_1", "gpu-1", "::2")]
    assert [backend.id for backend in loaded(*servers).backends] == ["gpu-1-80", "b2", "2-80"]


def test_a_server_that_wants_a_key_gets_a_place_for_it():
    shown = text([local(8081, problem="it refuses our api_key (status 401)")], lambda port: True)
    assert '    #api_key: "${BACKEND_KEY}"\n' in shown


def test_the_first_line_leads_editors_to_the_schema():
    first = text([local(8081)], lambda port: True).partition("\n")[0]
    start, _, path = first.partition("=")
    assert start == "# yaml-language-server: $schema"
    assert Path(path).is_absolute() and Path(path).name == "config.schema.json"
    assert Path(path).is_file()
