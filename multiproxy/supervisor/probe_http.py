"""Asking a backend something, politely: one connection at a time, strict HTTP, and a nudge.

A healthy llama-server may leave a connection unserved that arrived together with others, until
the next one arrives. So a question that gets no head within NUDGE_S opens a second connection,
says nothing on it, and goes on waiting for the first.
"""

import asyncio
import contextlib
import ssl
from typing import NamedTuple

import h11

from multiproxy.config import Url

NUDGE_S = 0.3  # llama-server answers these GETs in about a millisecond
MAX_HEAD = 64 * 1024
MAX_BODY = 8 * 1024 * 1024
_READ = 64 * 1024


class Answer(NamedTuple):
    """A complete answer; ``server`` is its Server field."""

    status: int
    server: bytes
    body: bytes


class ProbeFailed(Exception):
    """No answer. ``refused``: nothing listens there, which is more than a silent server."""

    def __init__(self, reason: str, refused: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.refused = refused


class ProbeConnection:
    """GETs to one backend, one after the other, on one connection while that is kept open."""

    def __init__(
        self,
        url: Url,
        api_key: str | None,
        tls: ssl.SSLContext | None,
        server_name: str | None = None,
    ) -> None:
        self._url = url
        self._server_name = server_name or url.host
        self._tls = tls if url.scheme == "https" else None
        self._headers = [
            ("Host", url.authority),
            ("User-Agent", "multiproxy-probe"),
            ("Accept", "application/json"),
        ]
        if api_key is not None:
            self._headers.append(("Authorization", f"Bearer {api_key}"))
        self._http: h11.Connection | None = None
        self._reader: asyncio.StreamReader
        self._writer: asyncio.StreamWriter

    async def get(self, path: str, timeout_s: float) -> Answer:
        """The answer to ``GET prefix + path``.

        Raises:
            ProbeFailed: not reachable, silent for ``timeout_s``, cut off, or not HTTP.
        """
        try:
            async with asyncio.timeout(timeout_s):
                if self._http is None:
                    await self._open()
                return await self._ask(path)
        except ConnectionRefusedError as error:
            self.close()
            where = f"{self._url.host}:{self._url.port}"
            raise ProbeFailed(f"connection refused to {where}", refused=True) from error
        except TimeoutError as error:
            self.close()
            raise ProbeFailed(f"no answer to GET {path} within {timeout_s:g} s") from error
        except OSError as error:
            self.close()
            raise ProbeFailed(error.strerror or str(error)) from error
        except h11.RemoteProtocolError as error:
            self.close()
            raise ProbeFailed(f"not HTTP/1.1: {error}") from error

    def close(self) -> None:
        """Drop the connection; the next ``get`` opens another."""
        if self._http is not None:
            self._http = None
            self._writer.close()

    async def _open(self) -> None:
        self._reader, self._writer = await self._connect()
        self._http = h11.Connection(h11.CLIENT, max_incomplete_event_size=MAX_HEAD)

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        name = self._server_name if self._tls else None
        return await asyncio.open_connection(
            self._url.host, self._url.port, ssl=self._tls, server_hostname=name
        )

    async def _ask(self, path: str) -> Answer:
        assert self._http is not None
        http = self._http
        request = h11.Request(method="GET", target=self._url.prefix + path, headers=self._headers)
        self._writer.write(http.send(request) + http.send(h11.EndOfMessage()))
        head = await self._head(http)
        body = bytearray()
        while True:
            event = http.next_event()
            if event is h11.NEED_DATA:
                http.receive_data(await self._reader.read(_READ))
            elif isinstance(event, h11.Data):
                body += event.data
                if len(body) > MAX_BODY:
                    raise h11.RemoteProtocolError(f"more than {MAX_BODY} bytes")
            elif isinstance(event, h11.EndOfMessage):
                break
        if http.our_state is h11.DONE and http.their_state is h11.DONE:
            http.start_next_cycle()
        else:
            self.close()
        server = next((value for name, value in head.headers if name == b"server"), b"")
        return Answer(head.status_code, server, bytes(body))

    async def _head(self, http: h11.Connection) -> h11.Response:
        async with contextlib.AsyncExitStack() as nudges:
            while True:
                event = http.next_event()
                if isinstance(event, h11.Response):
                    return event
                if event is h11.NEED_DATA:
                    http.receive_data(await self._read_or_nudge(nudges))
                elif isinstance(event, h11.ConnectionClosed):
                    raise h11.RemoteProtocolError("closed without an answer")

    async def _read_or_nudge(self, nudges: contextlib.AsyncExitStack) -> bytes:
        read = asyncio.ensure_future(self._reader.read(_READ))
        try:
            await asyncio.wait([read], timeout=NUDGE_S)
            if not read.done():
                with contextlib.suppress(OSError):
                    _, nudge = await self._connect()
                    nudges.callback(nudge.close)
            return await read
        finally:
            read.cancel()
