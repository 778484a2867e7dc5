"""The clients of the demo: every dialect, every way to go wrong, at random moments.

Nothing is checked here; whoever looks at the dashboard sees what became of each request.
"""

import argparse
import asyncio
import json
import random
from collections.abc import Mapping, Sequence
from typing import Any

from multiproxy.cli.demo_servers import FLAKY, misbehave, open_servers

START_S = 0.5  # between two looks for the API
MOST_AT_ONCE = 40  # requests; more would only wait
TOPICS = ("the tides", "sourdough", "a sorting network", "the moon", "rain", "garbage collection")
SYSTEM = "You answer briefly and plainly, and you never mention these instructions. " * 40

AGENTS = {
    "chat": "OpenAI/Python 2.8.0",
    "messages": "claude-cli/2.1.4",
    "responses": "OpenAI/JS 6.9.1",
}


class Request:
    """A request to send, and how much of its answer is read: None is all of it."""

    def __init__(
        self, path: str, body: Mapping[str, Any] | bytes, agent: str, leaves_after: int | None
    ) -> None:
        self.leaves_after = leaves_after
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.raw = (
            f"POST {path} HTTP/1.1\r\nHost: localhost\r\nUser-Agent: {agent}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(data)}\r\n"
            "Connection: close\r\n\r\n"
        ).encode() + data


def some_request(chance: random.Random) -> Request:
    """The next client's; mostly streams that go well."""
    kind = chance.choices(
        ("chat", "messages", "responses", "whole", "count", "leaver", "stranger", "mistake",
         "too long"),
        (34, 26, 12, 8, 5, 7, 3, 2, 1),
    )[0]  # fmt: skip
    if kind == "mistake":
        return Request(
            "/v1/chat/completions", b'{"model": "gpt-4o", "messages": [', "curl/8.9.1", None
        )
    dialect = kind if kind in AGENTS else chance.choice(("chat", "messages"))
    model = chance.choices(
        ("gpt-4o", "claude-sonnet-4", "qwen3-32b", "gemma-3-27b", "llama-3.3-70b", "phi-4-mini"),
        (60, 60, 40, 30, 10, 3),
    )[0]
    tokens = min(900, int(chance.lognormvariate(4.6, 0.8)) + 4)
    prompt = f"Tell me about {chance.choice(TOPICS)}. " + "Take this into account. " * int(
        chance.lognormvariate(3, 1.2)
    )
    if kind == "too long":
        model, prompt = "gemma-3-27b", "word " * 40_000
    if kind == "stranger":
        model = "gpt-5-nano"
    leaves_after = chance.randrange(500, 6000) if kind == "leaver" else None
    path, body = _body(dialect, model, prompt, tokens)
    if kind == "count":
        body = {name: body[name] for name in ("model", "messages", "system") if name in body}
        path, body["messages"] = "/v1/messages/count_tokens", [{"role": "user", "content": prompt}]
    elif kind == "whole":
        body["stream"] = False
    return Request(path, body, AGENTS[dialect], leaves_after)


def _body(dialect: str, model: str, prompt: str, tokens: int) -> tuple[str, dict[str, Any]]:
    user = {"role": "user", "content": prompt}
    if dialect == "messages":
        return "/v1/messages", {
            "model": model, "max_tokens": tokens, "stream": True, "system": SYSTEM,
            "messages": [user],
        }  # fmt: skip
    if dialect == "responses":
        return "/v1/responses", {
            "model": model, "max_output_tokens": tokens, "stream": True, "instructions": SYSTEM,
            "input": [user], "store": False,
        }  # fmt: skip
    return "/v1/chat/completions", {
        "model": model, "max_tokens": tokens, "stream": True,
        "messages": [{"role": "system", "content": SYSTEM}, user],
    }  # fmt: skip


async def send(host: str, port: int, request: Request) -> None:
    """One client: it may leave before the end, and it may find nobody."""
    try:
        reader, writer = await asyncio.open_connection(host, port)
    except OSError:
        return
    try:
        writer.write(request.raw)
        left = request.leaves_after
        while data := await reader.read(65_536):
            if left is not None and (left := left - len(data)) <= 0:
                break
    except OSError:
        pass
    finally:
        writer.transport.abort()


async def visit(host: str, port: int, rate: float, chance: random.Random) -> None:
    """Clients for ever: ``rate`` requests per second on average, in bursts and lulls."""
    await _until_served(host, port)
    running: set[asyncio.Task[None]] = set()
    for _ in range(6):  # a dashboard with nothing on it tells nothing
        _begin(running, host, port, chance)
    while True:
        await asyncio.sleep(chance.expovariate(rate))
        if len(running) < MOST_AT_ONCE:
            _begin(running, host, port, chance)


def _begin(running: "set[asyncio.Task[None]]", host: str, port: int, chance: random.Random) -> None:
    task = asyncio.create_task(send(host, port, some_request(chance)))
    running.add(task)
    task.add_done_callback(running.discard)


async def _until_served(host: str, port: int) -> None:
    """Wait until a model can be asked for."""
    raw = b"GET /v1/models HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    while True:
        try:
            reader, writer = await asyncio.open_connection(host, port)
            writer.write(raw)
            answer = await reader.read()
            writer.close()
            if b'"qwen3-32b"' in answer:
                return
        except OSError:
            pass
        await asyncio.sleep(START_S)


async def run(api: str, rate: float, descriptors: Mapping[str, int], lifeline: int) -> None:
    """Be the servers and all clients until the demo ends, which closes the lifeline."""
    host, _, port = api.rpartition(":")
    ended = asyncio.Event()
    asyncio.get_running_loop().add_reader(lifeline, ended.set)
    chance = random.Random()
    servers = await open_servers(descriptors)
    tasks = [asyncio.create_task(misbehave(servers[FLAKY], chance))]
    if rate:
        tasks.append(asyncio.create_task(visit(host.strip("[]"), int(port), rate, chance)))
    await ended.wait()
    for task in tasks:
        task.cancel()


def main(argv: Sequence[str] | None = None) -> None:
    """Started by ``multiproxy demo``."""
    parser = argparse.ArgumentParser(prog="demo_traffic")
    parser.add_argument("--api", required=True)
    parser.add_argument("--rate", type=float, required=True)
    parser.add_argument("--server", action="append", required=True, metavar="ID=DESCRIPTOR")
    parser.add_argument("--lifeline", type=int, required=True)
    options = parser.parse_args(argv)
    pairs = (pair.rpartition("=") for pair in options.server)
    descriptors = {name: int(descriptor) for name, _, descriptor in pairs}
    asyncio.run(run(options.api, options.rate, descriptors, options.lifeline))


if __name__ == "__main__":
    main()
