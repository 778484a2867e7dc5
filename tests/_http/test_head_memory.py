import pytest
from _http.malformed import HOST, get, post, vectors
from _http.wire_server import Wire

from multiproxy._http.head import RequestHead
from multiproxy._http.head_memory import MAX_HEAD_SIZE, MAX_HEADS, HeadMemory
from multiproxy._http.parser import parse_request_head, parse_response_head


def head_of(length: bytes, name: bytes = b"Content-Length: ") -> bytes:
    return b"POST /a?b HTTP/1.1\r\n" + HOST + b"X: 1\r\n" + name + length + b"\r\n\r\n"


def parsed(raw: bytes) -> RequestHead:
    head = parse_request_head(raw)
    head.path, head.query = b"/a", b"b"
    head.content_length = 7
    return head


def test_a_head_with_another_length_is_the_same_but_for_its_length():
    memory: HeadMemory[RequestHead] = HeadMemory()
    memory.keep(head_of(b"7"), parsed(head_of(b"7")))
    found = memory.find(head_of(b"1234"))
    assert found is not None
    assert found.content_length == 1234
    assert found.get(b"content-length") == b"1234"
    found.content_length = 7
    found.fields = [(n, b"7" if n == b"content-length" else v) for n, v in found.fields]
    expected = parsed(head_of(b"7"))
    expected.get(b"host"), found.get(b"host")
    found._index = expected._index = None
    assert found == expected


def test_what_is_found_is_the_callers_own():
    memory: HeadMemory[RequestHead] = HeadMemory()
    memory.keep(head_of(b"7"), parsed(head_of(b"7")))
    first = memory.find(head_of(b"7"))
    assert first is not None
    first.fields.clear()
    first.path = b"/other"
    again = memory.find(head_of(b"7"))
    assert again is not None
    assert again.path == b"/a"
    assert again.get(b"x") == b"1"


@pytest.mark.parametrize(
    "other",
    [
        head_of(b""),
        head_of(b"-1"),
        head_of(b"7 "),
        head_of(b"7, 7"),
        head_of(b"1234567890123456789"),
        head_of(b"7", b"Content-Length:"),
        head_of(b"7").replace(b"X: 1", b"X: 2"),
        head_of(b"7").replace(b"\r\n\r\n", b"\r\nContent-Length: 7\r\n\r\n"),
    ],
)
def test_any_other_difference_makes_it_another_head(other):
    memory: HeadMemory[RequestHead] = HeadMemory()
    memory.keep(head_of(b"7"), parsed(head_of(b"7")))
    assert memory.find(other) is None


def test_a_length_in_an_unusual_form_is_kept_with_its_head():
    raw = head_of(b"7", b"content-length:\t")
    memory: HeadMemory[RequestHead] = HeadMemory()
    memory.keep(raw, parsed(raw))
    found = memory.find(raw)
    assert found is not None
    assert found.content_length == 7
    assert memory.find(raw.replace(b"\t7", b"\t8")) is None


def test_the_oldest_head_makes_room():
    memory: HeadMemory[RequestHead] = HeadMemory()
    heads = [head_of(b"7").replace(b"X: 1", b"X: %d" % i) for i in range(MAX_HEADS + 1)]
    for raw in heads:
        memory.keep(raw, parsed(raw))
    assert memory.find(heads[0]) is None
    assert all(memory.find(raw) for raw in heads[1:])


def test_a_long_head_is_not_kept():
    memory: HeadMemory[RequestHead] = HeadMemory()
    room = MAX_HEAD_SIZE - len(head_of(b"7"))
    at_bound = head_of(b"7").replace(b"X: 1", b"X: 1" + b"x" * room)
    past_it = head_of(b"7").replace(b"X: 1", b"X: 1" + b"x" * (room + 1))
    for raw in (at_bound, past_it):
        memory.keep(raw, parsed(raw))
    assert memory.find(at_bound) is not None
    assert memory.find(past_it) is None


def test_an_answer_without_a_body_keeps_length_zero_the_second_time():
    raw = b"HTTP/1.1 204 No Content\r\nContent-Length: 7\r\n\r\n"
    assert [parse_response_head(raw).content_length for _ in range(2)] == [0, 0]


def test_an_answers_length_is_read_anew():
    raw = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
    assert [parse_response_head(raw % n).content_length for n in (7, 1234, 0)] == [7, 1234, 0]


@pytest.mark.parametrize(
    "fields",
    [b"Content-Length: 2\r\n", b"content-length:2\r\n", b"CONTENT-LENGTH: \t2 \r\n"],
)
async def test_a_body_has_its_own_requests_length(fields):
    longer = fields.replace(b"2", b"5")
    wire = await Wire().feed(post(fields, b"{}"), post(fields, b"[]"), post(longer, b"[[1]]"))
    assert [seen.body for seen in wire.seen] == [b"{}", b"[]", b"[[1]]"]


@pytest.mark.parametrize(("name", "data", "statuses"), vectors(), ids=lambda value: None)
async def test_a_malformed_request_is_refused_behind_a_good_one(name, data, statuses):
    wire = await Wire().feed(get(), post(b"Content-Length: 2\r\n", b"{}"))
    await wire.feed(data)
    assert wire.statuses[2] in statuses, name
    assert wire.ended, name
    assert len(wire.statuses) == 3, name
