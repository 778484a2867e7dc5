"""The names that clients may ask for and where they go, for the dashboard.

Configured ones go where the workers' own table sends them. Pure: nothing is asked of a backend.
"""

from collections.abc import Mapping, Sequence

from multiproxy.config import Config, Model
from multiproxy.routing.table import Reported, Table
from multiproxy.supervisor.backend_rows import Row
from multiproxy.supervisor.dashboard.views import ModelView
from multiproxy.supervisor.facts import Json


def model_views(config: Config, rows: Sequence[Row], facts: Mapping[int, Json]) -> list[ModelView]:
    """``rows`` are the backends in use, ``facts`` what those said that answered, by index."""
    if not config.models:
        return _reported(config.default_model, rows, facts)
    ids = {row.index: row.id for row in rows}
    reports = {row.index: report(row, facts.get(row.index)) for row in rows}
    table = Table(
        config.models,
        config.default_model,
        {id: index for index, id in ids.items()},
        {index: said for index, said in reports.items() if said is not None},
        {row.id: frozenset(row.backend.tags) for row in rows},
    )
    default = table.lookup(config.default_model) if config.default_model else None
    found = []
    for model in config.models:
        route = table.lookup(model.name)
        candidates = route.candidates if route else ()
        is_default = default is not None and default.model == model.name
        found.append(_configured(model, tuple(ids[each] for each in candidates), is_default))
    return found


def report(row: Row, facts: Json | None) -> Reported | None:
    """What a backend says that it serves; a command's is known by its id before it has run."""
    own = (row.id,) if row.backend.command else ()
    if facts is None:
        return Reported(own) if own else None
    models = facts["models"]
    return Reported(
        tuple(dict.fromkeys((*own, *(model["id"] for model in models)))),
        tuple(alias for model in models for alias in model.get("aliases", ())),
        many=bool(facts.get("router")),
    )


def _configured(model: Model, backends: tuple[str, ...], is_default: bool) -> ModelView:
    return ModelView(
        model.name,
        backends,
        model.aliases,
        tuple((arm.model, arm.weight) for arm in model.split),
        model.fallback,
        model.mirror.model if model.mirror else "",
        model.send_as or "",
        is_default,
    )


def _reported(
    default: str | None, rows: Sequence[Row], facts: Mapping[int, Json]
) -> list[ModelView]:
    backends: dict[str, list[str]] = {}
    aliases: dict[str, dict[str, None]] = {}
    for row in rows:
        said = report(row, facts.get(row.index))
        for name in said.names if said else ():
            backends.setdefault(name, []).append(row.id)
        for model in facts.get(row.index, {}).get("models", ()):
            aliases.setdefault(model["id"], {}).update(dict.fromkeys(model.get("aliases", ())))
    return [
        ModelView(name, tuple(ids), tuple(aliases.get(name, ())), is_default=name == default)
        for name, ids in backends.items()
    ]
