"""F7 and F9: backends that are stopped and not dead, before, amid and without a connection."""

import contextlib
import socket

import pytest
from waiting import until

BACKLOG = 600  # connections that fill the queue of a backend that does not accept


def test_a_backend_that_accepts_no_connection_is_only_a_delay(arena, full, seed, tell):
    """F9. A full queue drops every SYN; connecting gives up after its 2 s."""
    frozen = arena.injector.start()
    arena.injector.start(settings={"slots": 512})
    proxy = arena.serve(timeouts={"connect": "2s" if full else "300ms"})
    arena.injector.tell("stop", backend=frozen)
    count = 1_000 if full else 40
    with contextlib.ExitStack() as stack:
        for _ in range(BACKLOG):
            sock = stack.enter_context(socket.socket())
            sock.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                sock.connect(("127.0.0.1", arena.injector.ports[frozen]))
        running = arena.load(proxy.port, requests=count, at_once=count // 2, seed=seed, kept=0.0)
        report = running.report()
    report.check("ok")
    lines = proxy.wait_for_requests(count)
    retried = [line["duration_s"] for line in lines if line["attempts"] > 1]
    assert retried and max(line["attempts"] for line in lines) == 2
    tell(f"{count} requests ok, {len(retried)} tried a black hole first ({max(retried):.1f} s max)")


@pytest.mark.usefixtures("only_full")
@pytest.mark.timeout(300)
def test_a_backend_that_is_stopped_while_it_reads_is_left_for_another(arena, seed, tell):
    """F7 in prefill: nothing is told but comments, until three probes failed."""
    count, slow = 100, {"slots": 50, "prompt_tokens_per_second": 2}
    for _ in range(2):
        arena.injector.start(settings=slow)
    proxy = arena.serve(limits={"queue": 1000})
    running = arena.load(proxy.port, requests=count, at_once=count, seed=seed, limit_s=120)
    until(lambda: arena.injector.tell("faults", backend=0, faults=[])["generations"] > 40, 60)
    arena.injector.tell("stop", backend=0)
    report = running.report()
    report.check("ok")
    lines = proxy.wait_for_requests(count)
    moved = [line["duration_s"] for line in lines if line["attempts"] > 1]
    assert moved
    tell(f"{count} ok, {len(moved)} of them from a stopped backend, after {max(moved):.0f} s (max)")


@pytest.mark.usefixtures("only_full")
@pytest.mark.timeout(300)
def test_a_backend_that_is_stopped_amid_its_answers_is_told(arena, seed, tell):
    """F7 amid answers, with an idle limit of 5 s instead of 300 s."""
    count = 50
    arena.injector.start(settings={"slots": 50, "tokens_per_second": 5})
    proxy = arena.serve(timeouts={"idle": "5s"}, retry={"after_commit": "error"})
    running = arena.load(
        proxy.port, requests=count, at_once=count, seed=seed, tokens=[100, 100], limit_s=120
    )
    until(lambda: proxy.ask("GET", "/readyz")[0] == 200)
    until(lambda: arena.injector.tell("faults", backend=0, faults=[])["generations"] == count, 60)
    until(lambda: "b0" in proxy.log_text(), 5)
    arena.injector.tell("stop", backend=0)
    report = running.report()
    report.check("error-after", "error-before")
    tell(f"{count} streams of a stopped backend: {dict(report.outcomes)}")
