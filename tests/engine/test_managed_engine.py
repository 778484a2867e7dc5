"""A real llama-server as the command of a backend: started, swapped, killed, ended."""

import json
import os
import signal
import sys

import pytest
from engine.gguf_model import write_model
from engine.launcher import SCRIPT
from waiting import until

from multiproxy.cli.instance import Instance

pytestmark = pytest.mark.engine

QUESTION = {"max_tokens": 8, "messages": [{"role": "user", "content": "hello"}]}


@pytest.mark.timeout(120)
def test_two_models_take_turns_and_a_killed_one_comes_back(model_folder, multiproxy_process):
    backends = []
    for kind in ("chat", "think"):
        model = model_folder / f"tiny-{kind}.gguf"
        if not model.exists():
            write_model(kind, model)
        options = json.dumps({"port": 0, "model_alias": f"tiny-{kind}"})
        options = options.replace('"port": 0', '"port": ${PORT}')
        command = [sys.executable, str(SCRIPT), str(model), options]
        backends.append({"id": kind, "command": command, "exclusive": "memory"})
    proxy = multiproxy_process({"backends": backends})

    def server(id):
        told = Instance(proxy.dashboard_url).get("backends")["backends"]
        return next(each for each in told if each["id"] == id)["server"]

    def asks(model, path="/v1/chat/completions"):
        status, answer = proxy.ask("POST", path, {"model": model, **QUESTION})
        assert status == 200, answer
        return answer

    assert 0 < asks("chat")["usage"]["completion_tokens"] <= 8
    assert 0 < asks("think", "/v1/messages")["usage"]["output_tokens"] <= 8
    until(lambda: server("chat")["pid"] is None, 30)
    assert asks("tiny-chat")["model"] == "tiny-chat", "as it reported itself"
    assert (server("chat")["starts"], server("think")["starts"]) == (2, 1)

    victim = server("chat")["pid"]
    os.kill(victim, signal.SIGKILL)
    until(lambda: server("chat")["pid"] not in (None, victim), 30)
    assert asks("chat")
    assert any("READY http" in line["text"] for line in server("chat")["lines"])
    proxy.terminate()
    assert proxy.wait() == 0
