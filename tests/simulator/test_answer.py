"""What a client that leaves does to its answer and its slot."""

import asyncio

CHUNK = b"\n\n\r\n"
ENDLESS = {"messages": [{"role": "user", "content": "hi"}], "stream": True, "ignore_eos": True}


async def test_a_stream_that_is_reset_frees_its_slot(simulate, client, wire):
    server = await simulate(slots=1, tokens_per_second=100)
    async with client(server.port) as connection:
        connection.writer.write(wire.post(ENDLESS))
        await connection.until(CHUNK)
        assert server.engine.running
    async with client(server.port) as connection:
        assert len(await connection.events("@tokens 2")) == 5 - 1
    assert server.facts.aborted == 1


async def test_a_stream_whose_client_half_closes_ends_without_the_last_chunk(
    simulate, client, wire
):
    server = await simulate(tokens_per_second=100)
    async with client(server.port) as connection:
        connection.writer.write(wire.post(ENDLESS))
        await connection.until(CHUNK)
        connection.writer.write_eof()
        rest = await connection.rest()
    assert not rest.endswith(b"\r\n0\r\n\r\n")
    assert not server.engine.running


async def test_a_half_closed_client_of_a_whole_answer_gets_an_empty_200(simulate, client, wire):
    server = await simulate(tokens_per_second=1)
    async with client(server.port) as connection:
        connection.writer.write(wire.post({"messages": [{"role": "user", "content": "hi"}]}))
        connection.writer.write_eof()
        answer = await connection.rest()
    assert b"\r\nContent-Length: 0\r\n" in answer
    assert server.facts.aborted == 1


async def test_a_whole_answer_runs_on_without_its_client_while_a_stream_is_busy(
    simulate, client, wire
):
    server = await simulate(tokens_per_second=20, slots=2)
    async with client(server.port) as busy:
        busy.writer.write(wire.post(ENDLESS))
        await busy.until(CHUNK)
        async with client(server.port) as gone:
            body = {"messages": [{"role": "user", "content": "@tokens 30"}]}
            gone.writer.write(wire.post(body))
            while server.facts.generations < 2:
                await asyncio.sleep(0)
        while not server.facts.finished:
            await busy.until(CHUNK)
    assert server.facts.aborted == 0


async def test_a_client_that_left_the_queue_is_noticed_when_its_turn_comes(simulate, client, wire):
    server = await simulate(slots=1, tokens_per_second=100)
    async with client(server.port) as first:
        first.writer.write(wire.post(ENDLESS))
        await first.until(CHUNK)
        async with client(server.port) as gone:
            gone.writer.write(wire.post(ENDLESS))
            while not server.engine.waiting:
                await first.until(CHUNK)
        assert len(server.engine.waiting) == 1
    async with client(server.port) as third:
        await third.answer(wire.post("@tokens 1"))
    assert (server.facts.generations, server.facts.aborted) == (3, 2)
