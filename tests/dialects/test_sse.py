"""Server-sent events however they are cut."""

import pytest
from chat_notation import cuts

from multiproxy.dialects.sse import ErrorData, EventSplitter
from multiproxy.errors import BackendProtocolError

STREAM = (
    b"\xef\xbb\xbfdata: one\n\n"
    b": comment\n\n"
    b"data:two\r\n\r\n"
    b"event: message\rdata: three\rdata:  four\r\r"
    b"id: 7\nretry: 1\n\n"
    b"data\n\n"
    b"data: caf\xc3\xa9\n\n\n"
    b'error: {"code":500}\n\n'
    b"event: error\ndata: boom\n\n"
    b"data: five\n\ndata: six\n\n"
    b"data: last"
)
EVENTS = [
    b"one",
    b"two",
    b"three\n four",
    b"",
    b"caf\xc3\xa9",
    b'{"code":500}',
    b"boom",
    b"five",
    b"six",
    b"last",
]


def split(pieces: list[bytes]) -> list[bytes]:
    splitter = EventSplitter()
    events = [event for piece in pieces for event in splitter.feed(piece)] + splitter.finish()
    assert splitter.comments == 1
    return events


@pytest.mark.parametrize("cut", range(len(STREAM) + 1))
def test_the_events_are_the_same_wherever_the_stream_is_cut(cut: int) -> None:
    assert split([STREAM[:cut], STREAM[cut:]]) == EVENTS


@pytest.mark.parametrize("seed", range(20))
def test_the_events_are_the_same_in_many_pieces(seed: int) -> None:
    events = split(cuts(STREAM, seed))
    assert events == EVENTS
    assert [type(event) is ErrorData for event in events] == [False] * 5 + [True] * 2 + [False] * 3


def test_whole_events_in_one_piece_come_out_at_once() -> None:
    assert EventSplitter().feed(b"data: a\n\ndata: b\n\ndata: c\n\n") == [b"a", b"b", b"c"]


def test_a_line_feed_behind_a_cut_carriage_return_is_no_blank_line() -> None:
    splitter = EventSplitter()
    assert splitter.feed(b"data: a\r") == []
    assert splitter.feed(b"\ndata: b\r\n") == []
    assert splitter.feed(b"\r\n") == [b"a\nb"]


@pytest.mark.parametrize("size", [1, 7, 1000, 5000])
def test_an_event_beyond_the_limit_raises_behind_the_events_before_it(size: int) -> None:
    stream = b"data: a\n\ndata: " + b"x" * 2000 + b"\n\ndata: b\n\n"
    splitter = EventSplitter(max_event_size=1000)
    events = []
    with pytest.raises(BackendProtocolError):
        for start in range(0, len(stream), size):
            events += splitter.feed(stream[start : start + size])
        assert splitter.overflowed
        splitter.feed(b"data: c\n\n")
    assert events == [b"a"]
    with pytest.raises(BackendProtocolError):
        splitter.feed(b"data: c\n\n")


def test_many_short_lines_of_one_event_are_bounded_too() -> None:
    splitter = EventSplitter(max_event_size=1000)
    with pytest.raises(BackendProtocolError):
        for _ in range(2000):
            splitter.feed(b"data: x\n")


def test_a_long_event_in_single_bytes_takes_linear_time() -> None:
    splitter = EventSplitter()
    for _ in range(300_000):
        splitter.feed(b"x")
    assert splitter.feed(b"\n\ndata: a\n\n") == [b"a"]
