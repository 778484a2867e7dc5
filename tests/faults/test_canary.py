"""N1, N3, N4: no answer holds another one's nonce, the books agree, nothing is left behind."""

import pytest
from faults import canary
from faults.asked import END_TOKENS, PATHS
from faults.books import metrics_of


@pytest.mark.timeout(3600)
def test_no_nonce_of_another_request_is_in_any_answer(arena, full, seed, tell):
    """N1 and N4: 30 % leave, some speak no HTTP, and a backend is killed again and again."""
    requests, kill_s = (100_000, 5.0) if full else (1_000, 1.0)
    result = canary.run(arena, requests, kill_s=kill_s, seed=seed)
    result.check()
    assert result.kills > 0
    tell(result.told)


def test_the_books_of_clients_proxy_and_backends_agree(arena, full, seed, tell):
    """N3: requests, attempts and tokens, counted by all three."""
    for _ in range(2):
        arena.injector.start()
    proxy = arena.serve(workers=2)
    count = 20_000 if full else 500
    running = arena.load(
        proxy.port,
        requests=count,
        at_once=16,
        seed=seed,
        dialects=list(PATHS),
        streamed=0.5,
        keeps_all=True,
    )
    report = running.report()
    report.check("ok")
    lines = proxy.wait_for_requests(count)
    facts = [arena.injector.tell("faults", backend=number, faults=[]) for number in range(2)]
    asked = [each["requests"]["POST /v1/chat/completions"] for each in facts]
    assert sum(asked) == sum(line["attempts"] for line in lines) == count
    assert sum(each["generations"] for each in facts) == count
    assert sum(each["finished"] for each in facts) == count
    said = sum(answer["seen"] + END_TOKENS for answer in report.all)
    assert sum(line["output_tokens"] for line in lines) == said
    counted = metrics_of(proxy, count)
    assert counted["multiproxy_requests_total"] == count
    prompts = sum(line["prompt_tokens"] for line in lines)
    assert counted["multiproxy_tokens_total"] == prompts + said
    tell(f"{count} requests, {said} tokens: clients, proxy and backends agree")
