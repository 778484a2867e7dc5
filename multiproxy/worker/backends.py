"""The backends as one worker sees them: connection pools, heads, and what each reported."""

import time
from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any

import orjson

from multiproxy import __version__
from multiproxy._http.pool import OPEN_SPACING_S, Pool
from multiproxy._http.serializer import BackendHeads
from multiproxy._http.tls import backend_context
from multiproxy.config import Config, Url
from multiproxy.dialects.count import TokenRatio
from multiproxy.dialects.policy import Policy
from multiproxy.routing.table import Reported, Route, Table
from multiproxy.scoreboard import Scoreboard

_SPACING_NS = int(OPEN_SPACING_S * 1e9)


class Backend:
    """One backend: its pool and the constant part of its request heads."""

    def __init__(self, index: int, id: str, url: Url, pool: Pool, api_key: str | None) -> None:
        self.index = index
        self.id = id
        self.pool = pool
        self.heads = BackendHeads(url.authority, url.prefix, api_key, __version__)


class Backends:
    """All backends of one configuration, and the routes that follow from their reports.

    ``indices`` maps ids to rows of the backend board, ``urls`` those of servers that the
    supervisor starts to their addresses. ``refresh`` is cheap when nothing changed.
    """

    def __init__(
        self,
        config: Config,
        board: Scoreboard,
        worker: int,
        indices: Mapping[str, int],
        urls: Mapping[str, Url],
    ) -> None:
        self._config = config
        self._board = board
        self._worker = worker
        self._indices = indices
        self._version = -1
        self.by_index: dict[int, Backend] = {}
        self.facts: dict[int, dict[str, Any]] = {}
        self.slots: dict[int, int] = {}
        self._n_ctx: dict[int, int] = {}
        self._ratios: dict[str, TokenRatio] = {}  # by configured or reported names: bounded
        natives = (backend for backend in config.backends if backend.dialects == "native")
        self.native = frozenset(indices[backend.id] for backend in natives)
        options = asdict(config.translation)
        self._policies = {
            index: Policy(native=index in self.native, **options) for index in indices.values()
        }
        self._unfolded = frozenset(model.name for model in config.models if not model.fold)
        self._scaled = {model.name: model.scale_window for model in config.models}
        self._most = {indices[each.id]: each.max_in_flight for each in config.backends}
        self._tags = {each.id: frozenset(each.tags) for each in config.backends}
        self.groups: dict[int, str] = {}  # of those with a command: see ``Summons``
        self.weights = {indices[backend.id]: backend.weight for backend in config.backends}
        for backend in config.backends:
            index = indices[backend.id]
            url = backend.url or urls[backend.id]
            if backend.command:
                self.groups[index] = backend.exclusive or ""
            pool = Pool(
                url.host,
                url.port,
                connect_timeout_s=config.timeouts.connect,
                pace=lambda index=index: self._pace(index),  # type: ignore[misc]
                tls=backend_context(backend.tls, url),
                server_name=backend.tls.server_name if backend.tls else None,
            )
            self.by_index[index] = Backend(index, backend.id, url, pool, backend.api_key)
        self.table = Table(config.models, config.default_model, indices, {}, self._tags)
        self.refresh()

    def refresh(self) -> bool:
        """Read the board again if the supervisor changed it; tells whether it had."""
        version = self._board.backends.version
        if version == self._version:
            return False
        self._version = version
        reports = {}
        for index in self.by_index:
            row = self._board.backends.read(index)
            most = self._most[index]
            self.slots[index] = min(row.slots or most, most) if most else row.slots
            self._n_ctx[index] = row.n_ctx
            facts = self._board.backends.facts(index)
            if facts:
                self.facts[index] = orjson.loads(facts)
                reports[index] = _reported(self.facts[index])
                self._policies[index] = _informed(self._policies[index], self.facts[index])
            if index in self.groups:
                reports[index] = _named(self.by_index[index].id, reports.get(index))
        self.table = Table(
            self._config.models, self._config.default_model, self._indices, reports, self._tags
        )
        return True

    def policy(self, index: int) -> Policy:
        """Return how requests are told to a backend, after what it reported of itself."""
        return self._policies[index]

    def folds(self, model: str) -> bool:
        """Whether whole Chat answers of a model are asked for as streams."""
        return model not in self._unfolded

    def windows(self, route: Route) -> dict[int, int]:
        """Return the tokens per slot of a route's backends, as far as they are known."""
        known = self._n_ctx
        return {index: known[index] for index in route.candidates if known.get(index)}

    def scale(self, model: str, index: int) -> float:
        """Return what the counts of a backend's answers are multiplied with for the client."""
        window, told = self._n_ctx.get(index), self._scaled.get(model)
        return told / window if told and window else 1.0

    def ratio(self, model: str) -> TokenRatio:
        """Return the bytes per token seen with a model."""
        return self._ratios.setdefault(model, TokenRatio())

    async def is_refused(self, index: int) -> bool:
        """Whether a backend takes no connection at this moment."""
        backend = self.by_index.get(index)
        return backend is not None and await backend.pool.is_refused()

    def sweep(self, now: float) -> None:
        """Close connections that idled too long."""
        for backend in self.by_index.values():
            backend.pool.sweep(now)

    def close(self) -> None:
        """Close every idle connection."""
        for backend in self.by_index.values():
            backend.pool.close()

    def _pace(self, index: int) -> float:
        """Reserve the moment for one more connection to a backend; seconds until then.

        Workers announce their reservation first and look at the others' after, so of two
        that come at the same moment at least one sees the other and moves behind it.
        """
        load = self._board.load
        now = time.monotonic_ns()
        at = max(now, load.last_opened_of(self._worker, index) + _SPACING_NS)
        load.opened(self._worker, index, at)
        other = load.last_opened(index, besides=self._worker)
        if abs(at - other) < _SPACING_NS:
            at = other + _SPACING_NS
            load.opened(self._worker, index, at)
        return (at - now) / 1e9


def _informed(policy: Policy, facts: Mapping[str, Any]) -> Policy:
    modalities = facts.get("modalities")
    vision = modalities.get("vision") if isinstance(modalities, dict) else None
    return replace(
        policy,
        engine="llama.cpp" if facts.get("kind") == "llama.cpp" else "strict",
        vision=vision if isinstance(vision, bool) else None,
    )


def _reported(facts: Mapping[str, Any]) -> Reported:
    models = facts.get("models", ())
    return Reported(
        names=tuple(model["id"] for model in models),
        aliases=tuple(alias for model in models for alias in model.get("aliases", ())),
        many=bool(facts.get("router")),
    )


def _named(id: str, reported: Reported | None) -> Reported:
    """What a command's server goes by: its id, with which it can be asked for before it has
    ever run, and what it reported.
    """
    if reported is None:
        return Reported((id,))
    return replace(reported, names=tuple(dict.fromkeys((id, *reported.names))))


def parse_urls(urls: Mapping[str, str]) -> dict[str, Url]:
    """Return the addresses of servers of our own, ``http://host:port`` by id."""
    parsed = {}
    for id, url in urls.items():
        host, _, port = url.removeprefix("http://").rpartition(":")
        parsed[id] = Url("http", host.strip("[]"), int(port))
    return parsed
