"""Right answers of every dialect are ok, and no part or change of one is."""

import asyncio
import json

import pytest
from faults.asked import PATHS, Asked
from faults.verdict import CLOSED, HAS_LEFT, OPEN, RESET, TIMED_OUT, judge

from multiproxy import simulator
from multiproxy.simulator import Settings

KINDS = [
    Asked(number, f"n.1-{number}", 4, dialect, stream)
    for number, (dialect, stream) in enumerate((d, s) for d in PATHS for s in (True, False))
]


def request(asked: Asked) -> bytes:
    data = json.dumps(asked.body()).encode()
    head = f"POST {PATHS[asked.dialect]} HTTP/1.1\r\nContent-Length: {len(data)}\r\n\r\n"
    return head.encode() + data


@pytest.fixture
async def right() -> dict[Asked, bytes]:
    """Whole answers of a backend: Chat is its own dialect, and those of Messages are right too."""
    fast = Settings(tokens_per_second=0, prompt_tokens_per_second=0, keep_alive_max=1)
    server = await simulator.start(fast)
    answers = {}
    for asked in KINDS:
        if asked.dialect == "responses" and asked.stream:
            continue  # llama-server does not number its events: only the proxy's answers are right
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(request(asked))
        answers[asked] = await reader.read()
        writer.close()
    await server.close()
    return answers


async def test_right_answers_are_ok_and_no_beginning_of_one_is(right):
    assert len(right) == 5
    for asked, raw in right.items():
        assert judge(asked, raw, OPEN).outcome == "ok", judge(asked, raw, OPEN)
        for end in range(len(raw)):
            assert judge(asked, raw[:end], CLOSED).outcome == "reset"
            assert judge(asked, raw[:end], TIMED_OUT).outcome == "hang"


async def test_no_answer_is_right_for_another_request(right):
    for asked in right:
        for other, raw in right.items():
            if other.nonce != asked.nonce:
                assert judge(asked, raw, OPEN).outcome == "wrong"


async def test_a_changed_letter_of_the_text_is_wrong(right):
    for asked, raw in right.items():
        for at in range(raw.find(b"n.1-"), raw.rfind(b"n.1-")):
            if raw[at : at + 2] == b":2":
                changed = raw[: at + 1] + b"3" + raw[at + 2 :]
                assert judge(asked, changed, OPEN).outcome == "wrong"


async def test_who_left_is_right_as_far_as_the_answer_went(right):
    asked = Asked(0, KINDS[0].nonce, 4, leaves=True)
    raw = right[KINDS[0]]
    assert judge(asked, raw[: len(raw) // 2], HAS_LEFT).outcome == "left"
    assert judge(asked, raw.replace(b"n.1-0:1", b"n.1-0:2")[:-1], HAS_LEFT).outcome == "wrong"
    assert judge(KINDS[0], raw[: len(raw) // 2], HAS_LEFT).outcome == "reset", "not told to"


@pytest.mark.parametrize(
    ("raw", "outcome"),
    [
        (b"HTTP/1.1 400 Bad\r\nContent-Length: 0\r\n\r\n", "error-before"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "wrong"),
        (b"", "reset"),
    ],
)
def test_garbage_may_be_refused_and_not_answered(raw, outcome):
    assert judge(Asked(0, "n.1-0", 1, "garbage"), raw, RESET).outcome == outcome
