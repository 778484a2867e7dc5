"""Answers written word for word."""


async def test_a_script_is_sent_word_for_word(simulate, client, wire):
    scripts = {
        "odd": [b": hello\n\n", 0.001, b"data: {}\n\n"],
        "raw": [b"HTTP/1.1 418 Tea\r\n\r\n"],
    }
    server = await simulate(scripts=scripts)
    async with client(server.port) as connection:
        answer = await connection.answer(wire.post("@script odd"))
        assert answer.endswith(b"\r\n\r\n9\r\n: hello\n\n\r\na\r\ndata: {}\n\n\r\n0\r\n\r\n")
        assert await connection.answer(wire.post("@script raw")) == b"HTTP/1.1 418 Tea\r\n\r\n"
