"""The comparison's short form: MultiProxy alone, whole, and what must hold on any machine."""

import os
import shutil
from collections.abc import Iterator

import pytest
from multiproxy_process import free_port

import contestants
from contestants import Contestant
from figures import not_ok
from scenarios import Shape, gentle, scenarios
from steady_state import Cores, count_calls, measure

# One read and one write for each event; what is above is the worker's clock. Waits are left out:
# how many events come between two depends on the load.
MOST_CALLS = 2.1
WAITS = ("epoll_wait", "epoll_pwait", "epoll_pwait2")
CORES = Cores(*(sorted(os.sched_getaffinity(0)) * 2)[:2])
LOADS = {each.name: each for each in scenarios(Shape())}


@pytest.fixture(scope="module")
def proxy(tmp_path_factory) -> Iterator[Contestant]:
    port = free_port()
    proxy = contestants.multiproxy(port, free_port(), tmp_path_factory.mktemp("perf"))
    with contestants.backend(port):
        proxy.start(CORES.proxy)
        yield proxy
        proxy.stop()


@pytest.mark.parametrize("load", ["request", "short chat", "whole chat", "100 KB body"])
def test_every_request_is_answered_with_what_the_backend_said(load, proxy):
    figures = measure(proxy, gentle(LOADS[load]), CORES, "short", 0.5)
    assert not_ok([figures]) == 0, figures["why"]
    assert figures["outcomes"]["ok"] >= 10


@pytest.mark.skipif(
    not shutil.which("strace") and "MULTIPROXY_SKIP_NOTHING" not in os.environ,
    reason="strace is not installed",
)
@pytest.mark.parametrize("load", ["stream", "messages stream", "responses stream"])
def test_no_event_is_lost_and_each_costs_one_read_and_one_write(load, proxy):
    figures = count_calls(proxy, LOADS[load], CORES, "calls", skip=1)  # the supervisor
    assert figures["outcomes"] == {"ok": 10}, figures["why"]
    waits = sum(figures["calls_by_name"].get(call, 0) for call in WAITS)
    assert figures["calls"] - waits <= MOST_CALLS, figures["calls_by_name"]
