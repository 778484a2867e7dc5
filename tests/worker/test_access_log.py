"""Lines of the access log, and what happens when nobody reads them."""

import os
import re

import orjson
import pytest

from multiproxy.scoreboard import NO_BACKEND, Finished
from multiproxy.worker import access_log
from multiproxy.worker.access_log import AccessLog

SECOND = 10**9


def record(**more: object) -> Finished:
    fields: dict[str, object] = {
        "request_id": "0123456789ab", "endpoint": "chat", "dialect": "openai", "stream": True,
        "status": 200, "termination": "--", "error": "", "model_asked": "demo",
        "model_served": "demo", "backend": 0, "attempts": 1, "key": "ann", "client": "127.0.0.1",
        "user_agent": "curl/8", "finish_reason": "stop",
        "started_unix_ns": 1_700_000_000 * SECOND, "queue_ns": 0, "connect_ns": SECOND // 100,
        "first_event_ns": SECOND // 2, "last_event_ns": 5 * SECOND // 2, "total_ns": 3 * SECOND,
        "prompt_tokens": 1000, "cached_tokens": 250, "output_tokens": 41,
        "bytes_in": 10, "bytes_out": 20,
    }  # fmt: skip
    return Finished(**(fields | more))  # type: ignore[arg-type]


def written(records: list[Finished], *, as_json: bool, backend: str = "gpu-a") -> bytes:
    reading, writing = os.pipe()
    log = AccessLog(writing, as_json=as_json)
    for each in records:
        log.write(each, backend)
    log.close()
    os.close(writing)
    with open(reading, "rb") as file:
        return file.read()


def test_a_json_line_has_every_number():
    line = written([record()], as_json=True)
    assert line.endswith(b"}\n") and line.count(b"\n") == 1
    found = orjson.loads(line)
    assert found == {
        "ts": 1_700_000_000.0, "event": "request", "request_id": "req_0123456789ab",
        "copy_of": None, "split": None,
        "client": "127.0.0.1", "key": "ann", "api": "chat", "dialect": "openai", "stream": True,
        "status": 200, "end": "--", "error": None, "model": "demo", "served_as": "demo",
        "backend": "gpu-a", "attempts": 1, "continued": False,
        "prompt_tokens": 1000, "cached_tokens": 250,
        "output_tokens": 41, "broke_at": None, "reread_tokens": 0,
        "finish_reason": "stop", "queue_s": 0.0, "connect_s": 0.01,
        "ttft_s": 0.5, "duration_s": 3.0, "tok_s": 20.0, "bytes_in": 10, "bytes_out": 20,
    }  # fmt: skip


def test_a_json_line_tells_where_the_prompt_broke():
    found = orjson.loads(written([record(broke_at=5, broke_tokens=4120)], as_json=True))
    assert (found["broke_at"], found["reread_tokens"]) == ("message 3", 4120)


def test_a_line_tells_a_copy_from_its_original_and_a_part_of_a_split():
    copy = record(copy_of="ba9876543210", split="assistant")
    found = orjson.loads(written([copy], as_json=True))
    assert (found["copy_of"], found["split"]) == ("req_ba9876543210", "assistant")
    assert b"  mirrors req_ba9876543210  " in written([copy], as_json=False)


def test_what_never_came_is_null():
    unknown = dict.fromkeys(
        ("queue_ns", "connect_ns", "first_event_ns", "last_event_ns", "prompt_tokens",
         "cached_tokens", "output_tokens"), -1,
    )  # fmt: skip
    bare = record(status=404, termination="CR", error="model_not_found", backend=NO_BACKEND,
                  model_served="", finish_reason="", **unknown)  # fmt: skip
    found = orjson.loads(written([bare], as_json=True, backend=""))
    assert {key for key, value in found.items() if value is None} == {
        "copy_of", "split", "served_as", "backend", "broke_at", "prompt_tokens", "cached_tokens",
        "output_tokens", "finish_reason", "queue_s", "connect_s", "ttft_s", "tok_s",
    }  # fmt: skip
    assert (found["end"], found["error"]) == ("CR", "model_not_found")


def test_a_text_line_is_for_people():
    line = written([record(attempts=2, error="backend_disconnected", termination="BD")],
                   as_json=False).decode()  # fmt: skip
    assert re.fullmatch(
        r"\d\d:\d\d:\d\d  200  BD  chat  demo -> gpu-a  1,000\+41 tok  25 % cached  ttft 0\.50 s  "
        r"20 tok/s  2 attempts  backend_disconnected  key ann  3\.00 s  req_0123456789ab\n",
        line,
    )


@pytest.mark.parametrize("as_json", [True, False])
@pytest.mark.parametrize(
    "name", ["a\nb", "a\rb", "a\x1b[31mb", "a\u2028b", "a\0b", "\ud800", "\x9b"]
)
def test_a_models_name_cannot_forge_a_line_or_steer_a_terminal(as_json, name):
    line = written([record(model_asked=name)], as_json=as_json)
    assert line.count(b"\n") == 1 and line.endswith(b"\n")
    assert re.fullmatch(rb"[ -~]+\n", line)


@pytest.mark.parametrize("as_json", [True, False])
def test_lines_come_in_the_order_in_which_they_were_written(as_json):
    lines = written([record(request_id=f"{n:012x}") for n in range(500)], as_json=as_json)
    assert re.findall(rb"req_(\w+)", lines) == [b"%012x" % n for n in range(500)]


def test_a_blocked_pipe_never_blocks_a_flush_and_what_is_lost_is_counted(monkeypatch):
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    try:
        while True:
            os.write(writing, b"x" * 4096)
    except BlockingIOError:
        os.set_blocking(writing, True)  # full: the next write blocks
    log = AccessLog(writing, as_json=True)
    for _ in range(access_log.MAX_BATCHES + 10):
        log.write(record(), "")
        log.write(record(), "")
        log.flush()
    # One batch may be in the thread's hands, the rest of the queue is full.
    assert log.dropped in (2 * 9, 2 * 10)
    log.close(timeout_s=0)
    os.close(reading)  # the thread's write fails, and it ends with what is left
    log._batches.put(None)
    log._thread.join(10)
    os.close(writing)


def test_a_descriptor_that_is_gone_costs_lines_and_nothing_else():
    reading, writing = os.pipe()
    os.close(reading)
    log = AccessLog(writing, as_json=False)
    log.write(record(), "")
    log.close()
    assert log.dropped == 1
    os.close(writing)
