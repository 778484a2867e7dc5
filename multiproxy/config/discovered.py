"""Backends that stand for what DNS finds -> one backend for each server that was found."""

from collections.abc import Mapping
from dataclasses import replace
from typing import NamedTuple

from multiproxy.config.backend import Backend
from multiproxy.config.model import Config
from multiproxy.config.values import Url

_ID_LENGTH = 64


class Place(NamedTuple):
    """Where a server was found: an address, and its port."""

    host: str
    port: int


Places = Mapping[Url, tuple[Place, ...]]


def sought(config: Config) -> list[Url]:
    """The URLs that DNS has to be asked for, each once."""
    urls = (backend.url for backend in config.backends)
    return list(dict.fromkeys(url for url in urls if url is not None and url.found_by))


def expand(config: Config, places: Places) -> Config:
    """``config`` with plain addresses only.

    As long as nothing was found, the name itself is the address of one backend: it shows as down
    with the reason, and a model that lists it goes on having a backend.
    """
    ids: dict[str, list[str]] = {}
    backends: list[Backend] = []
    for backend in config.backends:
        found = _expanded(backend, places) if backend.url and backend.url.found_by else [backend]
        ids[backend.id] = [each.id for each in found]
        backends += found
    models = (
        replace(model, backends=tuple(new for old in model.backends for new in ids[old]))
        for model in config.models
    )
    return replace(config, backends=tuple(backends), models=tuple(models))


def _expanded(backend: Backend, places: Places) -> list[Backend]:
    assert backend.url is not None
    found = places.get(backend.url, ())
    plain = replace(backend.url, found_by="")
    if not found:
        return [replace(backend, url=replace(plain, port=plain.port or 80))]
    return [
        replace(
            backend,
            id=_id(backend.id, place, with_port=backend.url.found_by == "srv"),
            url=replace(plain, host=place.host, port=place.port),
        )
        for place in found
    ]


def _id(base: str, place: Place, *, with_port: bool) -> str:
    """The same address has the same id for ever, so that conversations stay where they are."""
    address = f"{place.host}:{place.port}" if with_port else place.host
    return f"{base[: _ID_LENGTH - 1 - len(address)].rstrip('.:-_')}-{address}"
