"""The settings of docs/clients.md with the clients themselves, in front of a simulated server.

A client that is not installed is skipped: npm install -g @anthropic-ai/claude-code @openai/codex
opencode-ai; pip install aider-chat.
"""

import contextlib
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from multiproxy_process import MultiProxyProcess
from waiting import until

HERE = Path(__file__).parent
PAGE = HERE.parent.parent / "docs/clients.md"
SCRIPTS = sorted([*HERE.glob("*.sh"), *HERE.glob("*_python.py")])
# Agents send tens of thousands of tokens of instructions and tools.
CONFIG = {
    "backends": [
        {
            "simulate": {
                "context_size": 200_000,
                "tokens_per_second": 500,
                "prompt_tokens_per_second": 1_000_000,
            }
        }
    ]
}
# Script -> the program it needs, and how the requests of one run end.
AGENTS = {
    "claude_code.sh": ("claude", "messages", ["tool_calls", "stop"]),
    "codex.sh": ("codex", "responses", ["tool_calls", "stop"]),
    "opencode.sh": ("opencode", "chat", ["tool_calls", "stop"]),
    "aider.sh": ("aider", "chat", ["stop"]),
}


def run(script: Path, proxy: MultiProxyProcess, folder: Path) -> str:
    """Run a script in a folder and a home of its own; what it printed."""
    text = script.read_text().replace("127.0.0.1:8001", f"127.0.0.1:{proxy.port}")
    command = [sys.executable, "-"] if script.suffix == ".py" else ["bash", "-s"]
    home = folder / "home"
    home.mkdir()
    keep = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
    done = subprocess.run(
        command, input=text, capture_output=True, text=True, cwd=folder, timeout=100,
        env=keep | {"HOME": str(home), "XDG_CONFIG_HOME": str(home / ".config")},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def endings(proxy: MultiProxyProcess, api: str) -> list[str]:
    return [
        line["finish_reason"]
        for line in proxy.log_lines()
        if line.get("event") == "request" and line["api"] == api
    ]


@pytest.mark.timeout(120)
@pytest.mark.parametrize("name", AGENTS)
def test_an_agent_calls_a_tool_and_gets_its_answer(name, multiproxy_process, tmp_path):
    program, api, wanted = AGENTS[name]
    if not shutil.which(program):
        pytest.skip(f"there is no {program} here")
    proxy = multiproxy_process(CONFIG)
    run(HERE / name, proxy, tmp_path)
    with contextlib.suppress(TimeoutError):  # the last line may come after the client has left
        until(lambda: endings(proxy, api)[-len(wanted) :] == wanted)
    found = endings(proxy, api)
    assert found[-len(wanted) :] == wanted, found
    assert all(
        line["status"] == 200 for line in proxy.log_lines() if line.get("event") == "request"
    ), proxy.log_text()


@pytest.mark.parametrize("name", ["openai_python.py", "anthropic_python.py"])
def test_an_sdk_calls_a_tool_and_gets_its_answer(name, multiproxy_process, tmp_path):
    proxy = multiproxy_process(CONFIG)
    run(HERE / name, proxy, tmp_path)
    ends = [line["finish_reason"] for line in proxy.log_lines() if line.get("event") == "request"]
    assert ends == ["tool_calls", "stop"] * (len(ends) // 2) != []


def test_curl_gets_whole_and_streamed_answers(multiproxy_process, tmp_path):
    shown = run(HERE / "curl.sh", multiproxy_process(CONFIG), tmp_path)
    assert shown.count('"object":"chat.completion"') == 1
    assert "data: [DONE]" in shown and '"type":"message"' in shown


def settings_of(script: Path) -> str:
    found = re.search(r"^# -- settings\n(.*?)^# -- end$", script.read_text(), re.M | re.S)
    assert found, f"{script.name} has no settings"
    return found[1]


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.name)
def test_the_page_shows_the_settings_that_were_tried(script):
    assert f"\n{settings_of(script)}```\n" in PAGE.read_text()
