import asyncio

import pytest
from _http.malformed import HOST, get, post
from _http.wire_server import BODY_CAP, Wire

from multiproxy._http import server
from multiproxy._http.server import ClientConnection
from multiproxy.errors import Overloaded


def in_(wire: Wire, seconds: float) -> float:
    return asyncio.get_running_loop().time() + seconds


async def test_a_connection_serves_one_request_after_the_other():
    wire = await Wire().feed(get(), get(), post(b"Content-Length: 2\r\n", b"{}"))
    assert wire.statuses == [200, 200, 200]
    assert not wire.ended


async def test_connection_close_is_obeyed():
    wire = await Wire().feed(get(HOST + b"Connection: close\r\n"), get())
    assert wire.statuses == [200]
    assert b"Connection: close\r\n" in wire.transport.written
    assert wire.transport.closed and not wire.transport.aborted


async def test_the_thousandth_request_is_the_last():
    wire = Wire()
    for _ in range(server.MAX_KEEP_ALIVE_REQUESTS - 1):
        await wire.feed(get())
    assert not wire.ended
    await wire.feed(get())
    assert wire.statuses == [200] * 1000
    assert wire.ended


async def test_an_http_1_0_client_gets_its_answer_and_the_end():
    wire = await Wire().feed(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
    assert wire.statuses == [200]
    assert wire.transport.closed


async def test_a_stream_is_not_chunked_for_http_1_0():
    wire = await Wire(answers=False).feed(b"GET / HTTP/1.0\r\n\r\n")
    assert wire.connection.start_stream(b"", b"one") is False
    wire.connection.write(b"two")
    wire.connection.end_stream()
    assert wire.transport.written.endswith(b"Connection: close\r\n\r\nonetwo")
    assert wire.transport.closed


async def test_a_stream_is_chunked_and_the_connection_goes_on():
    wire = await Wire(answers=False).feed(get())
    assert wire.connection.start_stream(b"A: b\r\n", b"one") is True
    wire.connection.write(b"two!")
    wire.connection.end_stream()
    head, _, body = wire.transport.written.partition(b"\r\n\r\n")
    assert body == b"3\r\none\r\n4\r\ntwo!\r\n0\r\n\r\n"
    assert b"Connection" not in head
    wire.answers = True
    assert (await wire.feed(get())).statuses == [200, 200]


async def test_a_cut_stream_has_no_last_chunk_and_lingers():
    wire = await Wire(answers=False).feed(get())
    wire.connection.start_stream(b"", b"one")
    wire.connection.cut_stream()
    assert not wire.transport.closed and not wire.transport.half_closed
    wire.connection.sweep(in_(wire, server.ERROR_LINGER_S - 0.1))
    assert not wire.transport.closed
    wire.connection.sweep(in_(wire, server.ERROR_LINGER_S + 0.1))
    assert wire.transport.closed and not wire.transport.aborted
    assert not wire.transport.written.endswith(b"0\r\n\r\n")


async def test_head_gets_the_same_head_and_no_body():
    asked = await Wire().feed(get())
    head = await Wire().feed(get().replace(b"GET", b"HEAD", 1))
    assert head.transport.written == asked.transport.written.removesuffix(b"0")


async def test_a_204_has_neither_length_nor_body():
    wire = await Wire(answers=False).feed(get())
    wire.connection.answer(204, b"", b"")
    assert wire.transport.written.endswith(b"\r\n\r\n")
    assert b"Content-Length" not in wire.transport.written


# -- pipelining -----------------------------------------------------------------------------


async def test_pipelined_requests_are_answered_in_order():
    wire = await Wire().feed(post(b"Content-Length: 3\r\n", b"abc") + get() * 8)
    await wire.settle()
    while len(wire.seen) < 9:
        await wire.settle()
    assert [seen.head.method for seen in wire.seen] == [b"POST"] + [b"GET"] * 8
    assert wire.statuses == [200] * 9


async def test_eight_requests_may_wait_and_a_ninth_ends_the_connection():
    for count, ended in ((8, False), (9, True)):
        wire = await Wire(answers=False).feed(get(), get() * count)
        wire.connection.answer(200, b"", b"")
        assert wire.ended is ended


async def test_what_is_sent_ahead_is_bounded():
    wire = await Wire(answers=False).feed(get(), b"x" * 16 * 1024, b"y")
    wire.connection.answer(200, b"", b"")
    assert wire.ended
    assert wire.statuses == [200]


# -- bodies ---------------------------------------------------------------------------------


async def test_the_largest_body_passes_and_one_byte_more_does_not():
    wire = await Wire().feed(post(b"Content-Length: %d\r\n" % BODY_CAP, b"a" * BODY_CAP))
    assert (wire.statuses, len(wire.seen[0].body)) == ([200], BODY_CAP)
    wire = await Wire().feed(post(b"Content-Length: %d\r\n" % (BODY_CAP + 1)))
    assert (wire.statuses, wire.ended) == ([413], True)


async def test_the_largest_chunked_body_passes_and_one_byte_more_does_not():
    chunks = b"100000\r\n" + b"a" * BODY_CAP + b"\r\n"
    field = b"Transfer-Encoding: chunked\r\n"
    assert (await Wire().feed(post(field, chunks + b"0\r\n\r\n"))).statuses == [200]
    wire = await Wire().feed(post(field, chunks + b"1\r\na\r\n0\r\n\r\n"))
    assert (wire.statuses, wire.ended) == ([413], True)


async def test_continue_is_sent_before_the_body_is_awaited():
    wire = await Wire().feed(post(b"Expect: 100-continue\r\nContent-Length: 2\r\n"))
    assert wire.transport.written == b"HTTP/1.1 100 Continue\r\n\r\n"
    await wire.feed(b"{}")
    assert wire.statuses == [100, 200]


async def test_continue_is_not_sent_for_a_body_that_is_too_large():
    field = b"Expect: 100-continue\r\nContent-Length: %d\r\n" % (BODY_CAP + 1)
    assert (await Wire().feed(post(field))).statuses == [413]


async def test_continue_is_not_sent_when_the_body_came_along():
    wire = await Wire().feed(post(b"Expect: 100-continue\r\nContent-Length: 2\r\n", b"{}"))
    assert wire.statuses == [200]


async def test_an_early_answer_is_followed_by_reading_and_dropping():
    wire = await Wire().feed(post(b"Content-Length: %d\r\n" % (BODY_CAP + 1), b"a" * 1000))
    assert wire.transport.half_closed and not wire.transport.closed
    await wire.feed(b"a" * (server.LINGER_BYTES - 1))
    assert not wire.transport.closed
    await wire.feed(b"aa")
    assert wire.transport.closed


async def test_an_early_answers_linger_is_bounded_in_time():
    wire = await Wire().feed(post(b"Content-Length: %d\r\n" % (BODY_CAP + 1)))
    wire.connection.sweep(in_(wire, server.LINGER_S - 0.1))
    assert not wire.transport.closed
    wire.connection.sweep(in_(wire, server.LINGER_S + 0.1))
    assert wire.transport.closed


# -- clients that leave ----------------------------------------------------------------------


@pytest.mark.parametrize("how", ["eof_received", "connection_lost"])
async def test_an_exchange_is_told_at_once_that_its_client_left(how):
    wire = await Wire(answers=False).feed(get())
    getattr(wire.connection, how)(*((None,) if how == "connection_lost" else ()))
    assert wire.exchanges[0].calls == ["gone"]
    assert wire.transport.aborted


async def test_a_client_that_leaves_while_sending_its_body_ends_the_wait():
    wire = await Wire().feed(post(b"Content-Length: 5\r\n", b"ab"))
    wire.connection.eof_received()
    await wire.settle()
    assert wire.seen[0].error.status == 499
    assert wire.transport.written == b""


async def test_pipelined_bytes_do_not_hide_that_the_client_left():
    wire = await Wire(answers=False).feed(get(), get() * 20)
    assert wire.transport.reading
    wire.connection.eof_received()
    assert wire.exchanges[0].calls == ["gone"]


async def test_a_lost_connection_is_forgotten():
    wire = await Wire().feed(get())
    assert wire.service.connections == {wire.connection}
    wire.connection.connection_lost(None)
    assert wire.service.connections == set()


# -- back-pressure ---------------------------------------------------------------------------


async def test_a_slow_client_pauses_its_exchange_and_a_ready_one_resumes_it():
    wire = await Wire(answers=False).feed(get())
    assert (wire.transport.high, wire.transport.low) == (64 * 1024, 16 * 1024)
    wire.connection.pause_writing()
    assert wire.connection.is_slow
    wire.connection.resume_writing()
    assert wire.exchanges[0].calls == ["slow", "ready"]
    assert not wire.connection.is_slow


async def test_a_client_that_takes_nothing_is_cut_after_the_write_stall():
    wire = await Wire(answers=False).feed(get())
    wire.connection.pause_writing()
    wire.connection.sweep(in_(wire, 59))
    assert not wire.transport.closed
    wire.connection.sweep(in_(wire, 61))
    assert wire.transport.aborted
    assert wire.exchanges[0].calls == ["slow", "gone"]


async def test_a_closed_connection_that_cannot_flush_is_aborted():
    wire = await Wire().feed(get(HOST + b"Connection: close\r\n"))
    wire.connection.sweep(in_(wire, 59))
    assert not wire.transport.aborted
    wire.connection.sweep(in_(wire, 61))
    assert wire.transport.aborted


# -- timers ----------------------------------------------------------------------------------


async def test_a_connection_that_sends_nothing_is_closed_in_silence():
    wire = Wire()
    wire.connection.sweep(in_(wire, 9))
    assert not wire.transport.closed
    wire.connection.sweep(in_(wire, 11))
    assert wire.transport.closed
    assert wire.transport.written == b""


async def test_a_slow_head_times_out_and_its_bytes_do_not_refresh_the_timer():
    wire = await Wire().feed(b"GET / HT", b"TP/1.1\r\n")
    wire.connection.sweep(in_(wire, 9))
    await wire.feed(b"Host: loc")
    wire.connection.sweep(in_(wire, 11))
    assert (wire.statuses, wire.ended) == ([408], True)


async def test_blank_lines_do_not_refresh_the_head_timer():
    wire = await Wire().feed(b"\r\n")
    wire.connection.sweep(in_(wire, 11))
    assert wire.statuses == [408]


async def test_an_idle_connection_lives_75_seconds():
    wire = await Wire().feed(get())
    wire.connection.sweep(in_(wire, 74))
    assert not wire.transport.closed
    wire.connection.sweep(in_(wire, 76))
    assert wire.transport.closed
    assert wire.statuses == [200]


async def test_a_body_that_pauses_too_long_times_out():
    wire = await Wire().feed(post(b"Content-Length: 50000\r\n", b"a" * 40_000))
    wire.connection.sweep(in_(wire, 29))
    assert wire.statuses == []
    wire.connection.sweep(in_(wire, 31))
    await wire.settle()
    assert (wire.statuses, wire.ended) == ([408], True)


async def test_a_body_slower_than_a_kibibyte_per_second_times_out():
    wire = await Wire().feed(post(b"Content-Length: 50000\r\n", b"a" * 10_000))
    wire.connection.sweep(in_(wire, 9.5))
    assert wire.statuses == []
    wire.connection.sweep(in_(wire, 10.5))
    await wire.settle()
    assert wire.statuses == [408]


async def test_draining_shortens_an_idle_connections_life_but_answers_what_comes():
    wire = await Wire().feed(get())
    wire.service.draining = True
    wire.connection.drain()
    wire.connection.sweep(in_(wire, 0.5))
    assert not wire.transport.closed
    await wire.feed(get())
    assert wire.statuses == [200, 200]
    assert wire.transport.closed


async def test_a_stream_begun_while_draining_says_that_the_connection_ends():
    wire = await Wire(answers=False).feed(get())
    wire.service.draining = True
    wire.connection.start_stream(b"", b"one")
    assert b"Connection: close\r\n" in wire.transport.written
    wire.connection.end_stream()
    assert wire.transport.closed and not wire.transport.aborted


async def test_a_stream_begun_before_draining_leaves_time_for_one_more_request():
    wire = await Wire(answers=False).feed(get())
    wire.connection.start_stream(b"", b"one")
    wire.service.draining = True
    wire.connection.end_stream()
    assert not wire.ended
    wire.answers = True
    await wire.feed(get())
    assert wire.statuses == [200, 200]
    assert wire.transport.closed


async def test_a_refusal_is_rendered_by_the_service():
    wire = await Wire().feed(b"GET / HTTP/1.1\r\n\r\n")
    assert wire.transport.written.endswith(b"bad_request")


async def test_the_head_limit_holds_at_the_limit_and_one_past_it():
    fields = HOST + b"X: " + b"a" * 8_000 + b"\r\nY: " + b"b" * 8_000 + b"\r\nZ: \r\n"
    room = 16 * 1024 - len(get(fields))
    for size, status in ((room, 200), (room + 1, 431)):
        request = get(fields.replace(b"Z: ", b"Z: " + b"c" * size))
        assert (await Wire().feed(request)).statuses == [status]


async def test_the_target_limit_holds_at_the_limit_and_one_past_it():
    for size, status in ((8192, 200), (8193, 414)):
        assert (await Wire().feed(get(target=b"/" * size))).statuses == [status]


async def test_the_limits_of_fields_and_values_hold_at_the_limit_and_one_past_it():
    for count, status in ((100, 200), (101, 431)):
        fields = HOST + b"".join(b"X%d: 1\r\n" % n for n in range(count - 1))
        assert (await Wire().feed(get(fields))).statuses == [status]
    for size, status in ((8192, 200), (8193, 431)):
        assert (await Wire().feed(get(HOST + b"X: " + b"a" * size + b"\r\n"))).statuses == [status]


async def test_four_blank_bytes_pass_and_five_do_not():
    assert (await Wire().feed(b"\r\n\r\n" + get())).statuses == [200]
    assert (await Wire().feed(b"\r\n\r\n\n" + get())).statuses == [400]


async def test_the_kernels_send_buffer_is_bounded_on_a_real_socket():
    import socket

    wire = Wire()
    loop = asyncio.get_running_loop()
    listener = await loop.create_server(lambda: ClientConnection(wire.service), "127.0.0.1", 0)
    reader, writer = await asyncio.open_connection(*listener.sockets[0].getsockname())
    writer.write(get())
    await reader.readuntil(b"\r\n\r\n")
    (connection,) = wire.service.connections - {wire.connection}
    sock = connection.transport.get_extra_info("socket")
    assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF) == 2 * server.SEND_BUFFER
    writer.close()
    await writer.wait_closed()
    listener.close()
    await listener.wait_closed()


async def test_a_body_takes_room_until_its_answer():
    wire = await Wire(answers=False).feed(post(b"Content-Length: 5\r\n", b"he"))
    assert wire.service.room.held == 5, "all that is announced"
    await wire.feed(b"llo")
    assert wire.service.room.held == 5
    wire.connection.body_grew(100)
    assert wire.service.room.held == 105
    wire.connection.answer(200, b"", b"")
    assert wire.service.room.held == 0


@pytest.mark.parametrize("rest", [b"", b"llo"])
async def test_the_room_of_a_client_that_leaves_is_free_again(rest):
    wire = await Wire(answers=False).feed(post(b"Content-Length: 5\r\n", b"he" + rest))
    wire.connection.connection_lost(None)
    assert wire.service.room.held == 0


async def test_a_body_without_room_is_refused_before_it_is_asked_for():
    wire = Wire()
    wire.service.room.most = 4
    await wire.feed(post(b"Content-Length: 5\r\nExpect: 100-continue\r\n"))
    assert isinstance(wire.seen[0].error, Overloaded)
    assert wire.transport.written.startswith(b"HTTP/1.1 503 ")
    assert wire.service.room.held == 0
