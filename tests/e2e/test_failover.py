"""A backend that fails before its first event is a delay; after it, an honest error."""

import asyncio

import pytest
from e2e.raw_client import Client, ask, chat

from multiproxy.simulator import Settings

FAST = {"tokens_per_second": 500.0, "prompt_tokens_per_second": 100_000.0}
BEFORE = [
    "refuse",
    "cut",
    "cut:reset=1",
    "cut:after_bytes=40",
    "status:status=500",
    "status:status=502",
    "status:status=429",
    "status:status=503",
    "length-and-chunked",
    "switching-protocols",
]
BEFORE_IN_A_STREAM = [
    "cut:after_events=0",
    "early-end:after_events=0",
    "bad-chunk-size:after_events=0",
]


@pytest.mark.parametrize(
    ("fault", "stream"),
    [(fault, stream) for fault in BEFORE for stream in (True, False)]
    + [(fault, True) for fault in BEFORE_IN_A_STREAM],
)
async def test_what_fails_before_its_first_event_is_answered_by_another(house, fault, stream):
    place = await house(Settings(**FAST), Settings(**FAST, slots=16))
    place.simulators[0].set_faults([fault])
    body = chat("hi", max_tokens=5, stream=stream)
    answers = await asyncio.gather(*(ask(place.port, body) for _ in range(12)))
    assert [answer.outcome for answer in answers] == ["ok"] * 12
    for line in await place.logged(12):
        assert line["backend"] == "sim-1"
        assert line["attempts"] <= 2


async def test_an_overflow_told_inside_the_stream_is_the_clients_too(house):
    """Builds of 2025 answer 200 first, and tell it as the first event."""
    place = await house(Settings(**FAST))
    place.simulators[0].set_faults(["error-event:after_events=0"])
    answer = await ask(place.port, chat("hi"))
    assert answer.status == 400
    assert b'"code":"context_length_exceeded"' in answer.body


async def test_each_backend_is_tried_once_and_at_most_three(house):
    place = await house(*(Settings(**FAST) for _ in range(5)))
    for each in place.simulators:
        each.set_faults(["status:status=500"])
    answer = await ask(place.port, chat("hi"))
    assert answer.status == 502
    assert b'"code":"backend_error"' in answer.body and b'"request_id":"req_' in answer.body
    tried = [each.facts.requests["POST /v1/chat/completions"] for each in place.simulators]
    assert sorted(tried) == [0, 0, 1, 1, 1]


AFTER = {
    "cut:after_events=5": "BD",
    "cut:after_events=5,reset=1": "BD",
    "early-end:after_events=5": "BD",
    "error-event:after_events=5": "CD",  # it is a context overflow
    "bad-chunk-size:after_events=5": "BD",
}


@pytest.mark.parametrize("fault", AFTER)
async def test_what_fails_after_its_first_event_ends_with_one_error_event(house, fault):
    place = await house(Settings(**FAST), Settings(**FAST), retry={"after_commit": "error"})
    for each in place.simulators:
        each.set_faults([fault])
    answer = await ask(place.port, chat("hi", max_tokens=20))
    assert answer.outcome == "error-after"
    assert not answer.ended, "a clean end would read as success"
    assert b"[DONE]" not in answer.body
    assert sum(b'"error"' in event for event in answer.events) == 1
    assert b'"error"' in answer.events[-1] and b'"request_id":"req_' in answer.events[-1]
    assert sum(b'"content":"' in event for event in answer.events) >= 2
    assert place.generations == 1, "nothing may be retried after the commit point"
    (line,) = await place.logged(1)
    assert line["end"] == AFTER[fault]


async def test_a_prompt_that_fits_no_window_reaches_no_backend(house):
    place = await house(Settings(**FAST, context_size=64), Settings(**FAST, context_size=64))
    answer = await ask(place.port, chat("word " * 500))
    assert answer.status == 400
    assert b'"code":"context_length_exceeded"' in answer.body
    assert b'"n_ctx":64' in answer.body
    (line,) = await place.logged(1)
    assert line["attempts"] == 0


async def test_all_backends_down_is_an_answer_at_once(house):
    place = await house(Settings(**FAST))
    await place.simulators[0].close()
    answer = await ask(place.port, chat("hi"))
    while answer.status != 503 or b"no_backend_available" not in answer.body:
        assert answer.status in (502, 503)
        answer = await ask(place.port, chat("hi"))
    assert b"Retry-After" in answer.head or b"retry-after" in answer.head


async def test_more_requests_than_slots_wait_their_turn(house):
    place = await house(Settings(**FAST, slots=2), Settings(**FAST, slots=2))
    answers = await asyncio.gather(
        *(ask(place.port, chat(f"number {n}", max_tokens=5)) for n in range(60))
    )
    assert [answer.outcome for answer in answers] == ["ok"] * 60
    assert [each.facts.deferred for each in place.simulators] == [0, 0]


async def test_a_full_queue_and_a_long_wait_are_told(house):
    slow = Settings(slots=1, tokens_per_second=20)
    place = await house(slow, limits={"queue": 2}, timeouts={"queue": "1s"})
    async with Client(place.port) as first:
        first.send(chat("hi", max_tokens=200))
        await first.until_content()
        answers = await asyncio.gather(*(ask(place.port, chat("hi")) for _ in range(3)))
    assert [answer.status for answer in answers] == [503] * 3
    assert all(b'"code":"overloaded"' in answer.body for answer in answers)
    assert all(b"retry-after: " in answer.head.lower() for answer in answers)
    assert sum(b"already wait" in answer.body for answer in answers) == 1
    assert sum(b"No slot became free within 1 s" in answer.body for answer in answers) == 2
