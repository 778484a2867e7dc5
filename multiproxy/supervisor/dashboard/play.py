"""One prompt on its way through our own API: sent as any client's, measured as a client would.

The answer passes through and is kept nowhere; who leaves ends it at the backend.
"""

import asyncio
import ssl
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import h11

from multiproxy.dialects.trial import PATHS, Piece, Reading, Trial, encode, error_of

CONNECT_S = 5.0
SILENCE_S = 600.0  # the API gives signs of life every few seconds
READ_SIZE = 16 * 1024
MAX_ERROR = 64 * 1024  # bytes of an error answer that are read


@dataclass(slots=True)
class Outcome:
    """What came of it; None is unknown. Times in seconds since the request was sent."""

    status: int = 0
    request_id: str = ""
    error: str = ""
    ttft_s: float | None = None
    total_s: float = 0.0
    tokens_per_s: float | None = None
    prompt_tokens: int | None = None
    cached_tokens: int | None = None
    output_tokens: int | None = None
    finish_reason: str = ""


class Play:
    """``pieces`` runs it, once; ``outcome`` is complete when they have ended.

    ``clock`` gives seconds. ``key`` is sent along and forgotten.
    """

    def __init__(self, api_url: str, trial: Trial, key: str, clock: Callable[[], float]) -> None:
        self.outcome = Outcome()
        self._url = urlsplit(api_url)
        self._trial = trial
        self._key = key
        self._clock = clock
        self._reading = Reading(trial.dialect)
        self._first = self._last = 0.0

    async def pieces(self) -> AsyncGenerator[Piece, None]:
        """The answer as it comes; never raises for what the API does."""
        writer = None
        began = self._clock()
        try:
            async with asyncio.timeout(CONNECT_S):
                reader, writer = await asyncio.open_connection(
                    self._url.hostname, self._url.port, ssl=self._tls()
                )
            began = self._clock()
            async with aclosing(self._exchange(reader, writer, began)) as pieces:
                async for piece in pieces:
                    yield piece
        except TimeoutError:
            self.outcome.error = "The API did not answer in time."
        except (OSError, h11.ProtocolError, EOFError) as error:
            self.outcome.error = f"The API could not be asked: {error}."
        finally:
            if writer is not None:
                writer.transport.abort()
            self._sum_up(began)

    def _tls(self) -> ssl.SSLContext | None:
        if self._url.scheme != "https":
            return None
        context = ssl.create_default_context()
        # It is ourselves at an address we bound; the certificate is for another name.
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        return context

    async def _exchange(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, began: float
    ) -> AsyncGenerator[Piece, None]:
        connection = h11.Connection(h11.CLIENT)
        body = encode(self._trial)
        writer.write(connection.send(self._head(len(body))) or b"")
        writer.write(connection.send(h11.Data(data=body)) or b"")
        writer.write(connection.send(h11.EndOfMessage()) or b"")
        error = bytearray()
        while True:
            event: Any = connection.next_event()
            if event is h11.NEED_DATA:
                async with asyncio.timeout(SILENCE_S):
                    connection.receive_data(await reader.read(READ_SIZE))
            elif isinstance(event, h11.Response):
                self._take_head(event)
            elif isinstance(event, h11.Data) and self.outcome.status != 200:
                error += event.data[: MAX_ERROR - len(error)]
            elif isinstance(event, h11.Data):
                for piece in self._reading.feed(bytes(event.data)):
                    self._last = self._clock() - began
                    self._first = self._first or self._last
                    yield piece
            elif isinstance(event, h11.EndOfMessage | h11.ConnectionClosed):
                break
        if self.outcome.status != 200:
            self.outcome.error = error_of(bytes(error))

    def _head(self, length: int) -> h11.Request:
        fields = [
            ("Host", self._url.netloc),
            ("User-Agent", "multiproxy-playground"),
            ("Content-Type", "application/json"),
            ("Content-Length", str(length)),
            ("Connection", "close"),
        ]
        if self._key:
            fields.append(("Authorization", f"Bearer {self._key}"))
        return h11.Request(method="POST", target=PATHS[self._trial.dialect], headers=fields)

    def _take_head(self, head: h11.Response) -> None:
        self.outcome.status = head.status_code
        for name, value in head.headers:
            if name == b"x-request-id":
                self.outcome.request_id = value.decode("latin-1").removeprefix("req_")

    def _sum_up(self, began: float) -> None:
        read, outcome = self._reading, self.outcome
        outcome.total_s = self._clock() - began
        outcome.error = outcome.error or read.error
        outcome.ttft_s = self._first or None
        outcome.prompt_tokens = read.prompt_tokens
        outcome.cached_tokens = read.cached_tokens
        outcome.output_tokens = read.output_tokens
        outcome.finish_reason = read.finish_reason
        count, span = read.output_tokens or 0, self._last - self._first
        if count >= 2 and span > 0:
            outcome.tokens_per_s = (count - 1) / span
