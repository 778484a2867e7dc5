"""Thousands of clients that wait on their streams; a process of its own.

    python -m faults.idle_crowd PORT COUNT

Says ``open N`` once each has its first event, then what came of them when standard input closes:
how many were ended by the other side until then.
"""

import asyncio
import json
import resource
import sys

import uvloop

AT_ONCE = 50
BODY = json.dumps({"stream": True, "messages": [{"role": "user", "content": "@echo idle 100"}]})
REQUEST = (
    "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    f"Content-Length: {len(BODY)}\r\n\r\n{BODY}"
).encode()


class Waiting(asyncio.Protocol):
    """One client. ``began`` is done with its first event, or fails."""

    def __init__(self) -> None:
        self.began: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.has_ended = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self.transport = transport
        transport.write(REQUEST)

    def data_received(self, data: bytes) -> None:
        if b"data: {" in data and not self.began.done():
            self.began.set_result(None)

    def connection_lost(self, exc: Exception | None) -> None:
        self.has_ended = True
        if not self.began.done():
            self.began.set_exception(ConnectionError("ended before its first event"))


async def main(port: int, count: int) -> None:
    loop = asyncio.get_running_loop()
    turns = asyncio.Semaphore(AT_ONCE)

    async def begin(number: int) -> Waiting:
        # An address of its own for every thousand: a port pair is not used twice.
        source = (f"127.0.0.{2 + number // 1000}", 0)
        async with turns:
            _, client = await loop.create_connection(Waiting, "127.0.0.1", port, local_addr=source)
            await client.began
            return client

    clients = await asyncio.gather(*map(begin, range(count)))
    print(f"open {len(clients)}", flush=True)
    await loop.run_in_executor(None, sys.stdin.read)
    print(f"ended {sum(client.has_ended for client in clients)}", flush=True)
    for client in clients:
        client.transport.abort()
    await asyncio.sleep(0.1)


if __name__ == "__main__":
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    uvloop.run(main(int(sys.argv[1]), int(sys.argv[2])))
