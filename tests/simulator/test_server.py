"""A simulator as a process of its own: told to end, orphaned, killed."""

import asyncio
import contextlib
import os
import signal
import socket

import pytest

from multiproxy.simulator import Settings, start


def test_sigterm_ends_it_at_once_with_status_0(launch, streams):
    process, port = launch("--tps", "100")
    with streams.open(port) as sock:
        streams.until(sock, b"content")
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
        assert not streams.rest(sock).endswith(b"\r\n0\r\n\r\n")


def test_sigterm_with_linger_ends_streams_at_their_next_ping(launch, streams):
    process, port = launch("--tps", "100", "--sigterm", "linger", "--ping", "0.2")
    with streams.open(port) as sock:
        streams.until(sock, b"content")
        process.send_signal(signal.SIGTERM)
        answer = streams.rest(sock)
    assert answer.endswith(b"3\r\n:\n\n\r\n")
    assert process.wait(10) == 1
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port))


def test_it_ends_when_its_lifeline_ends(launch):
    reading, writing = os.pipe()
    process, _ = launch("--lifeline", str(reading), pass_fds=(reading,))
    os.close(reading)
    os.close(writing)
    assert process.wait(10) == 0


def test_the_magic_prompt_kills_the_process(launch, streams):
    process, port = launch("--tps", "100")
    with streams.open(port) as victim, streams.open(port, b"@die") as killer:
        assert streams.rest(killer) == b""
        assert not streams.rest(victim).endswith(b"\r\n0\r\n\r\n")
    assert process.wait(10) != 0


@pytest.mark.parametrize("turns", range(6))
async def test_closing_ends_a_connection_that_was_accepted_just_now(turns):
    server = await start(Settings())
    with socket.create_connection(("127.0.0.1", server.port), timeout=5) as client:
        for _ in range(turns):
            await asyncio.sleep(0)
        await server.close()
        with contextlib.suppress(ConnectionResetError):
            assert client.recv(1) == b""
