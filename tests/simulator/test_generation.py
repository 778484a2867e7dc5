"""A generation on its slot: progress, pings."""


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
