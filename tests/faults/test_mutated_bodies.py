"""B7 and B8: no body makes the proxy fail: not one that is mutated, not one made to hurt.

The worker runs in this process, so that what it would log as a failure of its own is seen.
"""

import json
import random
from copy import deepcopy
from typing import Any

import pytest
from worker.workplace import Workplace

from multiproxy import simulator
from multiproxy.simulator import Settings

TOOL = {"name": "weather", "description": "d", "input_schema": {"type": "object",
        "properties": {"city": {"type": "string"}}, "required": ["city"]}}  # fmt: skip
CALL = {"id": "c1", "type": "function", "function": {"name": "weather", "arguments": "{}"}}
SEEDS: dict[str, list[dict[str, Any]]] = {
    "/v1/chat/completions": [
        {"model": "demo", "stream": True, "max_tokens": 3, "temperature": 0.5, "stop": ["x"],
         "stream_options": {"include_usage": True}, "n": 1, "seed": 1, "logprobs": False,
         "response_format": {"type": "json_schema", "json_schema": {"name": "a", "schema": {}}},
         "messages": [{"role": "system", "content": "s"},
                      {"role": "user", "content": [{"type": "text", "text": "hi"}]},
                      {"role": "assistant", "content": None, "tool_calls": [CALL]},
                      {"role": "tool", "tool_call_id": "c1", "content": "sun"}],
         "tools": [{"type": "function", "function": {"name": "weather", "parameters": {}}}]},
    ],
    "/v1/messages": [
        {"model": "demo", "stream": True, "max_tokens": 3,
         "system": [{"type": "text", "text": "s"}],
         "metadata": {"user_id": "u"}, "stop_sequences": ["x"], "tools": [TOOL],
         "thinking": {"type": "enabled", "budget_tokens": 1024}, "tool_choice": {"type": "auto"},
         "messages": [{"role": "user", "content": "hi"},
                      {"role": "assistant", "content": [
                          {"type": "thinking", "thinking": "t", "signature": "s"},
                          {"type": "tool_use", "id": "t1", "name": "weather", "input": {}}]},
                      {"role": "user", "content": [
                          {"type": "tool_result", "tool_use_id": "t1", "is_error": False,
                           "content": [{"type": "text", "text": "sun"}]},
                          {"type": "text", "text": "and?"}]}]},
    ],
    "/v1/responses": [
        {"model": "demo", "stream": True, "max_output_tokens": 3, "instructions": "i",
         "store": False, "reasoning": {"effort": "low"}, "text": {"format": {"type": "text"}},
         "tools": [{"type": "function", "name": "weather", "parameters": {}, "strict": False}],
         "input": [{"type": "message", "role": "user",
                    "content": [{"type": "input_text", "text": "hi"}]},
                   {"type": "reasoning", "id": "rs_1", "summary": [], "content": []},
                   {"type": "function_call", "call_id": "c1", "name": "weather",
                    "arguments": "{}"},
                   {"type": "function_call_output", "call_id": "c1", "output": "sun"}]},
        {"model": "demo", "stream": False, "input": "hi", "max_output_tokens": 2,
         "previous_response_id": None, "include": ["reasoning.encrypted_content"]},
    ],
    "/v1/messages/count_tokens": [
        {"model": "demo", "messages": [{"role": "user", "content": "hi"}], "tools": [TOOL]},
    ],
    "/v1/completions": [{"model": "demo", "prompt": ["a", "b"], "max_tokens": 2, "stream": True}],
    "/v1/embeddings": [{"model": "demo", "input": ["a", "b"], "encoding_format": "float"}],
}  # fmt: skip
JUNK: list[Any] = [
    None, True, False, 0, -1, 1, 1.5, -0.0, 1e308, 2**53, 2**63, 2**64, -(2**63), "", "x", "\0",
    "\ud800", "🦙", "x" * 9000, [], {}, [[]], [None], [{}], {"": None}, {"type": None},
    {"type": "text"}, {"type": "text", "text": 1}, {"type": "function"}, {"role": "user"},
    [{"role": "user", "content": [{"type": "image_url", "image_url": "file:///etc/passwd"}]}],
    {"type": "tool_use", "id": 1, "name": None, "input": "x"}, "null", "{", "{}", "[1]", "auto",
    {"type": "json_schema", "json_schema": None}, {"$ref": "#"}, {"type": ["string", "null"]},
]  # fmt: skip


NAMES = ["type", "id", "x", "content", "name", "é"]


def places(node: Any) -> list[tuple[Any, Any]]:
    """Every (container, key) in a JSON value."""
    found = []
    items = node.items() if isinstance(node, dict) else enumerate(node)
    for key, child in items:
        found.append((node, key))
        if isinstance(child, dict | list):
            found += places(child)
    return found


def mutate(body: dict[str, Any], chance: random.Random) -> bytes:
    """A body that is one to three changes away from a good one."""
    body = deepcopy(body)
    for _ in range(chance.randint(1, 3)):
        options = places(body)
        if not options:
            break
        container, key = chance.choice(options)
        what = chance.random()
        if what < 0.7:
            container[key] = deepcopy(chance.choice(JUNK))
        elif what < 0.8:
            del container[key]
        elif isinstance(container, list):
            container.insert(0, deepcopy(chance.choice(container)))
        else:
            container[chance.choice(NAMES)] = deepcopy(chance.choice(JUNK))
    raw = json.dumps(body, ensure_ascii=chance.random() < 0.5).encode(errors="surrogatepass")
    if chance.random() < 0.1:  # and not even JSON
        at = chance.randrange(len(raw))
        raw = raw[:at] + bytes([chance.randrange(256)]) + raw[at + chance.randint(0, 2) :]
    return raw


@pytest.fixture
async def place():
    fast = Settings(
        tokens_per_second=0, prompt_tokens_per_second=0, n_predict=5, embeddings=True, slots=8
    )
    server = await simulator.start(fast)
    workplace = Workplace(server.port)
    yield workplace
    workplace.close()
    await server.close()


@pytest.mark.timeout(900)
@pytest.mark.parametrize("path", SEEDS)
async def test_no_mutated_body_makes_the_proxy_fail(place, path, full, seed, tell, capfd):
    """B8. The proxy answers or refuses, and whatever it sends on, it can read the answer."""
    chance = random.Random(seed)
    statuses: dict[int, int] = {}
    count = 10_000 if full else 150
    for _ in range(count):
        raw = mutate(chance.choice(SEEDS[path]), chance)
        answer = await place.client().ask(raw, path)
        statuses[answer.status] = statuses.get(answer.status, 0) + 1
        if answer.status == 500 and b"The proxy failed" in answer.body:
            pytest.fail(f"{raw!r}\n{capfd.readouterr().err}")
    assert not place.exchanges and place.in_flight == [0]
    tell(f"{path}: {count} bodies, statuses {dict(sorted(statuses.items()))}")


def around(content: bytes) -> bytes:
    """A chat body with this JSON as its message's content."""
    return b'{"model":"demo","messages":[{"role":"user","content":' + content + b"}]}"


HURTING = {
    "1,100 arrays deep": around(b"[" * 1_100 + b"]" * 1_100),
    "a million arrays deep": around(b"[" * 1_000_000),
    "an unknown member 300 deep": b'{"x":' + b"[" * 300 + b"]" * 300 + b"}",
    "NUL in the model": b'{"model":"de\\u0000mo","messages":[]}',
    "a number of 5,000 digits": around(b"9" * 5_000),
    "a number for the model": b'{"model":7,"messages":[]}',
    "not UTF-8": around(b'"\xff\xfe"'),
    "not an object": b"[]",
    "nothing": b"",
    "NaN": around(b"NaN"),
    "8 MiB of empty objects": around(b"[" + b"{}," * (8 << 20 >> 2) + b"{}]"),
    "two values": around(b'"hi"') + b"{}",
}


@pytest.mark.parametrize("name", HURTING)
async def test_a_body_that_is_made_to_hurt_is_refused(place, name):
    """B7. A status of 400 to 499, from the proxy or the backend, and nothing is left."""
    answer = await place.client().ask(HURTING[name], "/v1/chat/completions")
    assert 400 <= answer.status < 500, answer.body[:300]
    assert answer.json["error"]["message"]
    assert not place.exchanges and place.in_flight == [0]
