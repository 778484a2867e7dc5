"""F10: all backends are gone, and then one is back: told at once, and not run over.

The short form asks fewer times; tests/e2e/test_failover.py looks closer.
"""

import http.client
import json
import time

from faults.asked import PATHS
from waiting import until

SLOTS = 4
BACKENDS = 3
AT_ONCE = 40  # clients that come when one backend is back


def refusal(port: int) -> tuple[int, str, float]:
    """Status, ``Retry-After`` and seconds of one request."""
    text = f"asked at {time.monotonic_ns()}"  # one that is there as two backends die is quarantined
    body = json.dumps({"model": "demo", "messages": [{"role": "user", "content": text}]})
    began = time.monotonic()
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        connection.request("POST", "/v1/chat/completions", body)
        answer = connection.getresponse()
        answer.read()
        return answer.status, answer.getheader("Retry-After", ""), time.monotonic() - began
    finally:
        connection.close()


def test_without_backends_all_are_told_and_the_first_that_is_back_is_not_overrun(
    arena, full, seed, tell
):
    """More than its slots at a time would have to wait in the backend: it counts them."""
    for _ in range(BACKENDS):
        arena.injector.start(settings={"slots": SLOTS, "tokens_per_second": 400}, rests_s=-1.0)
    proxy = arena.serve()
    times, told_after, served = 50 if full else 2, [], 0
    for turn in range(times):
        for number in [(turn - 1) % BACKENDS] if turn else range(BACKENDS):
            arena.injector.tell("kill", backend=number)
        until(lambda: refusal(proxy.port)[0] == 503, 30)
        for _ in range(5):
            status, retry_after, seconds = refusal(proxy.port)
            assert (status, int(retry_after) >= 1) == (503, True)
            told_after.append(seconds)
        back = turn % BACKENDS
        arena.injector.tell("revive", backend=back)
        until(lambda: proxy.ask("GET", "/readyz")[0] == 200, 30)
        report = arena.load(
            proxy.port,
            requests=AT_ONCE * 2,
            at_once=AT_ONCE,
            seed=seed + turn,
            dialects=list(PATHS),
            limit_s=60,
        ).report()
        report.check("ok")
        served += report.sent
        facts = arena.injector.tell("faults", backend=back, faults=[])
        assert facts["deferred"] == 0
    told_after.sort()
    tell(
        f"{times} times: told after {1000 * told_after[len(told_after) // 2]:.1f} ms (median), "
        f"{1000 * told_after[-1]:.0f} ms (max); then {served} of {served} ok from one backend, "
        f"never more than its {SLOTS} slots"
    )
