"""The llama-servers of the demo, simulated, all in one process; one of them can misbehave."""

import asyncio
import random
import socket
from collections.abc import Mapping
from typing import Any

from multiproxy.simulator import Server, Settings

FAULT_S = 9.0  # between two misdeeds of the flaky server
FLAKY = "flaky"

SERVERS: Mapping[str, Mapping[str, Any]] = {  # by the backend's id: what its simulator is
    "gpu-a": {"model": "qwen3-32b", "tokens_per_second": 58, "prompt_tokens_per_second": 2800,
              "context_size": 32768},
    "gpu-b": {"model": "qwen3-32b", "tokens_per_second": 61, "prompt_tokens_per_second": 3000,
              "context_size": 32768},
    FLAKY: {"model": "qwen3-32b", "tokens_per_second": 45, "prompt_tokens_per_second": 1500,
            "context_size": 32768},
    "mac-studio": {"model": "gemma-3-27b", "slots": 2, "tokens_per_second": 22,
                   "prompt_tokens_per_second": 700, "context_size": 16384},
    "big-one": {"model": "llama-3.3-70b", "slots": 1, "tokens_per_second": 9,
                "prompt_tokens_per_second": 300, "load_time": 25},
    "sleeper": {"model": "phi-4-mini", "slots": 2, "tokens_per_second": 90, "sleep_idle_s": 8},
}  # fmt: skip

# What the flaky server does to its next answers; see the simulator's faults.
FAULTS: tuple[dict[str, Any], ...] = (
    {"kind": "cut", "count": 1},  # before anything was said: another server takes over
    {"kind": "cut", "count": 1, "reset": True, "after_events": 12},
    {"kind": "status", "status": 500, "count": 2},
    {"kind": "error-event", "count": 1, "after_events": 8},
    {"kind": "stall", "count": 1, "after_events": 20, "pings": True},
)


async def open_servers(descriptors: Mapping[str, int]) -> dict[str, Server]:
    """Start the servers on listening sockets that were inherited."""
    opened = {}
    for name, descriptor in descriptors.items():
        sock = socket.socket(fileno=descriptor)
        sock.setblocking(False)
        opened[name] = Server(Settings(**SERVERS[name]))
        await opened[name].listen("", 0, sock)
    return opened


async def misbehave(server: Server, chance: random.Random) -> None:
    """Do something wrong now and then, for ever."""
    while True:
        await asyncio.sleep(FAULT_S * chance.uniform(0.5, 1.5))
        server.set_faults([dict(chance.choice(FAULTS))])
