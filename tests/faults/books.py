"""What is left behind a run, and whether the books of all who count agree.

Everything is read from outside: the kernel's lists of descriptors and sockets, the dashboard's
metrics, the access log.
"""

import contextlib
import os
import re
import urllib.request
from collections import Counter
from pathlib import Path

from multiproxy_process import MultiProxyProcess
from waiting import until

SAMPLE = re.compile(r"^(\w+)(?:\{(.*)\})? (\S+)$", re.MULTILINE)


def sockets(proxy: MultiProxyProcess) -> list[int]:
    """How many sockets each worker holds."""
    return [sum(map(_is_socket, Path(f"/proc/{pid}/fd").iterdir())) for pid in proxy.worker_pids()]


def _is_socket(descriptor: Path) -> bool:
    try:
        return os.readlink(descriptor).startswith("socket:")
    except OSError:
        return False  # closed meanwhile


def settled_sockets(proxy: MultiProxyProcess, before: list[int]) -> list[int]:
    """The sockets of each worker, once they are as many as before or time is up.

    Idle connections to backends expire within 5 s.
    """
    with contextlib.suppress(TimeoutError):
        until(lambda: sockets(proxy) == before, 12)
    return sockets(proxy)


def metrics_of(proxy: MultiProxyProcess, requests: int) -> dict[str, float]:
    """Sums of all samples of each metric, once so many requests are counted, or soon."""
    with contextlib.suppress(TimeoutError):
        until(lambda: metrics(proxy)["multiproxy_requests_total"] >= requests, 5)
    return metrics(proxy)


def metrics(proxy: MultiProxyProcess) -> dict[str, float]:
    """Sums of all samples of each metric."""
    with urllib.request.urlopen(f"{proxy.dashboard_url}/metrics", timeout=10) as answer:
        text = answer.read().decode()
    sums: Counter[str] = Counter()
    for name, _, value in SAMPLE.findall(text):
        sums[name] += float(value)
    return dict(sums)


def requests_logged(proxy: MultiProxyProcess) -> Counter[str]:
    """The access log's lines by status."""
    lines = (line for line in proxy.log_lines() if line.get("event") == "request")
    return Counter(str(line["status"]) for line in lines)


def cpu_ticks(pid: int) -> int:
    """User and system time of a process, in hundredths of a second."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])
