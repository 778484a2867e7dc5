"""A conversation whose client changed what it had said, from the request to the record."""

import pytest
from worker.conftest import Staff

SYSTEM = "be kind to everybody who asks " * 400
MORE = "tell me more about that "
HEADERS = "x-session-id: s1\r\n"


def turn(path: str, count: int, system: str = SYSTEM, changed: int | None = None) -> dict:
    """``count`` messages of a conversation, of which number ``changed`` is another one."""
    roles = ("user", "assistant")
    messages = [
        {"role": roles[n % 2], "content": f"{n} {'but ' * 900 if n == changed else MORE * 40}"}
        for n in range(count)
    ]
    if path == "/v1/messages":
        head = {"system": system, "messages": messages, "max_tokens": 8}
    elif path == "/v1/responses":
        head = {"instructions": system, "input": messages, "store": False}
    else:
        head = {"messages": [{"role": "system", "content": system}, *messages], "max_tokens": 8}
    return {"model": "demo", "stream": True, **head}


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/messages", "/v1/responses"])
async def test_the_record_tells_where_the_prompt_broke_and_what_it_cost(staff: Staff, path: str):
    workplace, _ = await staff(1)
    client = workplace.client()
    for body in (
        turn(path, 3),
        turn(path, 5),
        turn(path, 7, system="Now " + SYSTEM),
        turn(path, 9, system="Now " + SYSTEM, changed=1),
    ):
        assert (await client.ask(body, path, "POST", HEADERS)).status == 200
    first, grown, headless, changed = workplace.records
    assert (first.broke_at, first.broke_tokens, grown.broke_at) == (0, 0, 0)
    assert headless.broke_at == 1
    assert headless.broke_tokens > headless.prompt_tokens * 0.7
    assert changed.broke_at == 2 + 2
    read = changed.prompt_tokens - changed.cached_tokens
    assert 256 < changed.broke_tokens < read


async def test_what_is_not_told_message_by_message_is_left_alone(staff: Staff):
    workplace, _ = await staff(1, context_size=65536)
    for text in (MORE * 400, MORE * 200 + "but " * 2000):
        body = {"model": "demo", "prompt": text, "max_tokens": 4}
        answer = await workplace.client().ask(body, "/v1/completions", "POST", HEADERS)
        assert answer.status == 200
    first, second = workplace.records
    assert second.prompt_tokens > first.prompt_tokens > 1000
    assert (first.broke_at, second.broke_at) == (0, 0)
