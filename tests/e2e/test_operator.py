"""What an operator does to a running MultiProxy, from a shell and with its real workers."""

import contextlib
import http.client
import os
import signal
import socket
import threading

import pytest
from asking import CHAT, begun_stream
from multiproxy_process import MultiProxyProcess
from waiting import until

from multiproxy.cli import main
from multiproxy.cli.instance import Instance

CONFIG = {
    "timeouts": {"drain": "5s"},
    "backends": [
        {"id": "gpu-a", "simulate": {"tokens_per_second": 50}},
        {"id": "gpu-b", "simulate": {"tokens_per_second": 50}},
    ],
}


@pytest.fixture
def house(tmp_path):
    running = MultiProxyProcess(CONFIG, tmp_path, workers=2)
    try:
        running.wait_until_ready()
        both = {"gpu-a", "gpu-b"}
        until(lambda: both == {b["id"] for b in states(running) if b["state"] == "up"})
        yield running
    finally:
        running.end()


def states(house):
    return Instance(house.dashboard_url).get("backends")["backends"]


def backend_of(house, body=CHAT | {"max_tokens": 1}):
    """Which backend answered, by the access log."""
    seen = len([line for line in house.log_lines() if line.get("event") == "request"])
    assert house.ask("POST", "/v1/chat/completions", body)[0] == 200
    return house.wait_for_requests(seen + 1)[-1]["backend"]


def test_a_drained_backend_gets_nothing_new_even_from_a_new_worker(house):
    assert main(["drain", "gpu-a", "--url", house.dashboard_url]) == 0
    assert {backend_of(house) for _ in range(6)} == {"gpu-b"}
    old = house.worker_pids()
    for pid in old:
        os.kill(pid, signal.SIGKILL)
    until(lambda: len(house.worker_pids()) == 2 and not set(old) & set(house.worker_pids()))
    until(lambda: Instance(house.dashboard_url).get("overview")["health"]["workers_serving"] == 2)
    assert {backend_of(house) for _ in range(6)} == {"gpu-b"}
    assert main(["reload", "--url", house.dashboard_url]) == 0
    assert {backend_of(house) for _ in range(6)} == {"gpu-b"}
    assert main(["resume", "gpu-a", "--url", house.dashboard_url]) == 0
    until(lambda: backend_of(house) == "gpu-a")


def test_what_runs_at_a_drained_backend_ends_there(house):
    assert main(["drain", "gpu-b", "--url", house.dashboard_url]) == 0
    connection, answer = begun_stream(house.port, tokens=60)
    assert main(["drain", "gpu-a", "--wait", "--url", house.dashboard_url]) == 0
    assert answer.read().endswith(b"data: [DONE]\n\n")
    connection.close()


def test_a_cancelled_stream_ends_with_a_word_and_frees_its_slot(house):
    connection, answer = begun_stream(house.port, tokens=4000)
    instance = Instance(house.dashboard_url)
    (running,) = until(lambda: instance.get("overview")["running"])
    instance.act("cancel", id=running["id"])
    with pytest.raises(http.client.IncompleteRead) as cut:
        answer.read()
    assert b'"code":"cancelled_by_operator"' in cut.value.partial
    connection.close()
    until(lambda: not any(b["slots_busy"] for b in states(house)))
    (line,) = house.wait_for_requests(1)
    assert line["error"] == "cancelled_by_operator"
    finished = until(lambda: instance.get("requests")["finished"])
    assert finished[0]["outcome"] == "client_left"


def test_a_reload_is_waited_for_and_a_broken_file_changes_nothing(house, capsys):
    house.write_config(CONFIG | {"backends": [*CONFIG["backends"], {"id": "new", "simulate": {}}]})
    assert main(["reload", "--url", house.dashboard_url]) == 0
    assert {b["id"] for b in states(house) if not b["leaves"]} == {"gpu-a", "gpu-b", "new"}
    house.write_config("backend: []\n")
    assert main(["reload", "--url", house.dashboard_url]) == 1
    assert "unknown setting 'backend'" in capsys.readouterr().err
    assert house.ask("POST", "/v1/chat/completions", CHAT | {"max_tokens": 1})[0] == 200


@pytest.fixture
def dropper():
    """The address of a server that answers probes and drops every request."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=drop_requests, args=(server,), daemon=True).start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}"
        server.shutdown(socket.SHUT_RDWR)


def drop_requests(server):
    answers = {
        b"/health": b'{"status":"ok"}',
        b"/props": b'{"total_slots":4,"default_generation_settings":{"n_ctx":8192}}',
        b"/v1/models": b'{"object":"list","data":[{"id":"demo"}]}',
    }
    while True:
        try:
            client, _ = server.accept()
        except OSError:
            return
        with client, contextlib.suppress(ConnectionResetError):
            asked = client.recv(65_536)
            if not asked:  # somebody looked whether we are there
                continue
            method, path, *_ = asked.split(b" ")
            if method == b"GET":
                body = answers[path]
                head = f"HTTP/1.1 200 OK\r\nServer: llama.cpp\r\nContent-Length: {len(body)}\r\n"
                client.sendall(head.encode() + b"Connection: close\r\n\r\n" + body)


def test_a_retried_request_shows_both_attempts_and_why(dropper, tmp_path):
    backends = [{"id": "bad", "url": dropper, "weight": 1000}, {"id": "good", "simulate": {}}]
    house = MultiProxyProcess({"backends": backends}, tmp_path)
    try:
        house.wait_until_ready()
        until(lambda: all(b["state"] == "up" for b in states(house)))
        instance = Instance(house.dashboard_url)

        def retried():
            connection, answer = begun_stream(house.port, tokens=2)
            answer.read()
            connection.close()
            found = instance.get("requests", {"status": "retried"})["finished"]
            return [x for x in found if len(x["path"]) == 2]

        (x, *_) = until(retried)
        first, second = x["path"]
        assert (first["backend"], first["error"]) == ("bad", "backend_disconnected")
        assert (first["was_retried"], second["backend"]) == (True, "good")
        assert first["ended_s"] <= second["chosen_s"] <= second["sent_s"] <= second["first_s"]
        why = instance.get(f"requests/{x['id']}")["why"]
        assert why[0].startswith("bad chosen first: ")
        assert why[1].startswith("good on retry: ")
    finally:
        house.end()
