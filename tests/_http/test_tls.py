"""TLS below the connection: who is believed, and what the files may be."""

import asyncio

import pytest
from _http.answering import Kept
from certificates import AUTHORITY, FOLDER, pair

from multiproxy._http.pool import Pool
from multiproxy._http.tls import backend_context, server_context
from multiproxy.config import BackendTls, Url
from multiproxy.errors import BackendUnreachable, BadCertificate

HTTPS = Url("https", "127.0.0.1", 443)
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"


@pytest.fixture
async def port():
    """A backend that speaks TLS as first.test and answers every request."""
    seen = []

    async def answer(reader, writer):
        seen.append(writer.get_extra_info("ssl_object").selected_alpn_protocol())
        try:
            while await reader.readuntil(b"\r\n\r\n"):
                writer.write(ANSWER)
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=server_context(*pair("first")))
    yield server.sockets[0].getsockname()[1]
    server.close()
    assert set(seen) <= {"http/1.1"}


async def ask(port, tls):
    pool = Pool(
        "127.0.0.1",
        port,
        connect_timeout_s=5,
        pace=lambda: 0.0,
        tls=backend_context(tls, HTTPS),
        server_name=tls.server_name,
    )
    sink = Kept()
    connection = await pool.acquire()
    connection.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"", sink)
    async with asyncio.timeout(5):
        while "end" not in sink.calls and "failed" not in sink.calls:
            await asyncio.sleep(0)
    pool.release(connection)
    pool.close()
    return sink.payload


@pytest.mark.parametrize(
    "tls",
    [
        BackendTls(ca=AUTHORITY),
        BackendTls(ca=AUTHORITY, server_name="first.test"),
        BackendTls(verify=False),
        BackendTls(verify=False, server_name="other.test"),
    ],
)
async def test_a_backend_that_is_believed_answers_through_the_same_connection(port, tls):
    assert await ask(port, tls) == b"hi"


@pytest.mark.parametrize("tls", [BackendTls(), BackendTls(ca=AUTHORITY, server_name="other.test")])
async def test_a_backend_that_is_not_believed_is_sent_nothing(port, tls):
    with pytest.raises(BackendUnreachable):
        await ask(port, tls)


def test_http_needs_no_context():
    assert backend_context(BackendTls(), Url("http", "gpu", 80)) is None
    assert backend_context(None, HTTPS).verify_mode.name == "CERT_REQUIRED"


@pytest.mark.parametrize(
    ("cert", "key", "reason"),
    [
        ("nowhere.pem", "first.key", "No such file"),
        ("first.pem", "second.key", "key values mismatch"),
        ("first.key", "first.key", "no start line|not pem|pem lib"),
        ("first.pem", "locked.key", "password|bad decrypt|pem lib"),
    ],
)
def test_files_that_make_no_certificate_are_told_with_their_names(cert, key, reason):
    with pytest.raises(BadCertificate, match=f"{cert}.*{key}.*({reason})"):
        server_context(str(FOLDER / cert), str(FOLDER / key))


def test_a_list_of_authorities_that_is_none_is_told():
    with pytest.raises(BadCertificate, match="nowhere.pem: No such file"):
        backend_context(BackendTls(ca="/nowhere.pem"), HTTPS)
    with pytest.raises(BadCertificate, match="first.key: "):
        backend_context(BackendTls(ca=pair("first")[1]), HTTPS)
