"""Answers of a backend however they are cut, cut short or made up."""

import asyncio
import socket

import pytest
from _http.answering import Kept, answered, asked, connected
from recordings import Meaning, chunks, meaning, names, pieces_at_every_cut, recording

from multiproxy._http import client
from multiproxy._http.client import BackendConnection, State
from multiproxy.errors import BackendDied, BackendProtocolError

# Answers to what we send: not to HEAD, and not to broken requests.
COMPLETE = [
    name
    for name in names(
        "chat.*", "completion*", "error.*", "embeddings.*", "expect*", "router.*", "http10*"
    )
    if recording(name) and meaning(name).complete
]
TRUNCATED = [name for name in names("killed.*", "router.child*") if not meaning(name).complete]
CUT_EVERYWHERE = [
    "chat.stream.connection-close", "chat.stream.utf8.emoji.max_tokens-2", "chat.nonstream",
    "error.context.stream", "expect.100-continue",
]  # fmt: skip


def what_came(sink: Kept) -> Meaning:
    return Meaning(sink.heads[0].status, sink.payload, sink.calls == ["head", "end"])


def test_the_recordings_are_there():
    assert len(COMPLETE) > 60
    assert set(CUT_EVERYWHERE) < set(COMPLETE)
    assert len(TRUNCATED) >= 2


@pytest.mark.parametrize("name", COMPLETE)
def test_a_recorded_answer_is_what_h11_reads(name):
    data = recording(name)
    step = 1 if name in CUT_EVERYWHERE else 61
    ways = [(data,), [data[i : i + 1] for i in range(len(data))], *pieces_at_every_cut(data, step)]
    for pieces in ways:
        connection, sink = answered(pieces)
        assert what_came(sink) == meaning(name)
        assert connection.is_reusable is (b"Connection: close" not in data)
        assert connection.state is (State.IDLE if connection.is_reusable else State.CLOSED)


@pytest.mark.parametrize("name", TRUNCATED)
@pytest.mark.parametrize("how", ["eof", "reset"])
def test_a_recorded_answer_that_was_cut_off_fails(name, how):
    connection, sink = answered([recording(name)])
    if how == "eof":
        connection.eof_received()
    connection.connection_lost(None if how == "eof" else ConnectionResetError())
    assert sink.calls == ["head", "failed"]
    assert isinstance(sink.error, BackendDied)
    assert sink.payload == meaning(name).payload
    assert connection.state is State.CLOSED


@pytest.mark.parametrize("name", ["chat.stream.utf8.emoji.max_tokens-2", "chat.nonstream"])
def test_no_truncated_answer_is_ever_complete(name):
    data = recording(name)
    for cut in range(len(data)):
        _, sink = answered([data[:cut]], eof=True)
        assert sink.calls[-1] == "failed"
        assert "end" not in sink.calls
        assert isinstance(sink.error, BackendDied)


def test_a_chunk_that_comes_alone_is_handed_out_framed_and_untouched():
    pieces = chunks("chat.stream")
    assert len(pieces) > 5
    connection, sink = asked()
    connection.data_received(recording("chat.stream").partition(b"\r\n\r\n")[0] + b"\r\n\r\n")
    for piece in pieces:
        connection.data_received(b"%x\r\n%b\r\n" % (len(piece), piece))
    assert sink.pieces == pieces
    assert sink.framed == [b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces]
    connection.data_received(b"0\r\n\r\n")
    assert sink.calls == ["head", "end"]


HEAD = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    "data",
    [
        b"5\r\nhello\r\n01\r\n!\r\n",  # two chunks, one of which we would not write
        b"6;x=1\r\nhello!\r\n",  # an extension
        b"06\r\nhello!\r\n",  # a size we would not write
        b"6\r\nhello!",  # not all of it
    ],
)
def test_what_is_not_exactly_one_plain_chunk_is_not_framed(data):
    connection, sink = asked()
    connection.data_received(HEAD)
    connection.data_received(data)
    assert (sink.payload, sink.framed) == (b"hello!", [None])


def test_each_of_several_whole_chunks_in_one_read_is_framed():
    connection, sink = asked()
    connection.data_received(HEAD)
    connection.data_received(b"5\r\nhello\r\n1\r\n!\r\n")
    assert (sink.pieces, sink.framed) == ([b"hello", b"!"], [b"5\r\nhello\r\n", b"1\r\n!\r\n"])


def test_what_looks_like_a_chunk_inside_a_chunk_is_data():
    connection, sink = asked()
    connection.data_received(HEAD + b"6\r\n")
    connection.data_received(b"1\r\na\r\n")
    assert (sink.pieces, sink.framed) == ([b"1\r\na\r\n"], [None])


def test_a_chunk_of_4_kib_is_framed_and_a_larger_one_comes_as_well():
    for size, framed in ((4096, True), (4097, False)):
        connection, sink = asked()
        connection.data_received(HEAD)
        connection.data_received(b"%x\r\n%b\r\n" % (size, b"a" * size))
        assert sink.payload == b"a" * size
        assert (sink.framed[0] is not None) is framed


@pytest.mark.parametrize(
    "extra", [b"H", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nextra", b"\r\n"]
)
def test_bytes_behind_an_answer_end_the_connection(extra):
    data = recording("chat.stream")
    connection, sink = answered([data + extra])
    assert what_came(sink) == meaning("chat.stream")
    assert not connection.is_reusable
    assert connection.transport.aborted
    connection, sink = answered([data, extra])  # later, while it is idle
    assert sink.calls == ["head", "end"]
    assert connection.state is State.CLOSED


def test_bytes_before_a_request_end_the_connection():
    connection = connected()
    connection.data_received(b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n")
    assert connection.state is State.CLOSED


@pytest.mark.parametrize("fields", [b"", b"Connection: Upgrade\r\nUpgrade: x\r\n"])
def test_101_is_refused(fields):
    _, sink = answered([b"HTTP/1.1 101 Switching Protocols\r\n" + fields + b"\r\n"])
    assert sink.calls == ["failed"]
    assert isinstance(sink.error, BackendProtocolError)


def test_sixteen_interim_answers_pass_and_one_more_does_not():
    interim = b"HTTP/1.1 103 Early Hints\r\n\r\n"
    final = b"HTTP/1.1 204 No Content\r\n\r\n"
    assert answered([interim * client.MAX_INTERIM, final])[1].calls == ["head", "end"]
    connection, sink = answered([interim] * (client.MAX_INTERIM + 1) + [final])
    assert sink.calls == ["failed"]
    assert connection.transport.aborted


def test_a_head_of_64_kib_passes_and_one_that_never_ends_does_not():
    start, end = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nX: ", b"\r\n\r\n"
    room = client.MAX_ANSWER_HEAD - len(start)
    assert answered([start, b"a" * room, end])[1].calls == ["head", "end"]
    assert answered([start, b"a" * (room + 1)])[1].calls == ["failed"]
    assert answered([start + b"a" * (room + 1) + end])[1].calls == ["failed"]


@pytest.mark.parametrize(
    "data",
    [
        b"nonsense\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n",
        HEAD + b"xyz\r\n",
        HEAD + b"2\r\nabc\r\n",
    ],
)
def test_what_is_not_http_fails_and_closes(data):
    connection, sink = answered([data])
    assert sink.calls[-1] == "failed"
    assert isinstance(sink.error, BackendProtocolError)
    assert connection.transport.aborted


def test_an_answer_that_ends_with_the_connection_ends_well():
    connection, sink = answered([b"HTTP/1.1 200 OK\r\n\r\nhel", b"lo"])
    assert sink.calls == ["head"]
    connection.eof_received()
    connection.connection_lost(None)
    assert (sink.calls, sink.payload) == (["head", "end"], b"hello")
    assert not connection.is_reusable


def test_an_answer_that_ends_with_the_connection_is_not_complete_after_a_reset():
    connection, sink = answered([b"HTTP/1.1 200 OK\r\n\r\nhel"])
    connection.connection_lost(ConnectionResetError())
    assert sink.calls == ["head", "failed"]


def test_the_next_answer_knows_nothing_of_the_last_one():
    connection, first = answered([recording("chat.stream")])
    assert connection.bytes_received == len(recording("chat.stream"))
    _, second = asked(connection)
    assert connection.bytes_received == 0
    assert not connection.is_reusable
    connection.data_received(recording("chat.nonstream"))
    assert what_came(first) == meaning("chat.stream")
    assert what_came(second) == meaning("chat.nonstream")
    assert (connection.uses, connection.state) == (2, State.IDLE)
    assert (connection.keep_alive_timeout, connection.keep_alive_max) == (5.0, 100)


@pytest.mark.parametrize("size", [0, 2, 16 * 1024 - 1, 16 * 1024, 100_000])
def test_a_request_is_one_head_and_its_body(size):
    connection = connected()
    head = b"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % size
    connection.send(head, b"b" * size, Kept())
    assert connection.transport.written == head + b"b" * size
    assert connection.transport.written.count(b"Content-Length") == 1


def test_an_idle_connection_that_ends_tells_nobody():
    connection, sink = answered([recording("chat.nonstream")])
    connection.eof_received()
    connection.connection_lost(None)
    assert (sink.calls, connection.state) == (["head", "end"], State.CLOSED)


def test_nothing_is_told_after_abort():
    connection, sink = asked()
    connection.data_received(HEAD + b"1\r\na\r\n")
    connection.abort()
    connection.abort()
    connection.data_received(b"1\r\nb\r\n")
    connection.connection_lost(None)
    assert (sink.calls, sink.payload) == (["head"], b"a")


def test_a_sink_that_aborts_inside_its_last_piece_hears_no_end():
    connection, sink = asked()
    sink.on_piece = lambda payload, framed: connection.abort()
    connection.data_received(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nab")
    assert sink.calls == ["head"]


def test_pause_and_resume_reach_the_transport_until_it_is_closed():
    connection, _ = asked()
    connection.pause()
    connection.pause()
    assert not connection.transport.reading
    connection.resume()
    assert connection.transport.reading
    connection.abort()
    connection.pause()
    assert connection.transport.reading


async def test_abort_resets_a_real_connection():
    loop = asyncio.get_running_loop()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        _, connection = await loop.create_connection(BackendConnection, *listener.getsockname())
        peer, _ = listener.accept()
    with peer:
        peer.setblocking(False)
        connection.send(b"GET / HTTP/1.1\r\n\r\n", b"", Kept())
        assert await loop.sock_recv(peer, 100) == b"GET / HTTP/1.1\r\n\r\n"
        connection.abort()
        with pytest.raises(ConnectionResetError):
            await loop.sock_recv(peer, 100)


async def test_the_kernels_receive_buffer_is_bounded_on_a_real_socket():
    loop = asyncio.get_running_loop()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        _, connection = await loop.create_connection(BackendConnection, *listener.getsockname())
        sock = connection.transport.get_extra_info("socket")
        size = sock.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)
        assert size == 2 * client.RECEIVE_BUFFER  # Linux doubles it for its own needs
        connection.abort()
