"""The Config page: what MultiProxy runs with, and how a client is connected to it."""

from multiproxy.supervisor.dashboard.overview import SERVING
from multiproxy.supervisor.dashboard.snapshot import Snapshot

Data = dict[str, object]


def head(snapshot: Snapshot) -> Data:
    return {"health": snapshot.health}


def state(snapshot: Snapshot) -> Data:
    return {"health": snapshot.health, "backends": len(snapshot.backends)}


def clients(snapshot: Snapshot) -> Data:
    """``base`` is the address without /v1, as Anthropic's clients want it."""
    url = snapshot.health.api_url or "http://127.0.0.1:8001/v1"
    serving = [b for b in snapshot.backends if b.state in SERVING and b.models]
    return {
        "url": url,
        "base": url.removesuffix("/v1"),
        "model": serving[0].models[0] if serving else "default",
    }
