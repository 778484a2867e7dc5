import signal
from types import SimpleNamespace

import pytest

from multiproxy.supervisor.ending import HURRY_S, REPORT_S, Ending


class Workers:
    def __init__(self):
        self.generations = [SimpleNamespace(drain_s=600.0)]
        self.told = []

    def drain_all(self):
        self.told.append("drain")

    def hurry(self):
        self.told.append("hurry")


@pytest.fixture
def end():
    lines = []
    now = SimpleNamespace(s=1_000.0)
    end = SimpleNamespace(workers=Workers(), lines=lines, now=now, running=5)
    log = SimpleNamespace(info=lines.append)
    end.ending = Ending(end.workers, log, lambda: end.running, lambda: now.s)
    return end


def test_the_first_signal_drains_and_the_end_comes_with_the_last_worker(end):
    assert not end.ending.tick()
    end.ending.signalled(signal.SIGTERM)
    assert not end.ending.tick()
    end.workers.generations.clear()
    assert end.ending.tick()
    assert (end.ending.status, end.workers.told) == (0, ["drain"])


@pytest.mark.parametrize(("second", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_the_second_signal_ends_it_within_a_moment(end, second, status):
    end.ending.signalled(signal.SIGTERM)
    end.ending.signalled(second)
    end.ending.signalled(second)
    assert end.workers.told == ["drain", "hurry"]
    assert not end.ending.tick()
    end.now.s += HURRY_S
    assert end.ending.tick()
    assert end.ending.status == status


def test_what_still_runs_is_told_now_and_then(end):
    end.ending.signalled(signal.SIGINT)
    for running, seconds in ((5, 1), (1, REPORT_S), (1, 1), (0, REPORT_S)):
        end.now.s += seconds
        end.running = running
        end.ending.tick()
    assert end.lines == [
        "Draining: 5 requests running, up to 600 s. Ctrl+C again to stop now",
        "Draining: 1 request running, up to 589 s. Ctrl+C again to stop now",
    ]


def test_a_request_that_is_counted_late_is_told_at_once(end):
    end.running = 0
    end.ending.signalled(signal.SIGINT)
    end.now.s += 0.25
    end.running = 1
    end.ending.tick()
    end.ending.tick()
    assert end.lines == [
        "Draining: 1 request running, up to 600 s. Ctrl+C again to stop now",
    ]


def test_nothing_is_said_when_nothing_runs(end):
    end.running = 0
    end.ending.signalled(signal.SIGINT)
    end.ending.tick()
    assert end.lines == []
