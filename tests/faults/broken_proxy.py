"""A proxy that breaks answers on purpose, so that the judge is seen to catch it.

The prefix of a request's nonce names what is done to its answer (see ``DEFECTS``); any other
prefix is served honestly. It asks one backend, with a connection per request, and understands
just enough of Chat streams to harm them:

    python -m faults.broken_proxy LISTEN_PORT BACKEND_PORT
"""

import asyncio
import re
import sys
from collections.abc import AsyncIterator, Callable

NONCE = re.compile(rb"@echo (\w[\w-]*)\.")
LENGTH = re.compile(rb"content-length: (\d+)", re.IGNORECASE)
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
END = b"0\r\n\r\n"
DONE = b"data: [DONE]\n\n"
ERROR = b'data: {"error":{"message":"cut","type":"upstream_error","code":"stream_cut"}}\n\n'
DELAY_S = 6.0  # of what "waits": more than a load's limit for a hang
POINT = 4  # the event at which it happens: a token of every answer

Events = list[bytes]


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def stream(events: Events) -> bytes:
    return HEAD + b"".join(map(chunk, events)) + END


def whole(status: bytes, body: bytes) -> bytes:
    return b"HTTP/1.1 %b\r\nContent-Length: %d\r\n\r\n%b" % (status, len(body), body)


def _without_byte(events: Events) -> bytes:
    raw = stream(events)
    return raw[:1000] + raw[1001:]


def _renamed(events: Events) -> bytes:
    return stream([event.replace(b".", b"x.", 1) for event in events])


# What is sent instead of the answer. Nothing follows it: "hangs" waits, the others close.
DEFECTS: dict[str, Callable[[Events], bytes]] = {
    "ends-early": lambda e: stream(e[:POINT]),
    "ends-early-with-done": lambda e: stream([*e[:POINT], DONE]),
    "ends-without-done": lambda e: stream(e[:-1]),
    "loses-a-piece": lambda e: stream(e[:POINT] + e[POINT + 1 :]),
    "doubles-a-piece": lambda e: stream(e[: POINT + 1] + e[POINT:]),
    "turns-pieces": lambda e: stream([*e[:POINT], e[POINT + 1], e[POINT], *e[POINT + 2 :]]),
    "starts-anew": lambda e: stream(e[:POINT] + e),
    "drops-byte-1000": _without_byte,
    "answers-twice": lambda e: stream(e) + stream(e),
    "goes-on-behind-done": lambda e: stream([*e, e[POINT]]),
    "error-and-done": lambda e: stream([*e[:POINT], ERROR, DONE]),
    "two-errors": lambda e: HEAD + b"".join(map(chunk, [*e[:POINT], ERROR, ERROR])),
    "says-nothing": lambda e: stream([]),
    "says-nothing-at-all": lambda e: whole(b"200 OK", b""),
    "sends-a-page": lambda e: whole(b"502 Bad Gateway", b"<h1>502</h1>"),
    "miscounts": lambda e: stream(
        [re.sub(rb'completion_tokens":\d+', b'completion_tokens":1', event) for event in e]
    ),
    "renames": _renamed,
    "refuses": lambda e: whole(b"503 Busy", b'{"error":{"message":"full","code":503}}'),
    "announces": lambda e: HEAD + b"".join(map(chunk, [*e[:POINT], ERROR])),
    "cuts": lambda e: HEAD + b"".join(map(chunk, e[:POINT])),
    "cuts-in-a-chunk": lambda e: stream(e)[:-200],
    "drops": lambda e: b"",
    "hangs": lambda e: HEAD + b"".join(map(chunk, e[:POINT])),
    "swallows": lambda e: b"",
}
WAITS = ("hangs", "swallows")
SWAPS = "swaps"  # two answers change places


class BrokenProxy:
    """The listener."""

    def __init__(self, backend: int) -> None:
        self._backend = backend
        self._pair: asyncio.Future[bytes] | None = None
        self._own = b""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async for head, body in _requests(reader):
                found = NONCE.search(body)
                name = found[1].decode() if found else ""
                events = await self._ask(head, body)
                if name == SWAPS:
                    writer.write(await self._swapped(stream(events)))
                elif name == "waits":
                    await asyncio.sleep(DELAY_S)
                    writer.write(stream(events))
                elif name in DEFECTS:
                    writer.write(DEFECTS[name](events))
                    if name in WAITS:
                        await reader.read()
                    break
                else:
                    writer.write(stream(events))
                await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def _swapped(self, own: bytes) -> bytes:
        """Give away one's own answer for the next one's."""
        if self._pair is None:
            self._pair, self._own = asyncio.get_running_loop().create_future(), own
            return await self._pair
        pair, self._pair = self._pair, None
        pair.set_result(own)
        return self._own

    async def _ask(self, head: bytes, body: bytes) -> Events:
        reader, writer = await asyncio.open_connection("127.0.0.1", self._backend)
        writer.write(head + body)
        await reader.readuntil(b"\r\n\r\n")
        payload = b""
        while size := int(await reader.readuntil(b"\r\n"), 16):
            payload += (await reader.readexactly(size + 2))[:-2]
        writer.close()
        return [event + b"\n\n" for event in payload.split(b"\n\n")[:-1]]


async def _requests(reader: asyncio.StreamReader) -> AsyncIterator[tuple[bytes, bytes]]:
    while True:
        head = await reader.readuntil(b"\r\n\r\n")
        found = LENGTH.search(head)
        assert found is not None
        yield head, await reader.readexactly(int(found[1]))


async def main(port: int, backend: int) -> None:
    server = await asyncio.start_server(BrokenProxy(backend).serve, "127.0.0.1", port)
    print("serving", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), int(sys.argv[2])))
