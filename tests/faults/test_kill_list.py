"""Each defence is switched off once, and its test fails: no test of a defence proves nothing.

They run in one process that is forked for each defence, after everything is imported.
"""

import json
import subprocess
import sys

import pytest
from faults.arena import ENVIRONMENT
from faults.defences import DEFENCES
from multiproxy_process import ROOT

FAILED = 1


@pytest.mark.timeout(600)
def test_without_its_defence_every_test_fails(full, tell):
    """The short form takes every fourth; all are a command: python -m faults.kill_list."""
    every = 1 if full else 4
    done = subprocess.run(
        [sys.executable, "-m", "faults.kill_list", "--every", str(every)],
        cwd=ROOT,
        env=ENVIRONMENT,
        stdout=subprocess.PIPE,
        check=True,
    )
    statuses = json.loads(done.stdout.splitlines()[-1])
    assert statuses.keys() == set(list(DEFENCES)[::every])
    assert [name for name, status in statuses.items() if status != FAILED] == []
    tell(f"{len(statuses)} defences switched off, {len(statuses)} tests failed")
