"""A worker's clock and its end; everything else of it is in the tests of its exchanges."""

import asyncio
import socket

import pytest
from worker.workplace import Answer, chat

from multiproxy.config import Timeouts
from multiproxy.scoreboard import WorkerState
from multiproxy.worker import main


async def request(port: int, body: bytes) -> bytes:
    """One whole exchange with a server, to the end of its connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(body)
    async with asyncio.timeout(10):
        answer = await reader.read()
    writer.close()
    return answer


GET = b"GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"


async def test_a_worker_serves_a_socket_and_ends_when_it_is_drained(staff, listener):
    workplace, _ = await staff()
    port = listener.getsockname()[1]
    workplace.worker.serve(socket.socket(fileno=listener.detach()))
    assert workplace.worker.row.state is WorkerState.SERVING
    assert Answer(await request(port, GET)).json == {"status": "ok"}
    ended = asyncio.create_task(workplace.worker.wait_ended())
    await workplace.until(lambda: not workplace.worker._service.connections)
    workplace.worker.drain()
    assert workplace.worker.row.state is WorkerState.DRAINING
    async with asyncio.timeout(10):
        await ended
    with pytest.raises(ConnectionRefusedError):
        await request(port, GET)


async def test_a_draining_worker_finishes_what_runs(staff):
    workplace, _ = await staff(tokens_per_second=200)
    client = workplace.client()
    client.send(chat(max_tokens=20))
    await workplace.until(lambda: b"data:" in client.transport.written)
    workplace.worker.drain()
    workplace.worker._check_drained(workplace.worker.now())
    assert not workplace.worker._ended.done()
    await workplace.settled()
    assert Answer(client.transport.written).complete
    client.connection.connection_lost(None)
    workplace.worker._check_drained(workplace.worker.now())
    assert workplace.worker._ended.done()


async def test_a_client_that_is_just_let_in_is_waited_for(staff, listener):
    workplace, _ = await staff()
    worker, address = workplace.worker, listener.getsockname()
    worker.serve(socket.socket(fileno=listener.detach()))
    with socket.create_connection(address) as client:
        await workplace.until(lambda: worker._doorway.shaking_hands)
        worker.drain()
        assert not worker._ended.done()
        await workplace.until(lambda: worker._service.connections)
        client.setblocking(False)
        client.sendall(GET)
        await workplace.until(lambda: not worker._service.connections)
        assert client.recv(100).startswith(b"HTTP/1.1 200 OK\r\n")
    await worker.wait_ended()


async def test_a_drain_that_takes_too_long_is_cut_short(staff):
    workplace, _ = await staff(tokens_per_second=20, config={"timeouts": Timeouts(drain=60)})
    client = workplace.client()
    client.send(chat(max_tokens=1000))
    await workplace.until(lambda: b"data:" in client.transport.written)
    workplace.worker.drain()
    workplace.worker._check_drained(workplace.worker.now() + 59)
    assert workplace.exchanges
    workplace.worker._check_drained(workplace.worker.now() + 61)
    await workplace.settled()
    assert b'"code":"shutting_down"' in Answer(client.transport.written).body
    assert workplace.endings == [(200, "PD")]


async def test_a_second_drain_ends_at_once(staff):
    workplace, _ = await staff(tokens_per_second=20)
    client = workplace.client()
    client.send(chat(max_tokens=1000))
    await workplace.until(lambda: b"data:" in client.transport.written)
    workplace.worker.drain()
    assert not workplace.worker._ended.done()
    workplace.worker.drain()
    assert workplace.worker._ended.done()
    client.leave()
    await workplace.settled()


async def test_a_request_that_never_became_one_is_accounted_for(staff):
    workplace, _ = await staff()
    client = workplace.client()
    client.connection.data_received(b"GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n")
    answer = Answer(client.transport.written)
    assert (answer.status, answer.error) == (421, "misdirected_request")
    assert workplace.endings == [(421, "CR")]
    assert f"req_{workplace.records[0].request_id}".encode() in answer.head
    assert workplace.is_clean()


async def test_the_clock_tells_the_board_what_goes_on(staff):
    workplace, _ = await staff(tokens_per_second=50)
    client = workplace.client()
    client.send(chat(max_tokens=1000))
    await workplace.until(lambda: client.transport.written.count(b"data:") > 3)
    workplace.worker._tick(0)
    (running,) = workplace.board.live[0].rows()
    assert running.tokens >= 3 and running.model_served == "demo"
    assert workplace.board.load.last_succeeded(0) > 0
    assert (workplace.worker.row.connections, workplace.worker.row.beat_ns > 0) == (1, True)
    client.leave()
    await workplace.settled()


async def test_a_clock_that_is_late_lets_what_came_meanwhile_be_read_first(staff):
    """A loop that got no processor runs its timers before it reads what came in time."""
    workplace, _ = await staff()
    client = workplace.client()
    assert (await client.ask(None, "/livez", "GET")).status == 200
    workplace.worker.drain()
    client.connection._deadline = 0.0  # its time is over, and its next request unread
    workplace.worker._tick(0, workplace.worker.now() - 1)
    assert not client.transport.closed
    assert (await client.ask(None, "/livez", "GET")).status == 200
    other = workplace.client()
    other.connection._deadline = 0.0
    workplace.worker._tick(0, workplace.worker.now())
    assert other.transport.closed


async def test_the_clock_takes_over_what_the_probes_found(staff):
    workplace, _ = await staff()
    from worker.workplace import reports

    workplace.board.backends.write_facts(0, reports("renamed"))
    workplace.worker._tick(0)
    assert workplace.worker.backends.table.resolve("renamed") is not None
    assert workplace.worker.backends.table.resolve("demo") is None


async def test_a_running_stream_is_cancelled_by_an_order(staff):
    workplace, servers = await staff(tokens_per_second=50)
    client, other = workplace.client(), workplace.client()
    client.send(chat(max_tokens=1000))
    other.send(chat(max_tokens=1000))
    await workplace.until(lambda: b"data:" in client.transport.written)
    await workplace.until(lambda: b"data:" in other.transport.written)
    (first,) = [each for each in workplace.exchanges if each._client is client.connection]
    workplace.board.orders.give(0, first.request_id[4:])
    workplace.worker._tick(0)
    await workplace.until(lambda: len(workplace.exchanges) == 1)
    assert b'"code":"cancelled_by_operator"' in client.transport.written
    assert b"cancelled" not in other.transport.written
    await workplace.until(lambda: servers[0].facts.aborted == 1)
    (record,) = workplace.records
    assert (record.error, record.termination) == ("cancelled_by_operator", "PD")
    other.leave()
    await workplace.settled()
    assert workplace.is_clean()


async def test_a_waiting_request_is_cancelled_and_told_not_to_come_again(staff):
    workplace, _ = await staff()
    workplace.board.load.add(1, 0, 4)  # another worker has every slot
    client = workplace.client()
    client.send(chat())
    await workplace.until(lambda: workplace.worker.placer.waiting)
    workplace.board.orders.give(0, workplace.exchanges[0].request_id[4:])
    workplace.worker._tick(0)
    await workplace.settled()
    assert client.transport.written.startswith(b"HTTP/1.1 503 ")
    assert b"x-should-retry: false\r\n" in client.transport.written
    assert workplace.worker.placer.waiting == 0


async def test_orders_for_an_earlier_process_of_the_row_are_not_carried_out(staff):
    workplace, _ = await staff()
    workplace.board.orders.give(0, "0123456789ab")
    reborn = main.Worker(workplace.config, {"backends": {"b0": 0}}, workplace.board, 0)
    assert reborn._orders == 1
    reborn.backends.close()
    reborn._log.close()
