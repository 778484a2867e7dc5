#!/usr/bin/env python3
"""Compares what the dashboard says with what clients measure, on a MultiProxy of its own.

    python scripts/dashboard_truth.py [SECONDS]

Four clients stream at once from a simulated server. Printed: how far the time to first token is
from the client's, whether the tokens are those of each answer's usage, and the headline's output
speed against the sum over the clients.
"""

import contextlib
import http.client
import json
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from multiproxy_process import MultiProxyProcess  # noqa: E402
from waiting import until  # noqa: E402

from multiproxy.cli.instance import Instance  # noqa: E402
from multiproxy.cli.status import speed  # noqa: E402

CLIENTS = 4
CONFIG = {"backends": [{"id": "gpu", "simulate": {"tokens_per_second": 50, "slots": CLIENTS}}]}


@dataclass
class Seen:
    """One answer as its client saw it; seconds and tokens."""

    ttft_s: float
    tokens: int


class Client(threading.Thread):
    """Streams one answer after the other until ``end``."""

    def __init__(self, port: int, end: float) -> None:
        super().__init__()
        self.seen: dict[str, Seen] = {}  # by request id
        self.events: list[float] = []  # when each token came
        self._port = port
        self._end = end

    def run(self) -> None:
        number = 0
        while time.monotonic() < self._end:
            number += 1
            self._ask(f"client {self.name} asks for the {number}. time")

    def _ask(self, prompt: str) -> None:
        body = {
            "model": "demo", "stream": True, "max_tokens": 120, "ignore_eos": True,
            "stream_options": {"include_usage": True},
            "messages": [{"role": "user", "content": prompt}],
        }  # fmt: skip
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=60)
        connection.connect()
        began = time.monotonic()
        connection.request("POST", "/v1/chat/completions", json.dumps(body))
        answer = connection.getresponse()
        request_id = (answer.getheader("X-Request-Id") or "").removeprefix("req_")
        first, tokens = 0.0, 0
        for line in answer:
            if not line.startswith(b"data: {"):
                continue
            event = json.loads(line[6:])
            if event.get("usage"):
                tokens = event["usage"]["completion_tokens"]
            if any(choice["delta"].get("content") for choice in event["choices"]):
                first = first or time.monotonic()
                self.events.append(time.monotonic())
        connection.close()
        self.seen[request_id] = Seen(first - began, tokens)


def measure(house: MultiProxyProcess, seconds: float) -> None:
    instance = Instance(house.dashboard_url)
    end = time.monotonic() + seconds
    clients = [Client(house.port, end) for _ in range(CLIENTS)]
    for client in clients:
        client.start()
    time.sleep(5)
    began, headlines = time.monotonic(), []
    while time.monotonic() < end - 3:
        time.sleep(0.5)
        headlines.append(speed(instance.get("overview"), "gpu"))
    stopped = time.monotonic()
    for client in clients:
        client.join()
    seen = {name: each for client in clients for name, each in client.seen.items()}
    until(lambda: len(instance.get("requests")["finished"]) >= min(50, len(seen)))
    shown = {x["id"]: x for x in instance.get("requests")["finished"] if x["id"] in seen}
    gaps = [abs(shown[name]["ttft_s"] - seen[name].ttft_s) * 1000 for name in shown]
    equal = sum(shown[name]["output_tokens"] == seen[name].tokens for name in shown)
    events = sum(began - 3 <= at < stopped - 3 for client in clients for at in client.events)
    clients_say = events / (stopped - began)
    says = sum(headlines) / len(headlines)
    print(f"{len(shown)} answers of {CLIENTS} clients at once")
    print(f"TTFT, page against client: median {median(gaps):.1f} ms apart, most {max(gaps):.1f} ms")
    print(f"output tokens equal to the answer's usage: {equal} of {len(shown)}")
    print(f"output tok/s: page {says:.1f}, clients {clients_say:.1f}, "
          f"{100 * (says / clients_say - 1):+.1f} %")  # fmt: skip


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as ending:
        running = MultiProxyProcess(CONFIG, Path(folder))
        ending.callback(running.end)
        running.wait_until_ready()
        measure(running, float(sys.argv[1]) if sys.argv[1:] else 30.0)
