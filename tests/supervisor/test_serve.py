"""``multiproxy serve`` as its users run it: real workers, simulated llama-servers, signals."""

import contextlib
import fcntl
import http.client
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from asking import CHAT, begun_stream

import multiproxy

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")

ROOT = Path(multiproxy.__file__).parent.parent
CONFIG = """
workers: 2
timeouts: {drain: 20s}
backends:
  - simulate: {tokens_per_second: 100}
"""
PIPE_SIZE = 4_096


class Served:
    def __init__(self, config, **options):
        self.config = config
        command = [
            sys.executable, "-m", "multiproxy", "serve", "--config", str(config),
            "--listen", "127.0.0.1:0", "--dashboard", "127.0.0.1:0", "--log-format", "json",
        ]  # fmt: skip
        self.process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, **options)
        first = json.loads(self.process.stderr.readline())["text"]
        self.port, self.dashboard_port = map(int, re.findall(r"127\.0\.0\.1:(\d+)", first))

    def request(self, method, path, body=None, port=None, timeout=20):
        connection = http.client.HTTPConnection("127.0.0.1", port or self.port, timeout=timeout)
        with contextlib.closing(connection):
            connection.request(method, path, body and json.dumps(body))
            answer = connection.getresponse()
            return answer.status, answer.read()

    def wait_ready(self):
        deadline = time.monotonic() + 20
        while self.request("GET", "/readyz")[0] != 200:
            assert time.monotonic() < deadline
            time.sleep(0.05)

    def children(self, command):
        found = {}
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            with contextlib.suppress(OSError):
                arguments = path.read_bytes().split(b"\0")
                parent = int((path.parent / "stat").read_text().rpartition(")")[2].split()[1])
                if parent == self.process.pid and command.encode() in arguments:
                    found[int(path.parent.name)] = arguments
        return found

    def until_log(self, words):
        while line := self.process.stderr.readline():
            if words in line.decode():
                return line.decode()
        raise AssertionError(f"never logged: {words}")


@pytest.fixture
def serve(tmp_path):
    started = []

    def start(text=CONFIG, **options):
        path = tmp_path / "config.yaml"
        path.write_text(text)
        served = Served(path, **options)
        started.append(served)
        served.wait_ready()
        return served

    yield start
    for served in started:
        served.process.kill()
        served.process.stderr.close()
        served.process.wait()


def test_a_chat_goes_through_and_shows_on_the_dashboard(serve):
    served = serve()
    status, body = served.request("POST", "/v1/chat/completions", CHAT | {"max_tokens": 3})
    assert status == 200
    assert json.loads(body)["usage"]["completion_tokens"] == 3
    line = json.loads(served.until_log('"api":"chat"'))
    assert (line["backend"], line["output_tokens"]) == ("simulated-1", 3)
    page = served.request("GET", "/", port=served.dashboard_port)[1].decode()
    assert "simulated-1" in page


def test_sigterm_lets_a_running_stream_finish_and_exits_with_0(serve):
    served = serve()
    connection, answer = begun_stream(served.port, tokens=150)
    served.process.send_signal(signal.SIGTERM)
    rest = answer.read()
    assert rest.endswith(b"data: [DONE]\n\n")
    connection.close()
    assert served.process.wait(10) == 0
    assert "Draining: 1 request running" in served.process.stderr.read().decode()


def test_a_second_signal_ends_a_running_stream_without_done(serve):
    served = serve()
    connection, answer = begun_stream(served.port, tokens=6_000)
    served.process.send_signal(signal.SIGINT)
    served.until_log("Draining")
    served.process.send_signal(signal.SIGINT)
    with contextlib.suppress(http.client.HTTPException, OSError):
        assert b"[DONE]" not in answer.read()
    connection.close()
    assert served.process.wait(10) == 130


def test_only_the_streams_of_a_killed_worker_end(serve):
    served = serve()
    served.until_log("2 workers serving")
    streams = [begun_stream(served.port, tokens=150) for _ in range(12)]
    victim = min(served.children("worker"))
    os.kill(victim, signal.SIGKILL)
    whole = 0
    for connection, answer in streams:
        with contextlib.suppress(http.client.HTTPException, OSError):
            whole += answer.read().endswith(b"data: [DONE]\n\n")
        connection.close()
    assert 0 < whole < 12
    served.until_log("died (signal 9)")
    assert served.request("POST", "/v1/chat/completions", CHAT | {"max_tokens": 2})[0] == 200


def test_a_reload_serves_new_backends_and_cuts_no_stream(serve):
    served = serve()
    connection, answer = begun_stream(served.port, tokens=150)
    served.config.write_text(CONFIG + "  - {id: second, simulate: {model: other}}\n")
    served.process.send_signal(signal.SIGHUP)
    served.until_log("configuration loaded: 2 backends")
    deadline = time.monotonic() + 20
    while b'"other"' not in served.request("GET", "/v1/models")[1]:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert served.request("POST", "/v1/chat/completions", CHAT | {"model": "other"})[0] == 200
    assert answer.read().endswith(b"data: [DONE]\n\n")
    connection.close()


def test_everything_ends_when_the_supervisor_is_killed(serve):
    served = serve()
    orphans = {*served.children("worker"), *served.children("simulate")}
    assert len(orphans) == 3
    served.process.kill()
    deadline = time.monotonic() + 20
    while any(_is_running(pid) for pid in orphans):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def _is_running(pid):
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def test_a_log_that_nobody_reads_stops_neither_requests_nor_the_supervisor(serve):
    served = serve()
    fcntl.fcntl(served.process.stderr, fcntl.F_SETPIPE_SZ, PIPE_SIZE)
    for _ in range(8 * PIPE_SIZE // 250):  # bytes of one line
        assert served.request("GET", "/nowhere")[0] == 404
    victim = min(served.children("worker"))
    os.kill(victim, signal.SIGKILL)
    deadline = time.monotonic() + 20
    while len(set(served.children("worker")) - {victim}) < 2:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert served.request("POST", "/v1/chat/completions", CHAT | {"max_tokens": 2})[0] == 200
