"""The judges of translated streams: right answers pass, each kind of wrong one is caught."""

import hashlib
import json

import pytest

from judge import Outcome
from plan import Plan, find_plan
from questions import STREAMED

PLAN = Plan("run", 7, events=4, period_us=20_000)


def words(plan: Plan = PLAN) -> list[str]:
    """The tokens of an answer, and its seal."""
    tokens = [plan.token(seq, seq * 1000) for seq in range(plan.events)]
    return [*tokens, plan.seal(hashlib.sha256("".join(tokens).encode()).hexdigest())]


def named(name: str, **members: object) -> bytes:
    return f"event: {name}\ndata: {json.dumps({'type': name, **members})}\n\n".encode()


def messages(said: list[str], reason: str = "end_turn") -> list[bytes]:
    deltas = [
        named("content_block_delta", index=0, delta={"type": "text_delta", "text": word})
        for word in said
    ]
    return [
        named("message_start", message={}),
        named("ping"),
        named("content_block_start", index=0, content_block={"type": "text", "text": ""}),
        *deltas,
        named("content_block_stop", index=0),
        named("message_delta", delta={"stop_reason": reason}),
        named("message_stop"),
    ]


def responses(said: list[str], status: str = "completed") -> list[bytes]:
    names = ["response.created", *["response.output_text.delta"] * len(said)]
    events = [
        named(name, sequence_number=number, delta=word)
        for number, (name, word) in enumerate(zip(names, ["", *said], strict=True))
    ]
    end = {"response": {"status": status}, "sequence_number": len(events)}
    return [*events, named(f"response.{status}", **end), b"data: [DONE]\n\n"]


def chat(said: list[str], reason: str = "stop") -> list[bytes]:
    choices = [{"delta": {"content": word}, "finish_reason": None} for word in said]
    choices.append({"delta": {}, "finish_reason": reason})
    chunks = [f"data: {json.dumps({'choices': [each]})}\n\n".encode() for each in choices]
    return [*chunks, b"data: [DONE]\n\n"]


STREAMS = {"chat": chat, "messages": messages, "responses": responses}
CUT_SHORT = {"chat": "length", "messages": "max_tokens", "responses": "incomplete"}

every_dialect = pytest.mark.parametrize("dialect", STREAMED)


def judged(dialect: str, events: list[bytes], whole: bool = True) -> Outcome:
    judge = STREAMED[dialect].judge(PLAN)
    for event in events:
        judge.feed(event, 0)
    return judge.finish(whole)


@every_dialect
def test_a_right_answer_is_ok_wherever_it_is_cut(dialect):
    stream = b"".join(STREAMS[dialect](words()))
    for cut in range(len(stream)):
        assert judged(dialect, [stream[:cut], stream[cut:]]) is Outcome.OK


@every_dialect
def test_any_event_that_is_lost_doubled_or_misplaced_is_caught(dialect):
    said = words()
    for place in range(len(said)):
        lost = said[:place] + said[place + 1 :]
        doubled = said[: place + 1] + said[place:]
        assert judged(dialect, STREAMS[dialect](lost)) is Outcome.WRONG
        assert judged(dialect, STREAMS[dialect](doubled)) is Outcome.WRONG
    swapped = [said[1], said[0], *said[2:]]
    assert judged(dialect, STREAMS[dialect](swapped)) is Outcome.WRONG
    changed = [said[0].replace("/0/0", "/0/1"), *said[1:]]
    assert judged(dialect, STREAMS[dialect](changed)) is Outcome.WRONG
    assert judged(dialect, STREAMS[dialect](words(PLAN._replace(request=8)))) is Outcome.WRONG


@every_dialect
def test_an_answer_that_did_not_finish_is_not_ok(dialect):
    *events, last = STREAMS[dialect](words())
    assert judged(dialect, events) is Outcome.WRONG
    assert judged(dialect, events, whole=False) is Outcome.RESET
    assert judged(dialect, [*events, last, last]) is Outcome.WRONG
    assert judged(dialect, STREAMS[dialect](words(), CUT_SHORT[dialect])) is Outcome.WRONG


@every_dialect
def test_an_error_event_is_told_apart_from_a_silent_end(dialect):
    events = STREAMS[dialect](words())[:-2]
    error = {"sequence_number": 6} if dialect == "responses" else {}
    told = named("error", error={}, **error) if dialect != "chat" else b'data: {"error":{}}\n\n'
    begun = events[: len(events) - 1] if dialect == "messages" else events
    assert judged(dialect, [*begun, told], whole=False) is Outcome.ERROR_AFTER


def test_a_wrong_number_or_name_is_caught():
    events = responses(words())
    assert judged("responses", [*events[:2], *events[3:]]) is Outcome.WRONG
    other = events[2].replace(b"event: response.output_text.delta", b"event: other")
    assert judged("responses", [*events[:2], other, *events[3:]]) is Outcome.WRONG


@every_dialect
def test_the_request_carries_the_plan(dialect):
    assert find_plan(json.dumps(STREAMED[dialect].body(PLAN)).encode()) == PLAN
