"""A request's body, with times passed in; the wire's side of it is in test_server."""

import asyncio

import pytest

from multiproxy._http.head import RequestHead
from multiproxy._http.request_body import MIN_RATE, MIN_RATE_AFTER_S, BodyRoom, RequestBody
from multiproxy.errors import (
    BadFraming,
    BodyTooLarge,
    ClientGone,
    LengthRequired,
    Overloaded,
    RequestTimeout,
)


def body_of(
    length: int | None = None,
    *,
    chunked: bool = False,
    method: bytes = b"POST",
    room: BodyRoom | None = None,
) -> RequestBody:
    head = RequestHead(
        method, b"/", b"1.1", [], True, content_length=length, chunked=chunked,
        expects_continue=True,
    )  # fmt: skip
    return RequestBody(head, 0.0, idle_s=30, total_s=300, room=room or BodyRoom())


async def reading(body: RequestBody, cap: int = 1000) -> asyncio.Task[bytes]:
    task = asyncio.create_task(body.read(cap))
    await asyncio.sleep(0)
    return task


async def test_a_counted_body_ends_where_the_next_request_begins():
    body = body_of(5)
    task = await reading(body)
    assert body.feed(b"he", 0) == b""
    assert (body.complete, task.done()) == (False, False)
    assert body.feed(b"lloGET /", 0) == b"GET /"
    assert body.complete and await task == b"hello"


async def test_a_chunked_body_is_decoded():
    body = body_of(chunked=True)
    assert body.feed(b"3\r\nabc\r\n2\r\nde", 0) == b""
    assert body.feed(b"\r\n0\r\n\r\nNEXT", 0) == b"NEXT"
    assert await body.read(5) == b"abcde"


@pytest.mark.parametrize(("length", "method"), [(0, b"POST"), (None, b"GET")])
async def test_no_body_is_complete_at_once(length, method):
    body = body_of(length, method=method)
    assert body.complete and await body.read(10) == b""


def test_the_announcement_alone_can_be_refused():
    with pytest.raises(LengthRequired):
        body_of().check_announced(10)
    with pytest.raises(BodyTooLarge):
        body_of(11).check_announced(10)
    body_of(10).check_announced(10)
    body_of(chunked=True).check_announced(0)
    body_of(method=b"GET").check_announced(0)


async def test_a_chunked_body_over_its_cap_fails_as_soon_as_it_is():
    body = body_of(chunked=True)
    task = await reading(body, cap=4)
    body.feed(b"4\r\nabcd\r\n", 0)
    await asyncio.sleep(0)
    assert not task.done()
    body.feed(b"1\r\ne\r\n", 0)
    with pytest.raises(BodyTooLarge):
        await task


async def test_bytes_that_came_before_anybody_asked_count_too():
    body = body_of(chunked=True)
    body.feed(b"5\r\nabcde\r\n", 0)
    with pytest.raises(BodyTooLarge):
        body.check_announced(4)


async def test_bad_chunks_fail_now_or_when_asked():
    body = body_of(chunked=True)
    task = await reading(body)
    body.feed(b"nonsense\r\n", 0)
    with pytest.raises(BadFraming):
        await task
    early = body_of(chunked=True)
    early.feed(b"nonsense\r\n", 0)
    with pytest.raises(BadFraming):
        await early.read(10)


async def test_a_client_that_leaves_ends_the_wait_but_not_a_complete_body():
    body = body_of(5)
    task = await reading(body)
    body.client_gone()
    with pytest.raises(ClientGone):
        await task
    complete = body_of(2)
    complete.feed(b"{}", 0)
    complete.client_gone()
    assert await complete.read(2) == b"{}"


@pytest.mark.parametrize(
    ("fed", "late", "too_late"),
    [
        ([(0, 50_000)], 29.9, 30),  # nothing more comes
        ([(9, 5_000)], 10, 10.1),  # too slow on the whole
        ([(second, 30_000) for second in range(0, 300, 20)], 300, 300.1),  # too long
    ],
)
async def test_a_body_that_takes_too_long_times_out(fed, late, too_late):
    assert (MIN_RATE, MIN_RATE_AFTER_S) == (1024, 10)
    body = body_of(10_000_000)
    task = await reading(body, cap=10_000_000)
    for when, size in fed:
        body.feed(b"a" * size, when)
    body.sweep(late)
    assert not task.done() and body._error is None
    body.sweep(too_late)
    with pytest.raises(RequestTimeout):
        await task


async def test_a_body_that_nobody_waits_for_does_not_time_out():
    body = body_of(10)
    body.sweep(1e6)
    body.feed(b"a" * 10, 1e6)
    assert await body.read(10) == b"a" * 10


def test_a_client_waits_for_continue_until_it_sends_something():
    body = body_of(2)
    assert body.is_awaited_by_client
    body.feed(b"{", 0)
    assert not body.is_awaited_by_client


def test_bodies_that_fill_the_room_pass_and_one_byte_more_does_not():
    room = BodyRoom(10)
    first, second = body_of(6, room=room), body_of(4, room=room)
    first.check_announced(100)
    second.check_announced(100)
    assert room.held == 10
    with pytest.raises(Overloaded) as error:
        body_of(1, room=room).check_announced(100)
    assert (error.value.status, error.value.retry_after_s) == (503, 1)
    first.release()
    first.release()
    assert room.held == 4


async def test_a_chunked_body_takes_room_as_it_comes():
    room = BodyRoom(5)
    body = body_of(chunked=True, room=room)
    body.feed(b"2\r\nab\r\n", 0)
    body.check_announced(100)
    assert room.held == 2
    task = await reading(body)
    body.feed(b"3\r\ncde\r\n", 0)
    assert (room.held, task.done()) == (5, False)
    body.feed(b"1\r\nf\r\n", 0)
    with pytest.raises(Overloaded):
        await task
    body.release()
    assert room.held == 0


async def test_a_shut_room_lets_no_body_in_beside_one_that_is_there():
    room = BodyRoom()
    room.shut = True
    first, second, third = (body_of(5, room=room) for _ in range(3))
    first.check_announced(10)  # nobody is there: refusing it would save nothing
    with pytest.raises(Overloaded, match="short of memory"):
        second.check_announced(10)
    body_of(None, method=b"GET", room=room).check_announced(10)
    first.release()
    third.check_announced(10)


async def test_a_chunked_body_may_end_in_a_room_that_was_shut_behind_it():
    room = BodyRoom()
    body = body_of(chunked=True, room=room)
    body.check_announced(10)
    task = await reading(body)
    body.feed(b"2\r\nab\r\n", 0)
    room.shut = True
    body.feed(b"2\r\ncd\r\n0\r\n\r\n", 0)
    assert await task == b"abcd"
    with pytest.raises(Overloaded):
        body_of(chunked=True, room=room).check_announced(10)
