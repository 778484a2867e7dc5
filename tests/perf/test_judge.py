"""The judge itself is judged: right answers pass, and each kind of wrong one is caught."""

import pytest

import answers
from framing import AnswerReader, Place, WireError
from judge import ChatJudge, Outcome, percentile
from plan import Plan, find_plan

PLAN = Plan("run", 7, events=5, period_us=20_000)


def wire_answer(plan: Plan = PLAN) -> bytes:
    """A whole answer as the backend sends it; event ``n`` is due at ``n`` ms."""
    text = answers.StreamText(plan, created=1)
    tokens = b"".join(text.token(seq, seq * 1000) for seq in range(plan.events))
    end = text.seal() + text.finish(0.1) + answers.DONE_CHUNK + answers.LAST_CHUNK
    return answers.stream_head(closes=False) + tokens + end


def judged(wire: bytes, plan: Plan = PLAN) -> tuple[Outcome, str]:
    """The outcome of an answer whose connection ended behind these bytes."""
    judge, reader = ChatJudge(plan), AnswerReader()
    judge.feed(reader.feed(wire), now_us=0)
    return judge.finish(reader.place is Place.DONE), judge.why


def rechunked(old: bytes, new: bytes) -> bytes:
    """The answer with ``old`` replaced in its body, framed correctly again."""
    body = AnswerReader().feed(wire_answer())
    assert old in body
    body = body.replace(old, new, 1)
    return answers.stream_head(closes=False) + b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)


def event(seq: int, plan: Plan = PLAN) -> bytes:
    """The event of one token, as it is in the answer's body."""
    found = [part for part in AnswerReader().feed(wire_answer(plan)).split(b"\n\n")]
    return next(part for part in found if b"/%d/%d/" % (plan.request, seq) in part) + b"\n\n"


def test_a_right_answer_is_ok_wherever_it_is_cut():
    wire = wire_answer()
    for cut in range(len(wire)):
        judge, reader = ChatJudge(PLAN), AnswerReader()
        judge.feed(reader.feed(wire[:cut]), 0)
        judge.feed(reader.feed(wire[cut:]), 0)
        assert (judge.finish(reader.place is Place.DONE), judge.why) == (Outcome.OK, "")


@pytest.mark.parametrize(
    ("wire", "why"),
    [
        (rechunked(event(2), b""), "event 3 instead of 2"),
        (rechunked(event(2), event(2) * 2), "event 2 instead of 3"),
        (rechunked(event(2) + event(3), event(3) + event(2)), "event 3 instead of 2"),
        (rechunked(event(2), event(2, PLAN._replace(request=8))), "event of another stream"),
        (rechunked(event(2), event(2, PLAN._replace(run="old"))), "event of another stream"),
        (rechunked(b"/7/2/2000", b"/7/2/2001"), "do not match their SHA-256"),
        (rechunked(event(4), b"data: [DONE]\n\n"), "after the last"),
        (rechunked(b"data: [DONE]\n\n", b""), "last event False"),
        (rechunked(b'"finish_reason":"stop"', b'"finish_reason":null'), "finished False"),
        (rechunked(b'{"choices"', b'{"choices'), "not an event of this dialect"),
        (rechunked(b"data: [DONE]\n\n", b"data: [DONE]\n\ndata: {"), "whole answer"),
    ],
)
def test_a_wrong_answer_is_wrong_for_the_right_reason(wire, why):
    outcome, told = judged(wire)
    assert outcome is Outcome.WRONG
    assert why in told


def test_a_cut_answer_is_a_reset_and_never_ok():
    wire = wire_answer()
    for cut in range(len(wire)):
        assert judged(wire[:cut])[0] is Outcome.RESET


def test_an_announced_cut_is_told_apart_from_a_silent_one():
    error = b'data: {"error":{"message":"gone"}}\n\n'
    start = answers.stream_head(closes=False)
    body = event(0) + error
    assert judged(start + b"%x\r\n%s\r\n" % (len(body), body))[0] is Outcome.ERROR_AFTER
    assert judged(start + b"%x\r\n%s\r\n" % (len(error), error))[0] is Outcome.ERROR_BEFORE


def test_latency_counts_from_the_moment_an_event_was_due():
    judge, reader = ChatJudge(PLAN), AnswerReader()
    latencies = judge.feed(reader.feed(wire_answer()), now_us=2_004_000)
    assert latencies == [2_004_000, 2_003_000, 2_002_000, 2_001_000, 2_000_000]


def test_a_byte_lost_from_the_framing_is_caught():
    wire = wire_answer()
    place = wire.index(b"\r\n\r\n") + 1000
    outcomes = set()
    try:
        outcomes.add(judged(wire[:place] + wire[place + 1 :])[0])
    except WireError:
        outcomes.add(Outcome.WRONG)
    assert Outcome.OK not in outcomes


def test_bytes_after_the_end_are_an_error():
    with pytest.raises(WireError, match="after the end"):
        AnswerReader().feed(wire_answer() + b"H")


def test_the_plan_is_found_in_any_body_that_carries_the_prompt():
    plan = Plan("ab1", 17, 500, 20_000, 64)
    assert find_plan(b'{"messages":[{"content":"%s"}]}' % plan.prompt().encode()) == plan
    assert find_plan(b'{"messages":[]}') is None


def test_an_event_is_as_large_on_the_wire_as_a_real_one():
    text = answers.StreamText(Plan("r0multiproxy", 150, 500, 20_000), created=1795396733)
    text.token(0, 1_295_123_456)
    assert 240 <= len(text.token(101, 1_295_123_456)) <= 290


def test_a_small_answer_has_its_size_and_differs_per_request():
    bodies = [answers.small_body(Plan("r", number, size=1024)) for number in (1, 2)]
    assert [len(body) for body in bodies] == [1024, 1024]
    assert bodies[0] != bodies[1]


def test_percentiles_are_values_that_occurred():
    assert [percentile(list(range(100)), share) for share in (0.5, 0.99, 1.0)] == [50, 99, 99]
    assert percentile([], 0.5) == 0
