"""F16: a request that kills its backends ends after two of them, and is then refused."""

import time

import pytest
from asking import ask
from waiting import until

RESTS_S = 3.0  # a llama-server needs longer to load its model again
AT_ONCE_S = 0.0  # back within some 20 ms: no probe sees that it was gone
HIT = "die:path=/v1/chat/completions,match=poison"


def poison(number: int, seed: int) -> dict[str, object]:
    text = f"poison {seed} {number}"
    return {"model": "demo", "messages": [{"role": "user", "content": text}]}


@pytest.mark.parametrize("rests_s", [RESTS_S, AT_ONCE_S])
def test_a_deadly_request_kills_two_of_four_backends_at_most(arena, full, seed, tell, rests_s):
    for _ in range(4):
        arena.injector.start([[HIT]], rests_s=rests_s)
    proxy = arena.serve()
    times, asked, deaths = 20 if full else 1, 0, 0

    def all_are_up() -> bool:
        states = [f"b{number}" for number in range(4)]
        return all(proxy.log_text().count(f"{each} is up") > 0 for each in states)

    until(all_are_up)
    for number in range(times):
        code = ""
        while code != "request_quarantined":  # until it is known that they died
            status, answer = ask(proxy.url, "POST", "/v1/chat/completions", poison(number, seed))
            assert status in (502, 503), answer
            code = answer["error"]["code"]
            asked += 1
            time.sleep(0.1)  # a client's own pause, in which the injector sees who died
            deaths += len(arena.injector.tell("events"))
            assert deaths <= 2 * asked
    until(lambda: ask(proxy.url, "GET", "/readyz")[0] == 200, 30)
    report = arena.load(proxy.port, requests=50, seed=seed).report()
    report.check("ok")
    assert deaths >= 2
    if rests_s == AT_ONCE_S:  # else some asked for nothing, as none was up
        assert asked <= 3 * times and deaths <= 3 * times
    tell(f"{times} deadly bodies, asked {asked} times: {deaths} deaths, then refused; 50 others ok")
