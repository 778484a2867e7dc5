"""The real engine itself: the tests above it stand on these facts."""

import socket

import pytest

pytestmark = pytest.mark.engine

CHAT = {"messages": [{"role": "user", "content": "hello"}], "max_tokens": 8}


def test_two_engines_answer_under_their_own_names(engine_factory):
    for engine, name in [(engine_factory(alias=name), name) for name in ("one", "two")]:
        status, answer = engine.ask("POST", "/v1/chat/completions", CHAT)
        assert (status, answer["model"]) == (200, name)
        assert answer["usage"]["completion_tokens"] > 0


def test_a_killed_engine_refuses_connections_and_comes_back_on_its_port(engine_factory):
    engine = engine_factory()
    engine.kill()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", engine.port))
    port = engine.port
    engine.restart()
    assert engine.port == port
    assert engine.ask("GET", "/health") == (200, {"status": "ok"})


def test_a_frozen_engine_accepts_connections_and_answers_when_thawed(engine_factory):
    engine = engine_factory()
    engine.freeze()
    with socket.create_connection(("127.0.0.1", engine.port), timeout=5) as connection:
        connection.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
        engine.thaw()
        assert connection.recv(15) == b"HTTP/1.1 200 OK"


def test_the_thinking_model_thinks_and_then_speaks(engine_factory):
    engine = engine_factory("think")
    question = CHAT | {"max_tokens": 64, "reasoning_budget_tokens": 4, "seed": 1}
    _, answer = engine.ask("POST", "/v1/chat/completions", question)
    message = answer["choices"][0]["message"]
    assert message["reasoning_content"]
    assert message["content"]


def test_a_wrong_key_is_refused(engine_factory):
    engine = engine_factory(api_key="secret")
    status, answer = engine.ask("POST", "/v1/chat/completions", CHAT)
    assert (status, answer["error"]["message"]) == (401, "Invalid API Key")


@pytest.mark.parametrize(
    ("kind", "path", "question", "count"),
    [
        ("embed", "/v1/embeddings", {"input": ["a slot", "the cache"]}, "data"),
        ("rerank", "/v1/rerank", {"query": "a", "documents": ["a slot", "b"]}, "results"),
    ],
)
def test_embedding_and_reranking_models_do_their_work(engine_factory, kind, path, question, count):
    status, answer = engine_factory(kind).ask("POST", path, question)
    assert status == 200
    assert len(answer[count]) == 2
