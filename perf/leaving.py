"""How soon a backend's connection is closed when a client leaves, over many clients.

    python perf/leaving.py [--count 1000]

Clients leave with FIN or RST while queued, in prefill or in decode. The backend is a simulator
in this process, the proxy a real one; a delay is the time from the client's close to the close
seen by the backend, both read from this process's clock.
"""

import argparse
import asyncio
import random
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from e2e.raw_client import Client, chat  # noqa: E402
from multiproxy_process import MultiProxyProcess  # noqa: E402

from multiproxy import simulator  # noqa: E402
from multiproxy.simulator import Settings  # noqa: E402

AT_ONCE = 8


async def main(count: int) -> int:
    settings = Settings(slots=AT_ONCE, prompt_tokens_per_second=200, tokens_per_second=100)
    server = await simulator.start(settings)
    config = {"backends": [{"id": "sim", "url": f"http://127.0.0.1:{server.port}"}]}
    with tempfile.TemporaryDirectory() as folder:
        proxy = MultiProxyProcess(config, Path(folder), workers=2)
        try:
            await asyncio.to_thread(proxy.wait_until_ready)
            delays = await measure(server, proxy.port, count)
        finally:
            proxy.end()
    await server.close()
    delays.sort()
    figures = {share: delays[min(int(share * count), count - 1)] for share in (0.5, 0.99, 1.0)}
    print(f"{count} clients left while their backend worked; its connection was closed after")
    print("  ".join(f"p{100 * share:g} {1000 * delay:.1f} ms" for share, delay in figures.items()))
    return 0 if figures[0.99] <= 0.25 else 1


async def measure(server: object, port: int, count: int) -> list[float]:
    """Let ``count`` clients come and leave, one backend generation each; the delays in s."""
    chance = random.Random(1)
    delays: list[float] = []
    for _ in range(count):
        before = server.facts.aborted
        async with Client(port) as client:
            client.send(chat("x" * chance.randrange(2_000), max_tokens=10_000, ignore_eos=True))
            while not server.engine.running:
                await asyncio.sleep(0.0005)
            await asyncio.sleep(chance.random() * 0.05)
            left = time.monotonic()
            if chance.random() < 0.5:
                client.reset()
            else:
                client.writer.close()
            while server.facts.aborted == before:
                await asyncio.sleep(0.0002)
            delays.append(time.monotonic() - left)
    return delays


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--count", type=int, default=1000)
    sys.exit(asyncio.run(main(parser.parse_args().count)))
