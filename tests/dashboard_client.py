"""A client of the dashboard that sends exactly the bytes it is given, and sees every byte back."""

import asyncio
from dataclasses import dataclass, field

from dashboard_scene import Scene

from multiproxy.supervisor.dashboard import Dashboard

BOOT = "boot-1"


@dataclass
class Answer:
    """One answer as it was on the wire. Header names are lower case."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()


@dataclass
class Client:
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    rest: bytes = field(default=b"")

    def send(self, data: bytes) -> None:
        self.writer.write(data)

    async def head(self) -> Answer:
        raw = (await self.reader.readuntil(b"\r\n\r\n")).decode()
        first, *lines = raw.strip().split("\r\n")
        headers = {
            name.lower(): value for name, _, value in (line.partition(": ") for line in lines)
        }
        return Answer(int(first.split()[1]), headers, b"")

    async def answer(self, *, to_head: bool = False) -> Answer:
        answer = await self.head()
        if not to_head:
            answer.body = await self.reader.readexactly(int(answer.headers["content-length"]))
        return answer

    async def event(self) -> str:
        """The next message of an event stream, taken out of its chunks."""
        while b"\n\n" not in self.rest:
            size = int(await self.reader.readuntil(b"\r\n"), 16)
            self.rest += (await self.reader.readexactly(size + 2))[:-2]
            if not size:
                raise EOFError
        message, _, self.rest = self.rest.partition(b"\n\n")
        return message.decode()

    async def at_end(self) -> bool:
        """Whether the other side closes, with nothing more to say."""
        try:
            return await self.reader.read() == b""
        except ConnectionResetError:
            return True

    def close(self) -> None:
        self.writer.close()


@dataclass
class Served:
    dashboard: Dashboard
    scene: Scene
    port: int
    clients: list[Client] = field(default_factory=list)

    async def connect(self) -> Client:
        client = Client(*await asyncio.open_connection("127.0.0.1", self.port, limit=1 << 22))
        self.clients.append(client)
        return client

    async def ask(self, data: bytes) -> Answer:
        client = await self.connect()
        client.send(data)
        return await client.answer(to_head=data.startswith(b"HEAD"))

    async def get(self, target: str, **headers: str) -> Answer:
        return await self.ask(request("GET", target, **headers))

    async def post(self, target: str, body: bytes, **headers: str) -> Answer:
        form = {"content_type": "application/x-www-form-urlencoded"} | headers
        return await self.ask(request("POST", target, body, **form))


def request(method: str, target: str, body: bytes = b"", **headers: str) -> bytes:
    """The bytes of a well-formed request; header names are written with underscores."""
    fields = {"host": "localhost"} | headers
    if method == "POST":
        fields["content_length"] = str(len(body))
    lines = [f"{name.replace('_', '-')}: {value}" for name, value in fields.items()]
    return "\r\n".join([f"{method} {target} HTTP/1.1", *lines, "", ""]).encode() + body
