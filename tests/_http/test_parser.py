import h11
import pytest
from _http.malformed import get, post, vectors
from _http.wire_server import Wire

from multiproxy._http.parser import parse_response_head
from multiproxy.errors import BackendProtocolError

WELL_FORMED = [
    get(),
    get(target=b"/v1/models?limit=3&after_id=%20x"),
    get(target=b"/a;b/../c//d?e#f".replace(b"#f", b"")),
    get(b"Host: LOCALHOST:8001\r\nX-Empty:\r\nX-Space: \t a b \t\r\nX-Obs: \xe9\r\n"),
    get(b"Host: [::1]:8001\r\nAccept: */*\r\n"),
    b"\r\n\r\n" + get(),
    b"GET / HTTP/1.0\r\n\r\n",
    post(b"Content-Length: 5\r\n", b"hello"),
    post(b"content-length: 0005 \t\r\n", b"hello"),
    post(b"Content-Length: 0\r\n"),
    post(b"Transfer-Encoding: chunked\r\n", b"5\r\nhello\r\n0\r\n\r\n"),
    post(b"Transfer-Encoding: Chunked\r\n", b"3;a=b\r\nabc\r\n2\r\nde\r\n0\r\nX: y\r\n\r\n"),
    post(b"Content-Length: 5\r\nConnection: keep-alive\r\n", b"hello"),
    post(b"Content-Length: 5\r\nConnection: close\r\n", b"hello"),
]


def h11_request(data: bytes) -> tuple[bytes, bytes, bytes]:
    server = h11.Connection(h11.SERVER, max_incomplete_event_size=1 << 20)
    server.receive_data(data)
    request = server.next_event()
    assert isinstance(request, h11.Request)
    body = b""
    while isinstance(event := server.next_event(), h11.Data):
        body += bytes(event.data)
    assert isinstance(event, h11.EndOfMessage)
    return request.method, request.target, body


@pytest.mark.parametrize("data", WELL_FORMED)
async def test_a_request_is_read_as_h11_reads_it(data):
    wire = await Wire().feed(data)
    (seen,) = wire.seen
    expected = h11_request(data.lstrip(b"\r\n"))
    assert (seen.head.method, seen.head.target, seen.body) == expected
    assert wire.statuses == [200]


@pytest.mark.parametrize("data", WELL_FORMED)
async def test_a_request_is_the_same_at_every_cut(data):
    whole = (await Wire().feed(data)).seen[0]
    for cut in range(1, len(data)):
        (seen,) = (await Wire().feed(data[:cut], data[cut:])).seen
        assert (seen.head.fields, seen.body) == (whole.head.fields, whole.body)
    pieces = (data[i : i + 1] for i in range(len(data)))
    (seen,) = (await Wire().feed(*pieces)).seen
    assert (seen.head.fields, seen.body) == (whole.head.fields, whole.body)


@pytest.mark.parametrize(("name", "data", "statuses"), vectors(), ids=lambda value: None)
async def test_a_malformed_request_gets_its_status_and_the_connection_ends(name, data, statuses):
    wire = await Wire().feed(data)
    assert len(wire.statuses) == 1, name
    assert wire.statuses[0] in statuses, name
    assert wire.ended, name
    # What comes behind it is not a request: nothing can be smuggled.
    if wire.transport.half_closed:
        wire.connection.data_received(get())
        await wire.settle()
    assert len(wire.statuses) == 1, name


def verdict(wire: Wire) -> tuple[list[int], bool]:
    return wire.statuses, wire.ended


@pytest.mark.parametrize(("name", "data", "statuses"), vectors(), ids=lambda value: None)
async def test_a_malformed_request_gets_the_same_verdict_in_pieces(name, data, statuses):
    whole = verdict(await Wire().feed(data))
    if len(data) > 4_096:
        pieces = [data[i : i + 1_000] for i in range(0, len(data), 1_000)]
        assert verdict(await Wire().feed(*pieces)) == whole, name
        return
    for size in (1, 7):
        pieces = [data[i : i + size] for i in range(0, len(data), size)]
        assert verdict(await Wire().feed(*pieces)) == whole, name


async def test_an_upgrade_is_ignored_and_the_body_is_read():
    """Every stock JDK HttpClient sends ``Upgrade: h2c`` with its POST."""
    fields = (
        b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"
        b"HTTP2-Settings: AAEAAEAAAAIAAAAB\r\nContent-Length: 35\r\n"
    )
    smuggled = b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\nx"[:35]
    data = post(fields, smuggled) + get()
    for size in (len(data), 1, 7):
        wire = await Wire().feed(*(data[i : i + size] for i in range(0, len(data), size)))
        assert [seen.head.method for seen in wire.seen] == [b"POST", b"GET"]
        assert wire.seen[0].body == smuggled


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        (b"Content-Length: 3\r\n", (False, 3, True)),
        (b"Transfer-Encoding: chunked\r\n", (True, None, True)),
        (b"Content-Length: 3\r\nConnection: close\r\n", (False, 3, False)),
        (b"Content-Length: 3\r\nKeep-Alive: timeout=5\r\nConnection: close\r\n", (False, 3, False)),
        (b"", (False, None, False)),
    ],
)
def test_an_answers_framing_is_decided_from_its_head(head, expected):
    found = parse_response_head(b"HTTP/1.1 200 OK\r\n" + head + b"\r\n")
    assert (found.chunked, found.content_length, found.keep_alive) == expected


def test_what_a_llama_server_announces_is_kept():
    found = parse_response_head(b"HTTP/1.1 200 OK\r\nKeep-Alive: timeout=5, max=100\r\n\r\n")
    assert (found.keep_alive_timeout, found.keep_alive_max) == (5.0, 100)


@pytest.mark.parametrize("status", [b"204 No Content", b"304 Not Modified"])
def test_an_answer_that_has_no_body_has_length_zero(status):
    found = parse_response_head(b"HTTP/1.1 " + status + b"\r\nContent-Length: 7\r\n\r\n")
    assert found.content_length == 0


@pytest.mark.parametrize(
    "data",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: +3\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
        b"HTTP/1.1 099 Odd\r\n\r\n",
        b"HTTP/1.1 999 Odd\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: a\x00b\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: a\r\n b\r\n\r\n",
        b"HTTP/1.1 200 OK\nX: a\r\n\r\n",
        b"ICY 200 OK\r\n\r\n",
        b"hello\r\n\r\n",
    ],
)
def test_an_answer_that_could_be_read_in_two_ways_is_refused(data):
    with pytest.raises(BackendProtocolError):
        parse_response_head(data)
