"""The judge is judged: each proxy that is broken on purpose is caught, an honest one is not."""

import subprocess
import sys

import pytest
from faults.arena import ENVIRONMENT
from faults.broken_proxy import DEFECTS, DELAY_S, SWAPS
from multiproxy_process import free_port

HONEST = "honest"
NOT_WRONG = {
    "refuses": "error-before",
    "announces": "error-after",
    "cuts": "reset",
    "cuts-in-a-chunk": "reset",
    "drops": "reset",
    "hangs": "hang",
    "swallows": "hang",
    "waits": "hang",
}
EACH = 4
LIMIT_S = DELAY_S / 1.5


@pytest.fixture
def broken_port(arena):
    """A broken proxy in front of a backend."""
    arena.injector.start()
    port = free_port()
    command = [sys.executable, "-m", "faults.broken_proxy", str(port), str(arena.injector.ports[0])]
    with subprocess.Popen(command, env=ENVIRONMENT, stdout=subprocess.PIPE) as process:
        process.stdout.readline()
        yield port
        process.kill()


def test_every_defect_is_in_its_class_and_honest_answers_are_ok(arena, broken_port):
    defects = [*DEFECTS, SWAPS, "waits"]
    prefixes = [name for defect in defects for name in (defect, HONEST)]
    running = arena.load(
        broken_port,
        prefixes=prefixes,
        requests=EACH * len(prefixes),
        at_once=2 * len(defects),
        tokens=[8, 8],
        kept=0.0,
        limit_s=LIMIT_S,
    )
    report = running.report()
    assert report.sent == sum(report.outcomes.values()) == EACH * len(prefixes)
    expected = {defect: {NOT_WRONG.get(defect, "wrong"): EACH} for defect in defects}
    assert report.of_prefix == {**expected, HONEST: {"ok": EACH * len(defects)}}, report.told


def test_requests_of_a_load_that_dies_hang(arena):
    """Nothing that was sent may be missing from the table."""
    arena.injector.start(settings={"tokens_per_second": 1.0})
    running = arena.load(arena.injector.ports[0], requests=5, at_once=5)
    with running._judge, running._load:
        while not arena.injector.tell("faults", backend=0, faults=[])["generations"] == 5:
            pass
        running._load.kill()
        told = running._judge.stdout.read()
    assert b'"outcomes": {"hang": 5}' in told
