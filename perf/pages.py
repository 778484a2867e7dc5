"""How long every page and filter of the dashboard takes over a long history.

    python perf/pages.py [--requests 100000] [--limit-ms 200] [--asked 5]

The history is made up: requests of thirty days, their sums as the supervisor would have written
them. A real MultiProxy is started on it, and each address is asked a few times over HTTP. The
median of an address counts, so that other work on the machine does not; the slowest answer is
shown beside it.
"""

import argparse
import asyncio
import random
import re
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from html import unescape
from pathlib import Path
from statistics import median

ROOT = Path(__file__).parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from dashboard_scene import finished  # noqa: E402
from multiproxy_process import MultiProxyProcess  # noqa: E402

from multiproxy import simulator  # noqa: E402
from multiproxy.simulator import Settings  # noqa: E402
from multiproxy.supervisor.dashboard.views import FinishedView, Outcome  # noqa: E402
from multiproxy.supervisor.history import schema  # noqa: E402
from multiproxy.supervisor.history.store import Batch, Store  # noqa: E402
from multiproxy.supervisor.rollups.recorder import Recorder  # noqa: E402
from multiproxy.supervisor.rollups.totals import Counters  # noqa: E402

DAYS = 30
MODELS = ("qwen3-32b", "gemma-3-27b", "llama-3.3-70b", "nomic-embed")
KEYS = ("alice", "bob", "claude-code", "open-webui", "rag-batch")
ENDS = (*[Outcome.OK] * 20, Outcome.CLIENT_LEFT, Outcome.TIMEOUT, Outcome.REJECTED)
MOST_PAGES = 200
OLD = 1000  # number of a request of the first day that is still kept
OLDER = re.compile(r'href="(/requests\?[^"]*before=[^"]*)"')

ADDRESSES = (
    "/", "/?w=1h", "/?w=24h", "/?w=7d",
    "/backends?w=5m", "/backends?w=7d", "/models?w=5m", "/models?w=7d", "/config", "/metrics",
    "/requests", "/requests?status=ok", "/requests?status=failed", "/requests?status=retried",
    "/requests?status=left", "/requests?status=rejected", "/requests?model=gemma-3-27b",
    "/requests?backend=gpu-3", "/requests?key=bob", "/requests?q=alice",
    "/requests?q=10.0.3.7", "/requests?q=nothing+has+this", "/requests?key=rare",
    "/requests?model=qwen3-32b&backend=gpu-1&key=alice&status=failed&q=10.0",
    "/requests?model=nobody&status=failed",
    *(
        f"/usage?range={span}&by={group}&measure={measure}"
        for span in ("24h", "7d", "30d")
        for group in ("model", "backend", "key")
        for measure in ("spent", "requests")
    ),
    "/usage.csv?range=30d&by=key", "/usage.json?range=30d&by=model",
)  # fmt: skip


def exchanges(count: int, now: float) -> Iterator[FinishedView]:
    """Requests of the last days, oldest first."""
    chance = random.Random(1)
    for number in range(count):
        at = now - DAYS * 86_400 * (1 - number / count)
        total, prompt = chance.lognormvariate(0.5, 1), int(chance.lognormvariate(7, 1))
        yield finished(
            f"{number:012x}", at, total_s=total, outcome=chance.choice(ENDS),
            model=chance.choice(MODELS), backend=f"gpu-{chance.randrange(8)}",
            key="rare" if number in (7, count // 2) else chance.choice(KEYS),
            client=f"10.0.{chance.randrange(9)}.{chance.randrange(9)}", user_agent="openai/3.54",
            attempts=1 + (chance.random() < 0.02), prompt_tokens=prompt,
            cached_tokens=prompt // 2, output_tokens=chance.randrange(1, 900), ttft_s=total / 5,
            tokens_per_s=chance.gauss(60, 9), prefill_s=total / 6, decode_s=total / 2,
        )  # fmt: skip


def make_history(path: Path, count: int) -> float:
    """Write the file; the seconds it took per thousand requests, sums included."""
    store, recorder = Store(path), Recorder()
    store.open()
    taken, batch = 0.0, Batch()
    for number, exchange in enumerate(exchanges(count, time.time()), start=1):
        recorder.add(exchange)
        batch.requests.append(exchange)
        hour = int(exchange.ended_at // 3600) * 3600
        place = (hour, exchange.model, exchange.backend, exchange.key)
        batch.usage.setdefault(place, Counters()).add(exchange)
        if number % 1000 == 0 or number == count:
            batch.sums = [
                schema.sums_row(level.step, *changed)
                for level in recorder.stored_levels
                for changed in level.take_changed()
            ]
            begun = time.perf_counter()
            store.write(batch)
            taken += time.perf_counter() - begun
            batch = Batch()
    store.close()
    return taken / count * 1000


def fetch(url: str) -> tuple[float, str]:
    """How long it took, and the answer."""
    begun = time.perf_counter()
    with urllib.request.urlopen(url, timeout=30) as answer:
        text = answer.read().decode()
    return time.perf_counter() - begun, text


def measure(base: str, asked: int) -> dict[str, list[float]]:
    """Seconds of every answer, by address."""
    times = {path: [fetch(base + path)[0] for _ in range(asked)] for path in ADDRESSES}
    walk, path = [], "/requests"
    for _ in range(MOST_PAGES):
        seconds, html = fetch(base + path)
        walk.append(seconds)
        link = OLDER.search(html)
        if link is None:
            break
        path = unescape(link[1])
    times[f"/requests, {len(walk)} pages back, one by one"] = walk
    for name, path in {
        "/requests, 25 days back": f"/requests?before={time.time() - 25 * 86_400!r}_z",
        "/requests/{id}, of the first day": f"/requests/{OLD:012x}",
    }.items():
        times[name] = [fetch(base + path)[0] for _ in range(asked)]
    return times


def wait_until_loaded(base: str) -> None:
    while "Nothing was used" in fetch(base + "/usage?range=30d")[1]:
        time.sleep(0.05)


async def main(count: int, limit_ms: float, asked: int) -> int:
    server = await simulator.start(Settings())
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "history.db")
        write_s = await asyncio.to_thread(make_history, path, count)
        backends = [{"id": f"gpu-{i}", "url": f"http://127.0.0.1:{server.port}"} for i in range(8)]
        config = {"backends": backends, "history": str(path)}
        proxy = MultiProxyProcess(config, Path(folder), workers=1)
        try:
            await asyncio.to_thread(proxy.wait_until_ready)
            await asyncio.to_thread(wait_until_loaded, proxy.dashboard_url)
            times = await asyncio.to_thread(measure, proxy.dashboard_url, asked)
        finally:
            proxy.end()
        size = path.stat().st_size
    await server.close()
    for address, seconds in times.items():
        print(f"{1000 * median(seconds):7.1f} ms  (slowest {1000 * max(seconds):6.1f})  {address}")
    worst = 1000 * max(map(median, times.values()))
    print(
        f"{count:,} requests in {size / 1e6:.0f} MB, written at {1000 * write_s:.0f} ms per 1,000"
    )
    print(f"slowest of {len(times)} addresses: {worst:.0f} ms (median of {asked})")
    return 0 if worst <= limit_ms else 1


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--requests", type=int, default=100_000)
    parser.add_argument("--limit-ms", type=float, default=200.0)
    parser.add_argument("--asked", type=int, default=5)
    options = parser.parse_args()
    sys.exit(asyncio.run(main(options.requests, options.limit_ms, options.asked)))
