import json
import os
import threading

import pytest

from multiproxy.supervisor import log as log_module
from multiproxy.supervisor.log import Level, Log, line_format, printable


@pytest.fixture
def pipe():
    read, write = os.pipe()
    yield read, write
    os.close(read)
    os.close(write)


def test_json_lines_tell_level_and_text(pipe):
    read, write = pipe
    log = Log("json", write)
    log.warning("gpu-c is down: \x1b[31mred\u2028")
    log.close()
    line = json.loads(os.read(read, 4096))
    assert line.pop("ts") > 1_700_000_000
    assert line == {
        "level": "warning",
        "event": "supervisor",
        "text": "gpu-c is down: \x1b[31mred\u2028",
    }


def test_text_lines_tell_the_time_and_never_steer_the_terminal(pipe):
    read, write = pipe
    log = Log("text", write)
    log.warning("gpu-c is down: \x1b[31mred\nfake")
    log.close()
    assert os.read(read, 4096)[8:] == b" WARN gpu-c is down: \\x1b[31mred\\nfake\n"


def test_systemd_gets_priorities_and_no_time(pipe, monkeypatch):
    monkeypatch.setenv("JOURNAL_STREAM", "8:1")
    assert line_format("auto", pipe[1])(0.0, Level.ERROR, "worker 1 died") == "<3>worker 1 died\n"


def test_a_pipe_is_no_terminal_so_auto_means_json(pipe, monkeypatch):
    monkeypatch.delenv("JOURNAL_STREAM", raising=False)
    assert line_format("auto", pipe[1]) is log_module.json_line


def test_a_blocked_reader_costs_lines_and_never_a_wait(pipe, monkeypatch):
    monkeypatch.setattr(log_module, "WAITING_LINES", 10)
    monkeypatch.setattr(log_module, "CLOSE_S", 0.01)
    read, write = pipe
    os.set_blocking(write, False)
    try:
        while True:
            os.write(write, b"x" * 65_536)
    except BlockingIOError:
        os.set_blocking(write, True)
    log = Log("text", write)
    for number in range(100):
        log.info(f"line {number}")
    assert 85 <= log.dropped <= 90  # ten wait, one may be inside the write
    log.close()  # gives up
    _drain_until(read, b"lines lost")
    # Its thread must be gone before the descriptor is somebody else's.
    monkeypatch.setattr(log_module, "CLOSE_S", 10)
    log.close()
    assert "log" not in {thread.name for thread in threading.enumerate()}


def _drain_until(read, word):
    seen = b""
    while word not in seen:
        seen = seen[-100:] + os.read(read, 65_536)


def test_a_closed_reader_costs_lines_only(pipe):
    read, write = os.pipe()
    os.close(read)
    log = Log("text", write)
    log.info("into the void")
    log.close()
    os.close(write)
    assert log.dropped == 1


def test_muted_lines_are_kept_for_the_dashboard_and_errors_are_written(pipe):
    read, write = pipe
    log = Log("text", write)
    log.is_muted = True
    log.info("gpu-a is up")
    log.error("worker 1 died")
    log.close()
    assert os.read(read, 4096)[9:] == b"ERROR worker 1 died\n"
    assert [(event.seq, event.text) for event in log.events] == [
        (1, "gpu-a is up"),
        (2, "worker 1 died"),
    ]


def test_the_writing_thread_does_not_keep_the_program_alive():
    log = Log("text", 2)
    thread = next(each for each in threading.enumerate() if each.name == "log")
    assert thread.daemon
    log.close()
    assert not thread.is_alive()


def test_ordinary_text_stays_as_it_is():
    assert printable("Größe 日本 ✓ 100 %") == "Größe 日本 ✓ 100 %"
