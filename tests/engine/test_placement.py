"""Placement before real llama.cpp servers: caches that are met again, windows told exactly."""

import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from typing import Any

import pytest
from asking import ask
from engine.launcher import Engine
from engine.test_main_job import backends

from multiproxy.routing.window import AWKWARD, is_bounded

pytestmark = pytest.mark.engine

CHAT = "/v1/chat/completions"
SESSIONS, TURNS = 6, 5
Place = Callable[[], str]


def words(chance: random.Random, number: int) -> str:
    return " ".join(
        chance.choice(("slot", "cache", "token", "café", "reply")) for _ in range(number)
    )


def converse(session: int, place: Place) -> tuple[int, int]:
    """One conversation; returns its prompt tokens and how many of them were cached."""
    chance = random.Random(session)
    history = [{"role": "system", "content": f"agent {session} {words(chance, 60)}"}]
    prompt = cached = 0
    for _ in range(TURNS):
        history.append({"role": "user", "content": words(chance, 80)})
        body = {"model": "m", "messages": history, "max_tokens": 24, "seed": session}
        status, answer = ask(place(), "POST", CHAT, body)
        assert status == 200, answer
        history.append(answer["choices"][0]["message"])
        usage = answer["usage"]
        prompt += usage["prompt_tokens"]
        cached += usage["prompt_tokens_details"]["cached_tokens"]
    return prompt, cached


def cached_share(place: Place) -> float:
    """The cached share of all prompt tokens when the sessions run at the same time."""
    with ThreadPoolExecutor(SESSIONS) as pool:
        spent = list(pool.map(lambda session: converse(session, place), range(SESSIONS)))
    return sum(cached for _, cached in spent) / sum(prompt for prompt, _ in spent)


def test_six_sessions_on_four_engines_are_cached_as_on_one(engine_factory, multiproxy_process):
    options = {"ctx": 4096, "alias": "m", "cache_ram_mib": 0}
    whole = engine_factory(slots=SESSIONS, **options)
    one = cached_share(lambda: whole.url)
    whole.kill()
    engines = [engine_factory(slots=2, **options) for _ in range(4)]
    turn = count()
    round_robin = cached_share(lambda: engines[next(turn) % 4].url)
    for engine in engines:
        engine.restart()
    proxy = multiproxy_process(backends(*engines))
    ours = cached_share(lambda: proxy.url)
    assert ours >= 0.9 * one, (ours, one, round_robin)
    assert ours > round_robin + 0.2


# -- the window's edge ---------------------------------------------------------------------------

WINDOW = 1024
TOOL = {
    "type": "function",
    "function": {
        "name": "look_up",
        "description": "Looks a café up",
        "parameters": {"type": "object", "properties": {"name": {"type": "string"}}},
    },
}


def near_the_edge(chance: random.Random, engine: Engine) -> dict[str, Any]:
    """A request whose prompt has about as many tokens as the window."""
    unit = chance.choice(
        ("slot ", "The cache keeps a chunk. ", "プロキシ", "🦙", "é\n", '{"a": "b"}')
    )
    body: dict[str, Any] = {"model": "m", "max_tokens": 1, "messages": []}
    if chance.random() < 0.3:
        body["tools"] = [TOOL]
    if chance.random() < 0.5:
        for _ in range(chance.randrange(1, 4)):
            body["messages"] += [
                {"role": "user", "content": words(chance, 20)},
                {"role": "assistant", "content": words(chance, 10)},
            ]
    body["messages"].append({"role": "user", "content": ""})
    _, empty = ask(engine.url, "POST", f"{CHAT}/input_tokens", body)
    _, some = ask(engine.url, "POST", "/tokenize", {"content": unit * 64, "add_special": False})
    room = WINDOW - empty["input_tokens"] + chance.randrange(-6, 7)
    body["messages"][-1]["content"] = unit * max(0, round(room / (len(some["tokens"]) / 64)))
    return body


@pytest.mark.timeout(300)
def test_the_windows_verdict_is_the_engines_own(shared_engine, multiproxy_process, full):
    engine = shared_engine(alias="m", ctx=WINDOW, slots=2)
    proxy = multiproxy_process(backends(engine))
    chance = random.Random(11)
    verdicts = []
    for _ in range(1000 if full else 60):
        body = near_the_edge(chance, engine)
        status, theirs = ask(engine.url, "POST", CHAT, body)
        again, ours = proxy.ask("POST", CHAT, body)
        assert again == status, (theirs, ours)
        verdicts.append(status)
        if status == 400:
            numbers = ("n_prompt_tokens", "n_ctx")
            assert ours["error"]["code"] == "context_length_exceeded"
            assert [ours["error"][name] for name in numbers] == [
                theirs["error"][name] for name in numbers
            ]
    assert min(verdicts.count(200), verdicts.count(400)) > len(verdicts) / 5


def test_the_engines_byte_level_vocabulary_keeps_to_the_bytes_of_awkward_texts(shared_engine):
    engine = shared_engine()
    for text in AWKWARD:
        body = {"content": text, "add_special": True, "parse_special": True}
        status, answer = ask(engine.url, "POST", "/tokenize", body)
        assert status == 200, answer
        assert is_bounded(text, len(answer["tokens"])), text[:9].encode("unicode_escape")
