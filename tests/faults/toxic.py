"""A wire that is bad to a backend's answers, after Toxiproxy: it cuts, slices, delays and resets.

A process of its own, between MultiProxy and one backend. Each connection gets one of the toxics,
by the seed:

    python -m faults.toxic LISTEN_PORT BACKEND_PORT SEED TOXIC...
"""

import asyncio
import contextlib
import random
import socket
import struct
import sys

TOXICS = {
    "slicer": "one byte per write",
    "latency": "every piece comes up to 20 ms late",
    "bandwidth": "200 KiB per second, in pieces of 64 bytes",
    "slow_close": "the connection stays open for 100 ms behind its end",
    "limit_data": "FIN behind some bytes",
    "reset_peer": "RST behind some bytes",
}
WHOLE = ("slicer", "latency", "bandwidth", "slow_close")  # every byte arrives
PROBES = 1_500  # bytes that pass whatever happens: the answers to a probe


class Wire:
    """The listener; each connection through it has one toxic."""

    def __init__(self, backend: int, seed: int, toxics: list[str]) -> None:
        self._backend = backend
        self._chance = random.Random(seed)
        self._toxics = toxics
        self._tasks: set[asyncio.Task[None]] = set()  # else nobody has them, once a peer is gone

    def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Carry one connection in a task of its own."""
        task = asyncio.create_task(self._carry(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        toxic = self._chance.choice(self._toxics)
        most = PROBES + self._chance.randrange(8_000) if toxic not in WHOLE else sys.maxsize
        try:
            theirs, ours = await asyncio.open_connection("127.0.0.1", self._backend)
        except OSError:
            writer.close()
            return
        asking = asyncio.create_task(self._copy(reader, ours))
        try:
            while most > 0 and (piece := await theirs.read(4096)):
                piece, most = piece[:most], most - len(piece)
                await self._send(piece, writer, toxic)
        except (ConnectionError, asyncio.CancelledError):
            pass
        finally:
            if toxic == "slow_close":
                await asyncio.sleep(0.1)
            if toxic == "reset_peer":
                sock = writer.get_extra_info("socket")
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                writer.transport.abort()
            for each in (writer, ours):
                each.close()
            asking.cancel()

    async def _send(self, piece: bytes, writer: asyncio.StreamWriter, toxic: str) -> None:
        if toxic == "latency":
            await asyncio.sleep(self._chance.random() * 0.02)
        size = {"slicer": 1, "bandwidth": 64}.get(toxic, len(piece))
        for at in range(0, len(piece), size):
            writer.write(piece[at : at + size])
            if toxic in ("slicer", "bandwidth"):  # a turn of the loop, so that it is a packet
                await asyncio.sleep(64 / 204_800 if toxic == "bandwidth" else 0)
        await writer.drain()

    async def _copy(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while piece := await reader.read(65536):
                writer.write(piece)
            writer.write_eof()


async def main(port: int, backend: int, seed: int, toxics: list[str]) -> None:
    wire = Wire(backend, seed, toxics)
    server = await asyncio.start_server(wire.accept, "127.0.0.1", port)
    print("carrying", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    listen, behind, the_seed = map(int, sys.argv[1:4])
    asyncio.run(main(listen, behind, the_seed, sys.argv[4:] or list(TOXICS)))
