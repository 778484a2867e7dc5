"""A client that hides nothing: one socket, the bytes as they come, no retries."""

import asyncio
import json
import re
import socket
import struct
from collections.abc import AsyncIterator
from dataclasses import dataclass, field


def chat(content: str, **more: object) -> dict[str, object]:
    return {"model": "demo", "stream": True, "messages": [{"role": "user", "content": content}],
            **more}  # fmt: skip


@dataclass
class Answer:
    """What one request came to. ``ended`` tells that its framing was complete."""

    status: int = 0
    head: bytes = b""
    body: bytes = b""
    ended: bool = False
    events: list[bytes] = field(default_factory=list)

    @property
    def outcome(self) -> str:
        """One word: ok, error-before, error-after, or cut."""
        if not self.status:
            return "cut"
        if self.status != 200:
            return "error-before"
        if self.ended and (b"event-stream" not in self.head or self.events[-1:] == [b"[DONE]"]):
            return "ok"
        return "error-after" if b'"error"' in self.body else "cut"


class Client:
    """One connection to the API."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._answer = Answer()

    async def __aenter__(self) -> "Client":
        self.reader, self.writer = await asyncio.open_connection("127.0.0.1", self._port)
        return self

    async def __aexit__(self, *error: object) -> None:
        self.writer.close()
        try:
            await self.writer.wait_closed()
        except ConnectionError:
            pass

    def send(
        self, body: object, path: str = "/v1/chat/completions", *, key: str | None = None
    ) -> None:
        data = json.dumps(body).encode()
        field = b"" if key is None else b"Authorization: Bearer %b\r\n" % key.encode()
        self.writer.write(
            b"POST %b HTTP/1.1\r\nHost: localhost\r\n%bContent-Length: %d\r\n\r\n%b"
            % (path.encode(), field, len(data), data)
        )

    async def until_content(self) -> None:
        """Read until the first token is there; ``receive`` goes on from there."""
        while b'"content":"' not in self._answer.body:
            assert await self._read_some(), "the answer ended"

    async def tokens(self) -> AsyncIterator[int]:
        """How many more tokens are there, each time that some came."""
        seen = 0
        while await self._read_some():
            count = self._answer.body.count(b'"content":"')
            yield count - seen
            seen = count

    async def until_error_or_end(self) -> None:
        """Read until the answer ended or told an error: what lingers behind it is not awaited."""
        while b'"error":{' not in self._answer.body and await self._read_some():
            pass

    async def receive(self) -> Answer:
        """Read one answer to its end, or to the connection's."""
        try:
            while await self._read_some():
                pass
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        answer, self._answer = self._answer, Answer()
        events = answer.body.split(b"\n\n")
        answer.events = [event[6:] for event in events if event.startswith(b"data: ")]
        return answer

    async def _read_some(self) -> bool:
        """Read the head, a chunk, or a body; tells whether there is more."""
        answer = self._answer
        if not answer.head:
            answer.head = await self.reader.readuntil(b"\r\n\r\n")
            answer.status = int(answer.head[9:12])
        elif b"chunked" in answer.head:
            size = int(await self.reader.readuntil(b"\r\n"), 16)
            answer.body += (await self.reader.readexactly(size + 2))[:-2]
            answer.ended = size == 0
        else:
            length = re.search(rb"Content-Length: (\d+)", answer.head)
            assert length is not None
            answer.body = await self.reader.readexactly(int(length[1]))
            answer.ended = True
        return not answer.ended

    def reset(self) -> None:
        """Leave with a RST."""
        sock = self.writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()


async def ask(
    port: int, body: object, path: str = "/v1/chat/completions", *, key: str | None = None
) -> Answer:
    """One request on a connection of its own."""
    try:
        async with Client(port) as client:
            client.send(body, path, key=key)
            return await client.receive()
    except ConnectionError:
        return Answer()
