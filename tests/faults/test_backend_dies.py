"""F1, F2: backends are killed in every phase of an answer; what their clients see of it.

A backend that dies is down for its proxy until a probe finds it again, some 2 s later, so
there are many of them.
"""

import itertools
import math
from collections import Counter

from faults.asked import PATHS

HIT = "die:path=/v1/chat/completions"
PHASES = {
    "behind the request": "",
    "in the head": ",after_bytes=40",
    "behind the head": ",after_events=0",
    "amid the prompt's progress": ",after_events=1",
    "behind the prompt's progress": ",after_events=2",
}


def test_a_kill_before_the_first_event_is_only_a_delay(arena, full, seed, tell):
    """F1. Each backend dies of the nonces with its own number, so a second one never does.

    The long form asks four at a time. One that is there when a second backend dies, of another
    request, is told: it looks like a deadly one (F16).
    """
    names = [f"k{number}" for number in range(16)]
    phases = itertools.cycle(PHASES.values())
    for name in names:
        arena.injector.start([[f"{HIT},match={name}.{next(phases)}"] for _ in range(5)])
    proxy = arena.serve()
    wanted, deaths, requests, told = 2_000 if full else 6, 0, 0, 0
    for batch in itertools.count():
        running = arena.load(
            proxy.port,
            requests=4_000 if full else 100,
            at_once=4 if full else 1,
            seed=seed + batch,
            prefixes=names,
            dialects=list(PATHS),
            streamed=0.7,
        )
        report = running.report()
        report.check("ok", *(["error-before"] if full else []))
        told += report.outcomes["error-before"]
        requests += report.sent
        deaths += len(arena.injector.tell("events"))
        if deaths >= wanted:
            break
    lines = proxy.wait_for_requests(requests)
    attempts = Counter(line["attempts"] for line in lines)
    # A third one only where the second backend refused the connection: it had just died, too.
    assert attempts.keys() <= {1, 2, 3} and attempts[3] <= attempts[2] / 10
    assert attempts[2] + attempts[3] >= deaths
    assert told <= deaths / 500
    tell(f"{deaths} kills: {requests - told} of {requests} ok; by attempts {dict(attempts)}")


TOKENS = 24
FIRST = 3  # chunks up to the first token: two of the prompt's progress, then role and token


def test_a_kill_behind_an_event_is_told_in_one_error_event(arena, full, seed, tell):
    """F2. Every request is killed, each behind another number of its tokens."""
    backends = TOKENS - 1
    ends = [f"{HIT},after_events={FIRST + number}" for number in range(backends)]
    for number in range(backends):
        arena.injector.start([[end] for end in ends[number:] + ends[:number]])
    proxy = arena.serve(retry={"after_commit": "error"})
    running = arena.load(
        proxy.port,
        keeps_all=True,
        requests=1_000 if full else backends,
        at_once=1,
        seed=seed,
        dialects=list(PATHS),
        tokens=[TOKENS, TOKENS],
    )
    report = running.report()
    report.check("error-after")
    deaths = arena.injector.tell("events")
    assert len(deaths) == report.sent
    delays = []
    for death, answer in zip(deaths, report.all, strict=True):
        assert answer["seen"] == 1 + (death["died"] + death["life"]) % backends
        delays.append(max(0.0, answer["at"] - death["at"]))
    late = sorted(delays)[math.ceil(0.99 * len(delays)) - 1]
    assert max(delays) < 0.5
    tell(
        f"{report.sent} streams killed: {report.outcomes['error-after']} with every event that was "
        f"sent and one error; told {1000 * late:.0f} ms (p99), {1000 * max(delays):.0f} ms (max) "
        "behind the kill"
    )


def test_a_whole_answer_that_is_killed_is_asked_for_again(arena, full, seed, tell):
    """F2, not streamed: nothing was sent, so another backend starts anew, or 502."""
    names = [f"k{number}" for number in range(16)]
    for number, name in enumerate(names):
        arena.injector.start([[f"{HIT},match={name}.,after_events={FIRST + number}"]])
    proxy = arena.serve(retry={"after_commit": "error"})
    running = arena.load(
        proxy.port,
        requests=16_000 if full else 400,
        at_once=2,
        seed=seed,
        prefixes=names,
        dialects=list(PATHS),
        tokens=[TOKENS, TOKENS],
        streamed=0.0,
    )
    report = running.report()
    report.check("ok")
    deaths = len(arena.injector.tell("events"))
    assert deaths > (500 if full else 5)
    tell(f"{deaths} kills in {report.sent} whole answers: all ok")
