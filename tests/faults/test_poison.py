"""F16: a request that kills its backends ends after two of them, and is then refused."""

import time

from asking import ask
from waiting import until

HIT = "die:path=/v1/chat/completions,match=poison"


def poison(number: int, seed: int) -> dict[str, object]:
    text = f"poison {seed} {number}"
    return {"model": "demo", "messages": [{"role": "user", "content": text}]}


def test_a_deadly_request_kills_two_of_four_backends_at_most(arena, full, seed, tell):
    for _ in range(4):
        arena.injector.start([[HIT]])
    proxy = arena.serve()
    times, most = 20 if full else 1, 0

    def all_are_up() -> bool:
        states = [f"b{number}" for number in range(4)]
        return all(proxy.log_text().count(f"{each} is up") > 0 for each in states)

    until(all_are_up)
    for number in range(times):
        code = ""
        while code != "request_quarantined":  # until the probes confirm that they died
            status, answer = ask(proxy.url, "POST", "/v1/chat/completions", poison(number, seed))
            assert status in (502, 503), answer
            code = answer["error"]["code"]
            deaths = len(arena.injector.tell("events"))
            most = max(most, deaths)
            assert deaths <= 2
            time.sleep(0.1)  # a client's own pause
    report = arena.load(proxy.port, requests=50, seed=seed).report()
    report.check("ok")
    assert most == 2
    tell(f"{times} deadly requests: {most} backends dead at most, then refused; 50 others ok")
