"""F3 to F6, long forms: workers and supervisors killed, reloads and SIGTERM, all under load.

The short forms are tests/e2e/test_processes.py, tests/e2e/test_keys.py and
tests/supervisor/test_serve.py.
"""

import os
import random
import signal
import time
from pathlib import Path

import pytest
from e2e.test_processes import connections_of
from faults.asked import PATHS
from waiting import until

pytestmark = pytest.mark.usefixtures("only_full")
STEADY = {"slots": 512, "tokens_per_second": 20}


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.timeout(1800)
def test_a_killed_worker_takes_its_own_streams_along_and_no_others(arena, seed, tell):
    """F3. The victim is stopped first, so that it is known which connections it has."""
    kills = 100
    for _ in range(2):
        arena.injector.start(settings=STEADY)
    proxy = arena.serve(workers=2)
    chance = random.Random(seed)
    running = arena.load(
        proxy.port,
        requests=1_000_000,
        seconds=10_000,
        at_once=200,
        seed=seed,
        dialects=list(PATHS),
        tokens=[5, 60],
        kept=0.0,
        limit_s=120,
    )
    held, gaps = 0, []
    for _ in range(kills):
        until(lambda: min(connections_of(pid, proxy.port) for pid in proxy.worker_pids()) > 40, 60)
        victim = chance.choice(proxy.worker_pids())
        os.kill(victim, signal.SIGSTOP)
        held += connections_of(victim, proxy.port)
        os.kill(victim, signal.SIGKILL)
        died = time.monotonic()
        until(lambda v=victim: len(pids := proxy.worker_pids()) == 2 and v not in pids, 30)
        until(lambda: all(connections_of(pid, proxy.port) for pid in proxy.worker_pids()), 30)
        gaps.append(time.monotonic() - died)
    running.stop()
    report = running.report()
    report.check("ok", "reset")
    assert 0 < report.outcomes["reset"] <= held
    facts = [arena.injector.tell("faults", backend=number, faults=[]) for number in range(2)]
    assert all(each["generations"] == each["finished"] + each["aborted"] for each in facts)
    gaps.sort()
    tell(
        f"{kills} workers killed with {held} connections: {dict(report.outcomes)} of {report.sent};"
        f" another one served after {gaps[len(gaps) // 2]:.1f} s (median), {gaps[-1]:.1f} s (max)"
    )


@pytest.mark.timeout(900)
def test_streams_outlive_a_killed_supervisor_and_nothing_else_does(arena, seed, tell):
    """F4."""
    times, streams = 20, 0
    arena.injector.start(settings=STEADY)
    for turn in range(times):
        proxy = arena.serve(workers=2)
        workers = proxy.worker_pids()
        running = arena.load(
            proxy.port, requests=40, at_once=40, seed=seed + turn, tokens=[160, 240], kept=0.0,
            limit_s=120,
        )  # fmt: skip
        until(lambda w=workers, p=proxy: sum(connections_of(pid, p.port) for pid in w) == 40, 30)
        os.kill(proxy.pid, signal.SIGKILL)
        report = running.report()
        report.check("ok")
        streams += report.sent
        until(lambda w=workers: not any(map(is_running, w)), 30)
    tell(f"{times} supervisors killed: {streams} of {streams} running streams ok, 0 orphans")


@pytest.mark.timeout(1800)
def test_reloads_that_add_and_remove_backends_fail_nothing(arena, seed, tell):
    """F5. Every reload has other backends than the one before; one file in ten is bad."""
    reloads, refused = 100, 0
    for _ in range(3):
        arena.injector.start(settings=STEADY)
    chance = random.Random(seed)
    proxy = arena.serve(workers=2)
    running = arena.load(
        proxy.port,
        requests=1_000_000,
        seconds=10_000,
        at_once=150,
        seed=seed,
        dialects=list(PATHS),
        tokens=[2, 60],
        streamed=0.7,
        kept=0.9,
        limit_s=120,
    )
    for turn in range(reloads):
        ports = chance.sample(arena.injector.ports, chance.choice([2, 3]))
        backends = [{"id": f"b{port}", "url": f"http://127.0.0.1:{port}"} for port in ports]
        config = {"backends": backends, "history": False, "log": {"format": "json"}}
        is_bad = turn % 10 == 9
        proxy.write_config(config | ({"nonsense": 1} if is_bad else {}))
        logged = len(proxy.log_text())
        proxy.reload()
        word = "unknown setting" if is_bad else "configuration loaded"
        until(lambda at=logged, w=word: w in proxy.log_text()[at:], 60)
        refused += is_bad
    running.stop()
    report = running.report()
    report.check("ok")
    tell(f"{reloads} reloads, {refused} of bad files: {report.sent} of {report.sent} requests ok")


@pytest.mark.timeout(900)
def test_sigterm_lets_streams_run_to_the_limit_and_tells_the_others(arena, seed, tell):
    """F6. Some streams are longer than the drain limit of one second."""
    times, ok, told = 20, 0, 0
    arena.injector.start(settings=STEADY)
    for turn in range(times):
        proxy = arena.serve(workers=2, timeouts={"drain": "1s"})
        workers = proxy.worker_pids()
        running = arena.load(
            proxy.port, requests=60, at_once=60, seed=seed + turn, tokens=[5, 100], kept=0.0,
            limit_s=120,
        )  # fmt: skip
        until(lambda w=workers, p=proxy: sum(connections_of(pid, p.port) for pid in w) > 40, 30)
        proxy.terminate()
        assert proxy.wait(30) == 0
        report = running.report()
        report.check("ok", "error-after", "error-before")
        ok += report.outcomes["ok"]
        told += report.sent - report.outcomes["ok"]
        assert not any(map(is_running, workers))
    assert ok and told
    tell(f"{times} times SIGTERM, exit status 0: {ok} streams ok, {told} with one error event")
