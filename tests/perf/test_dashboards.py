"""Viewers of the measurement of open dashboards, and what is said of its rounds."""

import socket
import threading

import pytest

import dashboards


def answering(monkeypatch: pytest.MonkeyPatch, *pieces: bytes) -> threading.Event:
    """A dashboard that sends these pieces; set when the viewer has left."""
    listener = socket.create_server(("127.0.0.1", 0))
    monkeypatch.setattr(dashboards, "_DASHBOARD", listener.getsockname()[1])
    left = threading.Event()

    def serve() -> None:
        with listener, listener.accept()[0] as connection:
            asked = connection.recv(1000)
            assert asked.startswith(b"GET /live/overview HTTP/1.1\r\n")
            for piece in pieces:
                connection.sendall(piece)
            while connection.recv(1000):
                pass
        left.set()

    threading.Thread(target=serve, daemon=True).start()
    return left


def test_a_viewer_leaves_when_its_block_ends(monkeypatch):
    left = answering(monkeypatch, b"HTTP/1.1 200 OK\r\n\r\n")
    with dashboards.Viewer().watching():
        assert not left.is_set()
    assert left.wait(10)


def test_a_refused_viewer_ends_the_measurement(monkeypatch):
    answering(monkeypatch, b"HTTP/1.1 503 Service Unavailable\r\n\r\n")
    with pytest.raises(RuntimeError, match="503"), dashboards.Viewer().watching():
        pass


def test_the_worker_is_told_from_the_supervisor():
    rounds = [
        {"cpu_us_by_process": [2.0, 40.0], "p50_us": 1000, "p99_us": 3000, "per_second": 10_000.0},
        {"cpu_us_by_process": [4.0, 44.0], "p50_us": 1500, "p99_us": 5000, "per_second": 10_000.0},
    ]
    told = dashboards.line(10, rounds, 7)
    assert "worker us/event 42.00 [40.00..44.00]" in told
    assert "supervisor us/event 3.00 [2.00..4.00]" in told
    assert "p99 ms 4.00 [3.00..5.00]" in told
