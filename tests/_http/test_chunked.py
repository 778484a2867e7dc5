import h11
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from multiproxy._http import chunked
from multiproxy._http.chunked import ChunkedDecoder, ChunkedError

BODY = b'5\r\nhello\r\n1;a=b;c="d;e"\r\n \r\n0A\r\n0123456789\r\n0\r\nX-Trailer: yes\r\n\r\nNEXT'
DECODED = b"hello 0123456789"


def decode(*pieces: bytes) -> tuple[bytes, ChunkedDecoder]:
    decoder = ChunkedDecoder()
    rest, body = b"", b""
    for piece in pieces:
        if decoder.done:
            rest += piece
        else:
            body += decoder.feed(piece)
    decoder.rest += rest
    return body, decoder


@pytest.mark.parametrize("cut", range(len(BODY) + 1))
def test_a_body_is_the_same_wherever_it_is_cut(cut):
    body, decoder = decode(BODY[:cut], BODY[cut:])
    assert (body, decoder.done, decoder.rest) == (DECODED, True, b"NEXT")


def test_a_body_is_the_same_byte_by_byte():
    body, decoder = decode(*(BODY[i : i + 1] for i in range(len(BODY))))
    assert (body, decoder.done, decoder.rest) == (DECODED, True, b"NEXT")


def test_a_body_without_its_last_chunk_is_not_done():
    body, decoder = decode(b"5\r\nhello\r\n")
    assert body == b"hello"
    assert not decoder.done
    assert decoder.at_boundary


def test_half_of_a_line_end_is_not_a_boundary():
    _, decoder = decode(b"5\r\nhello\r")
    assert not decoder.at_boundary


def test_sixteen_kibibytes_of_extensions_pass_and_one_byte_more_does_not():
    extension = b";" + b"a" * (chunked.MAX_EXTENSION_BYTES - 1)
    decode(b"1" + extension + b"\r\na\r\n0\r\n\r\n")
    with pytest.raises(ChunkedError):
        decode(b"1" + extension + b"a\r\na\r\n0\r\n\r\n")


def test_extensions_are_counted_over_all_chunks():
    one = b"1;" + b"a" * 1023 + b"\r\na\r\n"
    decode(one * 16 + b"0\r\n\r\n")
    with pytest.raises(ChunkedError):
        decode(one * 17 + b"0\r\n\r\n")


def test_an_unfinished_extension_is_bounded():
    decoder = ChunkedDecoder()
    decoder.feed(b"1;")
    with pytest.raises(ChunkedError):
        for _ in range(20):
            decoder.feed(b"a" * 1024)


def test_eight_kibibytes_of_trailers_pass_and_one_byte_more_does_not():
    line = b"X:" + b"a" * (chunked.MAX_TRAILER_BYTES - 4)
    assert decode(b"0\r\n" + line + b"\r\n\r\n")[1].done
    with pytest.raises(ChunkedError):
        decode(b"0\r\n" + line + b"a\r\n\r\n")


def test_sixteen_digits_of_size_pass_and_seventeen_do_not():
    assert decode(b"0000000000000003\r\nabc\r\n0\r\n\r\n")[0] == b"abc"
    with pytest.raises(ChunkedError):
        decode(b"00000000000000003\r\nabc\r\n0\r\n\r\n")


def test_a_thousand_one_byte_chunks_pass_and_one_more_does_not():
    dense = ChunkedDecoder(strict_density=True)
    assert len(dense.feed(b"1\r\na\r\n" * chunked.DENSE_AFTER_CHUNKS)) == 1000
    with pytest.raises(ChunkedError):
        dense.feed(b"1\r\na\r\n")
    ChunkedDecoder().feed(b"1\r\na\r\n" * 5_000)  # a backend's tokens may be short


def h11_body(data: bytes) -> bytes | None:
    """The body and what follows it, as h11 reads it; None when it refuses or wants more."""
    server = h11.Connection(h11.SERVER)
    head = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    server.receive_data(head + data)
    body = b""
    try:
        while True:
            event = server.next_event()
            if isinstance(event, h11.Data):
                body += bytes(event.data)
            elif isinstance(event, h11.EndOfMessage):
                return body + b"|" + server.trailing_data[0]
            elif event is h11.NEED_DATA:
                return None
    except h11.RemoteProtocolError:
        return None


pieces = st.lists(
    st.sampled_from([b"0", b"1", b"2", b"a", b"A", b"\r\n", b"\r", b"\n", b";", b"x", b"=", b'"',
                     b":", b" ", b"0\r\n\r\n", b"1\r\na\r\n", b"2\r\nab\r\n"]),
    max_size=14,
).map(b"".join)  # fmt: skip


@settings(max_examples=1000, deadline=None)
@given(pieces, st.randoms(use_true_random=False))
def test_what_we_accept_h11_reads_in_the_same_way(data, chance):
    cut = chance.randint(0, len(data))
    try:
        body, decoder = decode(data)
        done = decoder.done
    except ChunkedError:
        for pieces in ((data[:cut], data[cut:]), [data[i : i + 1] for i in range(len(data))]):
            with pytest.raises(ChunkedError):
                decode(*pieces)
        return
    again, other = decode(data[:cut], data[cut:])
    assert (again, other.done) == (body, done)
    if done:
        assert h11_body(data) == body + b"|" + decoder.rest


@pytest.mark.parametrize("field", ["Transfer-Encoding: gzip", "CONTENT-LENGTH: 5", "host: a"])
def test_framing_is_no_trailer(field):
    with pytest.raises(ChunkedError, match="a trailer is malformed"):
        ChunkedDecoder().feed(b"1\r\na\r\n0\r\n%b\r\n\r\n" % field.encode())
    assert ChunkedDecoder().feed(b"1\r\na\r\n0\r\nX-%b\r\n\r\n" % field.encode()) == b"a"
