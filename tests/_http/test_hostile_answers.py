"""Answers of real servers, damaged at random: whatever comes, one verdict, and never two answers.

A short run here; ``--full`` makes the million. The seed is in the failure's message.
"""

import random

import pytest
from _http.answering import Kept, asked
from _http.damage import damaged
from recordings import recording

from multiproxy._http.client import State

NAMES = (
    "chat.stream",
    "chat.nonstream",
    "error.context.stream",
    "completions.v1.stream.two-prompts",
)
SHORT, FULL = 4_000, 1_000_000
SPLICES = (
    b"\r\n", b"\n", b"\r", b"\0", b":", b"0\r\n\r\n", b"Content-Length: 5\r\n",
    b"Transfer-Encoding: chunked\r\n", b"HTTP/1.1 200 OK\r\n\r\n", b"HTTP/1.1 100 Continue\r\n\r\n",
    b"ffffffffffffffff\r\n", b"-2\r\n", b";a=\"", b"\xff", b" ", b"\t", b"A" * 5000,
)  # fmt: skip


def fed(data: bytes, chance: random.Random) -> Kept:
    """What a connection makes of ``data`` in pieces, with an EOF or a reset behind it."""
    connection, sink = asked()
    while data and connection.state is not State.CLOSED:
        size = chance.choice((1, 7, 100, 4096, 65536))
        piece, data = data[:size], data[size:]
        connection.data_received(piece)
    is_pooled = connection.state is State.IDLE and connection.is_reusable
    assert not (is_pooled and data)
    if connection.state is not State.CLOSED:
        connection.eof_received()
    assert connection.state is State.CLOSED
    return sink


@pytest.mark.parametrize("name", NAMES)
def test_a_damaged_answer_has_one_verdict(name, full):
    whole = recording(name)
    rounds = (FULL if full else SHORT) // len(NAMES)
    for seed in range(rounds):
        chance = random.Random(f"{name} {seed}")
        data = damaged(whole, chance, SPLICES)
        sink = fed(data, chance)
        verdicts = [call for call in sink.calls if call != "head"]
        assert len(verdicts) == 1, (name, seed, sink.calls)
        assert sink.calls.count("head") <= 1, (name, seed)
        assert len(sink.payload) <= len(data), (name, seed)
        if verdicts == ["end"]:
            head = sink.heads[0]
            assert 200 <= head.status <= 599, (name, seed)
            if head.content_length is not None:
                assert len(sink.payload) == head.content_length, (name, seed)
