"""The API over TLS: the same bytes, and certificates that are renewed under way."""

import asyncio
import os
import shutil
import socket

import orjson
import pytest
from certificates import name_of, pair, trusting
from worker.workplace import Answer, chat

from multiproxy.config import Tls
from multiproxy.worker.certificate import Certificate


@pytest.fixture
def files(tmp_path):
    """Writes a pair where ``Tls`` says it is: ``files("first")``, or one half of it."""
    tls = Tls(str(tmp_path / "cert.pem"), str(tmp_path / "key.pem"))

    def write(cert, key=""):
        for source, target in ((pair(cert)[0], tls.cert), (pair(key or cert)[1], tls.key)):
            shutil.copy(source, target + ".new")
            os.replace(target + ".new", target)
        return tls

    return write


def test_a_pair_that_does_not_fit_yet_changes_nothing_and_is_told_once(files, capsys):
    certificate = Certificate(files("first"))
    first = certificate.context
    certificate.refresh()
    assert certificate.context is first
    files("second", key="first")
    for _ in range(3):
        certificate.refresh()
    assert certificate.context is first
    assert capsys.readouterr().err.count("the certificate before stays") == 1
    files("second")
    certificate.refresh()
    assert certificate.context is not first


def test_a_file_that_is_gone_for_a_moment_changes_nothing(files):
    tls = files("first")
    certificate = Certificate(tls)
    before = certificate.context
    os.unlink(tls.cert)
    certificate.refresh()
    assert certificate.context is before


@pytest.fixture
async def served(staff, files):
    """A worker that listens with TLS, and its port."""
    workplace, _ = await staff(config={"tls": files("first")})
    listener = socket.create_server(("127.0.0.1", 0))
    workplace.worker.serve(listener)
    yield workplace, listener.getsockname()[1]
    workplace.worker.drain()
    async with asyncio.timeout(5):
        await workplace.worker._ended


async def ask(reader, writer, body):
    raw = orjson.dumps(body)
    head = "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\n"
    writer.write(f"{head}Content-Length: {len(raw)}\r\n\r\n".encode() + raw)
    head = await reader.readuntil(b"\r\n\r\n")
    return Answer(head + await reader.readuntil(b"\r\n0\r\n\r\n"))


async def connect(port):
    return await asyncio.open_connection(
        "127.0.0.1", port, ssl=trusting(), server_hostname="localhost"
    )


async def test_a_stream_goes_through_tls_as_it_would_without(served):
    workplace, port = served
    reader, writer = await connect(port)
    for _ in range(2):
        answer = await ask(reader, writer, chat(max_tokens=5))
        assert (answer.status, answer.complete) == (200, True)
        assert answer.body.endswith(b"data: [DONE]\n\n")
    assert name_of(writer.get_extra_info("ssl_object")) == "first.test"
    assert [record.client for record in workplace.records] == ["127.0.0.1"] * 2
    writer.close()
    await writer.wait_closed()


async def test_a_client_that_leaves_a_tls_stream_is_noticed(staff, served):
    workplace, port = served
    reader, writer = await connect(port)
    raw = orjson.dumps(chat(max_tokens=100_000, ignore_eos=True))
    head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: {len(raw)}\r\n\r\n"
    writer.write(head.replace("Host: x", "Host: localhost").encode() + raw)
    await reader.readuntil(b"data: ")
    writer.transport.abort()
    await workplace.settled()
    assert workplace.endings[0][0] == 499 and workplace.in_flight == [0]


async def test_a_plain_client_on_a_tls_port_is_closed(served):
    workplace, port = served
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n")
    async with asyncio.timeout(10):
        try:
            assert b"HTTP/" not in await reader.read()
        except ConnectionError:
            pass
    writer.close()
    await workplace.until(lambda: workplace.worker._doorway.shaking_hands == 0)
    reader, writer = await connect(port)
    assert (await ask(reader, writer, chat(max_tokens=1))).status == 200
    writer.close()
    await writer.wait_closed()


async def test_a_renewed_certificate_is_shown_to_new_connections_and_cuts_no_old_one(served, files):
    workplace, port = served
    old_reader, old_writer = await connect(port)
    assert (await ask(old_reader, old_writer, chat(max_tokens=1))).status == 200
    files("second")
    workplace.worker._certificate.refresh()
    reader, writer = await connect(port)
    assert name_of(writer.get_extra_info("ssl_object")) == "second.test"
    assert (await ask(old_reader, old_writer, chat(max_tokens=1))).status == 200
    for each in (old_writer, writer):
        each.close()
        await each.wait_closed()


async def test_clients_that_never_finish_their_handshake_count_as_connections(served):
    workplace, port = served
    socks = [socket.create_connection(("127.0.0.1", port)) for _ in range(3)]
    await workplace.until(lambda: workplace.worker._doorway.shaking_hands == 3)
    assert not workplace.worker._service.connections
    for sock in socks:
        sock.close()
    await workplace.until(lambda: workplace.worker._doorway.shaking_hands == 0)
