"""One line per exchange, and the two-letter code that says who ended it and when.

First letter: ``-`` nobody (it is fine), ``C`` client, ``B`` backend, ``P`` this proxy.
Second letter, what the exchange was doing: ``R`` reading the request, ``Q`` waiting for a
slot, ``C`` connecting, ``W`` waiting for the first event, ``D`` sending data, ``-`` done.

Lines are written in batches by a thread: a terminal or pipe that blocks may delay log lines,
never a token. What does not fit into its queue is dropped and counted.
"""

import os
import queue
import threading
import time

import orjson

from multiproxy.routing.breaks import block_name
from multiproxy.scoreboard import UNKNOWN, Finished

MAX_BATCHES = 256  # flushes that wait for a blocked descriptor: about a minute


class AccessLog:
    """Writes to a descriptor; ``as_json`` or aligned text."""

    def __init__(self, fd: int, *, as_json: bool) -> None:
        self._fd = fd
        self._render = _json_line if as_json else _text_line
        self._lines: list[bytes] = []
        self._batches: queue.Queue[list[bytes] | None] = queue.Queue(MAX_BATCHES)
        self._thread = threading.Thread(target=self._run, name="access-log", daemon=True)
        self._thread.start()
        self.dropped = 0

    def write(self, record: Finished, backend: str) -> None:
        """Add one exchange's line; ``backend`` is the backend's id, empty for none."""
        self._lines.append(self._render(record, backend))

    def flush(self) -> None:
        """Hand the lines over to the thread: a few times a second, not per line."""
        if self._lines:
            lines, self._lines = self._lines, []
            try:
                self._batches.put_nowait(lines)
            except queue.Full:
                self.dropped += len(lines)

    def close(self, timeout_s: float = 1.0) -> None:
        """Write what is there, for at most ``timeout_s``."""
        self.flush()
        try:
            self._batches.put(None, timeout=timeout_s)
        except queue.Full:
            return
        self._thread.join(timeout_s)

    def _run(self) -> None:
        while (lines := self._batches.get()) is not None:
            self._write(b"".join(lines), len(lines))

    def _write(self, data: bytes, lines: int) -> None:
        while data:
            try:
                data = data[os.write(self._fd, data) :]
            except BlockingIOError:
                time.sleep(0.01)  # somebody made the terminal non-blocking
            except OSError:
                self.dropped += lines
                return


def _seconds(nanoseconds: int) -> float | None:
    """Four decimals; integer division costs a fifth of ``round``."""
    return None if nanoseconds == UNKNOWN else (nanoseconds + 50_000) // 100_000 / 10_000


def _count(value: int) -> int | None:
    return None if value == UNKNOWN else value


def _speed(record: Finished) -> float | None:
    """Output tokens per second between the first and the last event."""
    if record.output_tokens < 2 or record.first_event_ns == UNKNOWN:
        return None
    span = record.last_event_ns - record.first_event_ns
    return round((record.output_tokens - 1) / (span / 1e9), 1) if span > 0 else None


def _one_line(word: str) -> str:
    """A client's word without U+2028 or the like, which other readers of lines split at."""
    return word if word.isascii() else word.encode("ascii", "backslashreplace").decode()


def _json_line(record: Finished, backend: str) -> bytes:
    fields = {
        "ts": record.started_unix_ns // 1_000_000 / 1000,
        "event": "request",
        "request_id": f"req_{record.request_id}",
        "copy_of": f"req_{record.copy_of}" if record.copy_of else None,
        "client": record.client,
        "key": record.key or None,
        "api": record.endpoint,
        "dialect": record.dialect,
        "stream": record.stream,
        "status": record.status,
        "end": record.termination,
        "error": record.error or None,
        "model": _one_line(record.model_asked),
        "served_as": record.model_served or None,
        "split": record.split or None,
        "backend": backend or None,
        "attempts": record.attempts,
        "continued": record.was_continued,
        "prompt_tokens": _count(record.prompt_tokens),
        "cached_tokens": _count(record.cached_tokens),
        "output_tokens": _count(record.output_tokens),
        "broke_at": block_name(record.broke_at) or None,
        "reread_tokens": record.broke_tokens,
        "finish_reason": record.finish_reason or None,
        "queue_s": _seconds(record.queue_ns),
        "connect_s": _seconds(record.connect_ns),
        "ttft_s": _seconds(record.first_event_ns) if record.stream else None,
        "duration_s": _seconds(record.total_ns),
        "tok_s": _speed(record),
        "bytes_in": record.bytes_in,
        "bytes_out": record.bytes_out,
    }
    return orjson.dumps(fields) + b"\n"


def _text_line(record: Finished, backend: str) -> bytes:
    clock = time.strftime("%H:%M:%S", time.localtime(record.started_unix_ns / 1e9))
    parts = [clock, str(record.status), record.termination, record.endpoint]
    if record.model_asked:
        parts.append(f"{record.model_asked!a}"[1:-1] + (f" -> {backend}" if backend else ""))
    if record.output_tokens != UNKNOWN:
        parts.append(f"{record.prompt_tokens:,}+{record.output_tokens:,} tok")
        if record.prompt_tokens > 0:
            parts.append(f"{100 * record.cached_tokens // record.prompt_tokens} % cached")
    if record.stream and record.first_event_ns != UNKNOWN:
        parts.append(f"ttft {record.first_event_ns / 1e9:.2f} s")
    speed = _speed(record)
    if speed is not None:
        parts.append(f"{speed:g} tok/s")
    if record.attempts > 1:
        parts.append(f"{record.attempts} attempts")
    if record.was_continued:
        parts.append("continued")
    if record.copy_of:
        parts.append(f"mirrors req_{record.copy_of}")
    if record.error:
        parts.append(record.error)
    if record.key:
        parts.append(f"key {record.key}")
    parts += [f"{record.total_ns / 1e9:.2f} s", f"req_{record.request_id}"]
    return "  ".join(parts).encode() + b"\n"
