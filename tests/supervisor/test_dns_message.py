"""DNS messages, byte by byte."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from multiproxy.supervisor.dns_message import Answer, BadMessage, Record, Type, parse, question

ASKED = question(0x1234, "gpu.example.org", Type.A)
NAME = b"\x03gpu\x07example\x03org\0"


def answer(*records, number=0x1234, flags=0x8180, asked=ASKED):
    head = number.to_bytes(2) + flags.to_bytes(2) + b"\0\1" + len(records).to_bytes(2) + bytes(4)
    return head + asked[12:] + b"".join(records)


def record(kind, data, ttl=60, name=b"\xc0\x0c", group=1):
    return (
        name + kind.to_bytes(2) + group.to_bytes(2) + ttl.to_bytes(4) + len(data).to_bytes(2) + data
    )


def test_a_question_is_what_the_standard_says():
    assert ASKED == b"\x12\x34\x01\x00\0\1\0\0\0\0\0\0" + NAME + b"\0\1\0\1"
    assert question(1, "gpu.example.org.", Type.SRV).endswith(NAME + b"\0\x21\0\1")


@pytest.mark.parametrize("name", ["", ".", "a..b", "a" * 64 + ".org"])
def test_what_is_no_name_cannot_be_asked(name):
    with pytest.raises(BadMessage):
        question(1, name, Type.A)


def test_addresses_and_their_time_to_live():
    message = answer(
        record(5, NAME, ttl=5),  # CNAME: resolvers list what it leads to as well
        record(1, bytes([10, 0, 0, 1]), ttl=30),
        record(28, bytes(15) + b"\1", ttl=7),
    )
    assert parse(message, ASKED) == Answer(
        0, False, (Record(Type.A, 30, "10.0.0.1"), Record(Type.AAAA, 7, "::1"))
    )


def test_services_with_names_that_point_back_into_the_message():
    data = b"\0\5\0\1\x1f\x90" + b"\2b1\xc0\x0c"
    (found,) = parse(answer(record(33, data)), ASKED).records
    assert found == Record(Type.SRV, 60, "b1.gpu.example.org", 8080, 5)


def test_the_status_and_the_wish_for_tcp_are_told():
    assert parse(answer(flags=0x8183), ASKED) == Answer(3, False, ())
    assert parse(answer(flags=0x8380), ASKED).truncated
    cut = answer(record(1, bytes(4)), flags=0x8380)[:-2]
    assert parse(cut, ASKED) == Answer(0, True, ())


@pytest.mark.parametrize(
    "message",
    [
        answer(number=0x1235),
        answer(flags=0x0180),
        answer(asked=question(0x1234, "gpv.example.org", Type.A)),
        answer(asked=question(0x1234, "gpu.example.org", Type.AAAA)),
        answer(record(1, bytes(5))),
        answer(record(1, bytes(4)))[:-1],
        answer(record(1, bytes(4), name=b"\xc0\x2c\xc0")),
        answer(record(1, bytes(4), name=b"\x80")),
    ],
)
def test_anything_else_is_no_answer_of_ours(message):
    with pytest.raises(BadMessage):
        parse(message, ASKED)


def test_a_name_that_points_at_itself_ends():
    at = len(ASKED)
    with pytest.raises(BadMessage, match="without an end"):
        parse(answer(record(1, bytes(4), name=(0xC000 | at).to_bytes(2))), ASKED)


def test_letter_case_of_the_question_may_differ():
    message = answer(record(1, bytes(4)))
    assert parse(message[:12] + message[12:].replace(b"gpu", b"GpU"), ASKED).status == 0


@given(st.binary(max_size=200))
def test_no_bytes_do_harm(rest):
    for message in (rest, ASKED[:2] + b"\x81\x80\0\1\0\x09\0\0\0\0" + ASKED[12:] + rest):
        try:
            parse(message, ASKED)
        except BadMessage:
            pass
