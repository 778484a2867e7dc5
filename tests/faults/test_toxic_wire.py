"""F8: sliced, slow, cut and reset wires to the backends."""

import subprocess
import sys

import pytest
from faults.arena import ENVIRONMENT
from faults.asked import PATHS
from faults.toxic import TOXICS, WHOLE
from multiproxy_process import free_port


@pytest.fixture
def toxic_port(arena, seed):
    """``toxic_port(*toxics)``: a bad wire to a backend of its own."""
    wires = []

    def lay(*toxics):
        arena.injector.start()
        port = free_port()
        flags = map(str, (port, arena.injector.ports[-1], seed + len(wires), *toxics))
        wire = subprocess.Popen(
            [sys.executable, "-m", "faults.toxic", *flags],
            env=ENVIRONMENT,
            stdout=subprocess.PIPE,
        )
        wires.append(wire)
        wire.stdout.readline()
        return port

    yield lay
    for wire in wires:
        with wire:
            wire.kill()


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("toxics", [WHOLE, tuple(TOXICS)], ids=["whole", "all"])
def test_answers_over_a_bad_wire_are_whole_or_told(arena, toxic_port, full, seed, tell, toxics):
    """What arrives is byte-identical; what does not is one error, or another backend's."""
    ports = [toxic_port(*toxics) for _ in range(3)]
    proxy = arena.serve(backends=ports, retry={"after_commit": "error"})
    running = arena.load(
        proxy.port,
        requests=5_000 if full else 150,
        at_once=12,
        seed=seed,
        dialects=list(PATHS),
        streamed=0.8,
        counted=toxics == WHOLE,
    )
    report = running.report()
    report.check("ok", *(() if toxics == WHOLE else ("error-after", "error-before")))
    if toxics != WHOLE:
        assert report.outcomes["error-after"] > 0 and report.outcomes["ok"] > report.sent / 4
    tell(f"{', '.join(toxics)}: {dict(report.outcomes)} of {report.sent}")
