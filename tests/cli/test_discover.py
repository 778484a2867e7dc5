"""Who is who among inference servers, from the answers each gives."""

import pytest
from multiproxy_process import free_port

from multiproxy.cli.discover import Server, at, on_this_machine
from multiproxy.config import Url


@pytest.mark.parametrize(
    ("kind", "name", "models", "slots", "context_size"),
    [
        ("llama", "llama-server", ("qwen3-32b",), 4, 8192),
        ("ollama", "Ollama", ("llama3.2:latest",), 0, 0),
        ("lm-studio", "LM Studio", ("gemma-3-27b-it",), 0, 0),
        ("vllm", "vLLM", ("Qwen/Qwen3-8B",), 0, 0),
        ("multiproxy", "MultiProxy", ("demo",), 0, 0),
    ],
)
def test_a_server_is_known_by_its_answers(engines, kind, name, models, slots, context_size):
    port = engines(kind)
    url = Url("http", "127.0.0.1", port)
    assert on_this_machine([port]) == [Server(url, name, models, slots, context_size)]


def test_other_web_servers_and_closed_ports_are_passed_over(engines):
    assert on_this_machine([engines("other"), free_port()]) == []


def test_a_server_that_loads_is_found_without_its_models(engines):
    (found,) = on_this_machine([engines("loading")])
    assert (found.kind, found.models, found.problem) == ("llama-server", (), "loading its model")


def test_what_was_asked_for_by_url_is_there_even_if_it_does_not_answer():
    port = free_port()
    (found,) = at([Url("http", "127.0.0.1", port)])
    assert (found.kind, found.problem) == ("server", f"connection refused to 127.0.0.1:{port}")
