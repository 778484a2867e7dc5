"""Process groups that end when the pipe does, whoever held it and however that ended."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from waiting import until

from multiproxy.supervisor import last_will
from multiproxy.supervisor.children import Children
from multiproxy.supervisor.last_will import COMMAND, MOST_HELPERS, LastWill

SLEEPER = "import time; print('up', flush=True); time.sleep(600)"
STUBBORN = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); " + SLEEPER


class Group:
    """A process that leads a group, and one more in it."""

    def __init__(self, code):
        starts = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {code!r}]); "
        self.leader = subprocess.Popen(
            [sys.executable, "-c", starts + code], stdout=subprocess.PIPE, process_group=0
        )
        self.pid = self.leader.pid
        assert [self.leader.stdout.readline() for _ in "ab"] == [b"up\n"] * 2

    def close(self):
        try:
            os.killpg(self.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.leader.wait()
        self.leader.stdout.close()

    def ends(self):
        """Both have ended: nobody holds the pipe any more."""
        return self.leader.stdout.read() == b""


@pytest.fixture
def group():
    groups = []

    def start(code=SLEEPER):
        groups.append(Group(code))
        return groups[-1]

    yield start
    for each in groups:
        each.close()


@pytest.fixture
def children():
    children = Children()
    yield children
    children.kill_all()


def test_all_of_a_group_end_with_the_pipe_and_those_that_were_removed_do_not(group, children):
    will, stays, goes = LastWill(children), group(), group()
    will.add(stays.pid)
    will.add(goes.pid)
    will.remove(stays.pid)
    will.remove(999_999)
    will.close()
    assert goes.ends()
    assert goes.leader.wait() == -signal.SIGTERM
    until(lambda: children.reap() or len(children) == 0)
    assert stays.leader.poll() is None


def test_who_does_not_end_is_killed(group, monkeypatch):
    monkeypatch.setattr(last_will, "GRACE_S", 0.05)
    stubborn = group(STUBBORN)
    last_will.end([stubborn.pid, 999_999])
    assert stubborn.ends()
    assert stubborn.leader.wait() == -signal.SIGKILL


def test_the_helper_survives_what_ends_a_service_and_ends_with_the_pipe(group):
    ours, theirs = os.pipe()
    victim = group()
    helper = subprocess.Popen([*COMMAND, str(ours)], pass_fds=[ours])
    os.close(ours)
    os.write(theirs, b"+%d\n" % victim.pid)
    numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
    until(lambda: all(ignored(helper.pid) >> (number - 1) & 1 for number in numbers))
    for number in numbers:
        helper.send_signal(number)
    assert victim.leader.poll() is None
    os.close(theirs)
    assert victim.ends()
    assert helper.wait(20) == 0


def ignored(pid):
    """The signals that a process ignores, as bits."""
    text = Path(f"/proc/{pid}/status").read_text()
    return int(text.partition("SigIgn:")[2].split()[0], 16)


def test_a_helper_that_was_killed_is_replaced_by_one_that_knows_all_groups(group, children):
    will, first, second = LastWill(children), group(), group()
    will.add(first.pid)
    [helper] = children._running
    os.kill(helper, signal.SIGKILL)
    until(lambda: children.reap() or helper not in children._running)
    assert len(children) == 1
    will.add(second.pid)
    will.close()
    assert first.ends()
    assert second.ends()


def test_a_helper_that_cannot_run_is_not_started_for_ever(group, children, monkeypatch):
    monkeypatch.setattr(last_will, "COMMAND", (sys.executable, "-c", "raise SystemExit(1)"))
    will = LastWill(children)
    will.add(group().pid)
    until(lambda: children.reap() or len(children) == 0)
    assert will._helpers == MOST_HELPERS
