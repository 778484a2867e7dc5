"""Slots: who waits, what is remembered, and what a client that leaves does to its slot."""

import asyncio
import re

CHUNK = b"\n\n\r\n"
ENDLESS = {"messages": [{"role": "user", "content": "hi"}], "stream": True, "ignore_eos": True}


def text(events) -> str:
    """Join the content of a stream's events."""
    deltas = [event["choices"][0]["delta"] for event in events if event["choices"]]
    return "".join(delta.get("content") or "" for delta in deltas)


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


async def test_progress_comes_per_batch_of_the_prompt(simulate, client):
    server = await simulate(batch_size=100)
    async with client(server.port) as connection:
        body = {"messages": [{"role": "user", "content": "word " * 240}], "max_tokens": 1}
        events = await connection.events(body | {"stream": True, "return_progress": True})
    seen = [event["prompt_progress"]["processed"] for event in events if "prompt_progress" in event]
    assert seen == [0, 100, 200, 300, 313]


async def test_a_long_prompt_on_a_quiet_server_gets_pings(simulate, client, wire):
    server = await simulate(ping_interval=0.5, prompt_tokens_per_second=10, slots=2)
    async with client(server.port) as connection:
        connection.writer.write(wire.post("word " * 100))
        assert (await connection.until(b"\r\n\r\n")).startswith(b"HTTP/1.1 200")
        assert await connection.until(b":\n\n\r\n") == b"3\r\n:\n\n\r\n"


async def test_metrics_and_slots_count_what_was_generated(simulate, client):
    server = await simulate(slots=2)
    async with client(server.port) as connection:
        await connection.ask({"messages": [{"role": "user", "content": "@tokens 7"}]})
        metrics = await connection.answer(b"GET /metrics HTTP/1.1\r\n\r\n")
        slots = await connection.answer(b"GET /slots HTTP/1.1\r\n\r\n")
    assert re.search(rb"^llamacpp:tokens_predicted_total 8$", metrics, re.MULTILINE)
    assert slots.count(b'"is_processing":false') == 2
    assert slots.count(b'"next_token":[') == 1


async def test_a_server_falls_asleep_and_a_request_wakes_it_with_an_empty_cache(simulate, client):
    server = await simulate(slots=1, sleep_idle_s=0.05, wake_time=0.01)
    async with client(server.port) as connection:
        body = {"messages": [{"role": "user", "content": "hello"}]}
        await connection.ask(body)
        while not server.engine.asleep:
            await asyncio.sleep(0.01)
        assert b'"is_sleeping":true' in await connection.answer(b"GET /props HTTP/1.1\r\n\r\n")
        assert (await connection.ask(body))["timings"]["cache_n"] == 0
