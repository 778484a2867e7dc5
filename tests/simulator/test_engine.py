"""Slots: who waits, what is remembered, when the model sleeps."""

import asyncio

CHUNK = b"\n\n\r\n"
ENDLESS = {"messages": [{"role": "user", "content": "hi"}], "stream": True, "ignore_eos": True}


async def test_a_request_without_a_free_slot_gets_no_byte_until_one_is_free(simulate, client, wire):
    server = await simulate(slots=1, tokens_per_second=100)
    async with client(server.port) as first, client(server.port) as second:
        first.writer.write(wire.post(ENDLESS))
        await first.until(CHUNK)
        second.writer.write(wire.post("hello"))
        await first.until(CHUNK)
        assert len(server.engine.waiting) == 1
        assert second.reader._buffer == b""
        first.writer.transport.abort()
        assert (await second.until(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 OK\r\n")
    assert server.facts.aborted == 1


async def test_waiting_requests_get_slots_in_the_order_of_their_arrival(simulate, client, wire):
    server = await simulate(slots=1, tokens_per_second=1000)
    ended = []

    async def run(number: int) -> None:
        async with client(server.port) as connection:
            await connection.answer(wire.post(f"@tokens {number}"))
            ended.append(number)

    async with client(server.port) as first, asyncio.TaskGroup() as tasks:
        first.writer.write(wire.post(ENDLESS))
        await first.until(CHUNK)
        for position, number in enumerate((3, 1, 2), 1):
            tasks.create_task(run(number))
            while len(server.engine.waiting) < position:
                await first.until(CHUNK)
        first.writer.transport.abort()
    assert ended == [3, 1, 2]


async def test_the_next_turn_of_a_conversation_finds_its_prompt_in_the_cache(simulate, client):
    server = await simulate(slots=2)
    async with client(server.port) as connection:
        first = {"role": "user", "content": "the same long beginning " * 20}
        told = await connection.ask({"messages": [first]})
        other = await connection.ask({"messages": [{"role": "user", "content": "x"}]})
        messages = [first, told["choices"][0]["message"], {"role": "user", "content": "and?"}]
        again = await connection.ask({"messages": messages})
    assert told["timings"]["cache_n"] == 0
    assert other["timings"]["cache_n"] <= 4
    whole = told["usage"]["prompt_tokens"]
    assert again["usage"]["prompt_tokens_details"]["cached_tokens"] > whole
    timings = again["timings"]
    assert timings["cache_n"] + timings["prompt_n"] == again["usage"]["prompt_tokens"]


async def test_cache_prompt_false_reads_the_whole_prompt_again(simulate, client):
    server = await simulate(slots=1)
    async with client(server.port) as connection:
        body = {"messages": [{"role": "user", "content": "hello"}]}
        await connection.ask(body)
        again = await connection.ask(body | {"cache_prompt": False})
    assert again["timings"]["cache_n"] == 0


async def test_a_pinned_request_runs_on_its_slot_modulo_the_slots(simulate, client):
    server = await simulate(slots=2)
    async with client(server.port) as connection:
        body = {"messages": [{"role": "user", "content": "x"}], "id_slot": 99, "verbose": True}
        assert (await connection.ask(body))["__verbose"]["id_slot"] == 1


async def test_a_server_falls_asleep_and_a_request_wakes_it_with_an_empty_cache(simulate, client):
    server = await simulate(slots=1, sleep_idle_s=0.05, wake_time=0.01)
    async with client(server.port) as connection:
        body = {"messages": [{"role": "user", "content": "hello"}]}
        await connection.ask(body)
        while not server.engine.asleep:
            await asyncio.sleep(0.01)
        assert b'"is_sleeping":true' in await connection.answer(b"GET /props HTTP/1.1\r\n\r\n")
        assert (await connection.ask(body))["timings"]["cache_n"] == 0
