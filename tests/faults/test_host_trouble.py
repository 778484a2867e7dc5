"""F11, F12, F14, long forms: a host without descriptors, without disk, and with another clock.

The short forms are tests/worker/test_main.py and tests/supervisor/test_log.py, test_serve.py.
"""

import resource
import time

import pytest
from faults.asked import PATHS
from faults.books import cpu_ticks

pytestmark = pytest.mark.usefixtures("only_full")
STEADY = {"slots": 512, "tokens_per_second": 20}


@pytest.mark.timeout(600)
def test_without_descriptors_running_streams_go_on_and_others_wait(arena, seed, tell):
    """F11. 60 streams run, then each worker may have no more descriptors than it has."""
    times, ticks = 10, 0
    arena.injector.start(settings=STEADY)
    proxy = arena.serve(workers=1)
    (pid,) = proxy.worker_pids()
    usual = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    for turn in range(times):
        first = arena.load(proxy.port, requests=60, at_once=60, seed=seed, tokens=[80, 80])
        time.sleep(1.0)  # they flow; there is nothing to look at but the streams themselves
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (150, usual[1]))
        second = arena.load(
            proxy.port, requests=300, at_once=300, seed=seed + turn, tokens=[5, 20], kept=0.0
        )
        before = cpu_ticks(pid)
        report = first.report()
        report.check("ok")
        ticks = max(ticks, cpu_ticks(pid) - before)
        resource.prlimit(pid, resource.RLIMIT_NOFILE, usual)
        report = second.report()
        report.check("ok", "error-before")
    tell(f"{times} times: 60 running streams ok, then {report.sent} others {dict(report.outcomes)}")


@pytest.mark.timeout(300)
def test_a_full_disk_costs_log_lines_only(arena, seed, tell):
    """F12. No process may write another byte to the log's file."""
    arena.injector.start(settings=STEADY)
    proxy = arena.serve(workers=2)
    arena.load(proxy.port, requests=100, seed=seed).report().check("ok")
    size = len(proxy.log_text().encode())
    for pid in (proxy.pid, *proxy.worker_pids()):
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, size))
    report = arena.load(proxy.port, requests=3_000, at_once=32, seed=seed + 1).report()
    report.check("ok")
    assert len(proxy.log_text().encode()) <= size
    tell(f"{report.sent} requests ok with a log that cannot be written")


@pytest.mark.timeout(300)
def test_a_clock_that_jumps_changes_nothing(arena, seed, tell, tmp_path, monkeypatch):
    """F14. ``time.time`` of every process jumps a day ahead and back while it serves."""
    clock = tmp_path / "clock"
    clock.write_text("0")
    monkeypatch.setenv("MULTIPROXY_CLOCK", str(clock))
    arena.injector.start(settings=STEADY)
    proxy = arena.serve(workers=2)
    running = arena.load(
        proxy.port, requests=400, at_once=40, seed=seed, dialects=list(PATHS), tokens=[5, 60]
    )
    jumps = 0
    while running.is_running():
        jumps += 1
        clock.write_text(str((-1, 1)[jumps % 2] * 86_400))
        time.sleep(0.5)  # the jumps' rhythm
    report = running.report()
    report.check("ok")
    times = [line["ts"] for line in proxy.log_lines()]
    assert max(times) - min(times) > 86_400, "the clock did jump"
    tell(f"{jumps} jumps of a day or two: {report.sent} of {report.sent} requests ok")
