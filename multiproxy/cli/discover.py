"""Which inference servers answer: on the usual ports of this machine, or at given URLs."""

import asyncio
import ssl
from collections.abc import Iterable
from dataclasses import dataclass

from multiproxy.config import Url
from multiproxy.scoreboard import BackendState
from multiproxy.supervisor.facts import parse
from multiproxy.supervisor.look import facts_seen, look
from multiproxy.supervisor.probe_http import Answer, ProbeConnection
from multiproxy.supervisor.verdict import Sight, Standing, judge

TIMEOUT_S = 2.0  # for each question: they are on this machine, or somebody waits
OURSELVES = "MultiProxy"
PORTS = (
    *range(8080, 8090),  # llama-server, and what people start beside it
    *range(8000, 8004),  # vLLM; MultiProxy itself
    11434,  # Ollama
    1234,  # LM Studio
)
# What servers say of their models -> what they are.
_OWNERS = {
    "llamacpp": "llama-server",
    "vllm": "vLLM",
    "library": "Ollama",
    "organization_owner": "LM Studio",
    "multiproxy": OURSELVES,
}


@dataclass(frozen=True, slots=True)
class Server:
    """One server. ``slots`` and ``context_size`` (tokens per slot) are 0 when unknown.

    ``kind`` is its program's name, or "server". ``problem`` is why it cannot be used now.
    """

    url: Url
    kind: str = "server"
    models: tuple[str, ...] = ()
    slots: int = 0
    context_size: int = 0
    problem: str = ""


def on_this_machine(ports: Iterable[int] = PORTS) -> list[Server]:
    """What answers on the ports, in their order; MultiProxy among them if it runs."""
    found = at([Url("http", "127.0.0.1", port) for port in ports])
    return [server for server in found if server.models or server.kind != "server"]


def at(urls: Iterable[Url]) -> list[Server]:
    """What is at each URL, asked all at once."""

    async def ask_all() -> list[Server]:
        return await asyncio.gather(*map(_ask, urls))

    return asyncio.run(ask_all())


async def _ask(url: Url) -> Server:
    tls = ssl.create_default_context() if url.scheme == "https" else None
    connection = ProbeConnection(url, None, tls)
    try:
        sight = await look(connection, TIMEOUT_S)
    finally:
        connection.close()
    standing = judge(sight, Standing(), alive=False)
    problem = "" if standing.state in _USABLE else standing.reason
    facts = facts_seen(sight)
    if facts is None:
        return Server(url, _kind(sight), problem=problem)
    models = tuple(model["id"] for model in facts["models"])
    return Server(url, _kind(sight), models, facts["slots"], facts["n_ctx"], problem)


_USABLE = (BackendState.UP, BackendState.SLEEPING)


def _kind(sight: Sight) -> str:
    if any(isinstance(part, Answer) and part.server == b"llama.cpp" for part in sight):
        return "llama-server"
    answer = parse(sight.models.body) if isinstance(sight.models, Answer) else None
    entries = (answer or {}).get("data")
    first = entries[0] if isinstance(entries, list) and entries else None
    owner = first.get("owned_by") if isinstance(first, dict) else None
    return _OWNERS.get(owner, "server") if isinstance(owner, str) else "server"
