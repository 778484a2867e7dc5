"""A requested model name -> the model that serves it and the backends that may.

Exact names first, then aliases, then wildcards (the longest pattern wins), then what the
backends report, then the default. Built anew whenever the configuration or a backend's
report changes; a look-up is a dict access for every name seen before.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from multiproxy.config import Mirror, Model, matching
from multiproxy.routing.affinity import arm_of

_NO_TAGS: frozenset[str] = frozenset()
MAX_REMEMBERED = 1_000  # look-ups of wildcard and unknown names, which clients make up


@dataclass(frozen=True, slots=True)
class Reported:
    """What one backend says of itself: the model names and aliases it answers to.

    ``many`` tells that it serves several models (llama-server's router mode) and so needs
    a name that it knows; any other llama-server ignores the name.
    """

    names: tuple[str, ...]
    aliases: tuple[str, ...] = ()
    many: bool = False


@dataclass(frozen=True, slots=True)
class Route:
    """Where a request may go. ``candidates`` are backend indices in configured order.

    ``send_as`` maps a backend index to the model name it must be sent; one that is not in
    it gets the name as requested. ``fallback`` names the models that serve instead when none
    of the candidates can; ``arms`` are the routes among which conversations are split, with
    their weights, and ``split`` is the model that was split for an arm. ``mirror`` tells who gets
    copies of what was answered.
    """

    model: str
    candidates: tuple[int, ...]
    send_as: Mapping[int, str] = field(default_factory=dict)
    fallback: tuple[str, ...] = ()
    arms: "tuple[tuple[Route, int], ...]" = ()
    split: str = ""
    mirror: Mirror | None = None

    def arm(self, key: int) -> "Route":
        """Return the route of a conversation: always the same, unless its arm has no backends."""
        arms = [(route, weight) for route, weight in self.arms if route.candidates and weight]
        if not arms:
            return self
        return arms[arm_of(key, [weight for _, weight in arms])][0]


class Table:
    """The routes of one configuration and one set of reports.

    ``indices`` maps backend ids to backend indices in configured order, ``reports`` backend
    indices to what they said last; a backend that never answered is not in it. ``tags`` maps
    ids to the words that models may choose backends by.
    """

    def __init__(
        self,
        models: Sequence[Model],
        default_model: str | None,
        indices: Mapping[str, int],
        reports: Mapping[int, Reported],
        tags: Mapping[str, frozenset[str]] | None = None,
    ) -> None:
        self._tags = tags or {}
        self._exact: dict[str, Route] = {}
        self._patterns: list[tuple[re.Pattern[str], Route]] = []
        self._remembered: dict[str, Route | None] = {}
        if models:
            self._add_configured(models, indices, reports)
        else:
            self._add_reported(indices, reports)
        default = self.lookup(default_model) if default_model is not None else None
        if default is None and default_model is not None and not models:
            # The default was not reported yet: until one is, anybody may have it.
            default = Route(default_model, tuple(indices.values()))
        self._default = default
        self._remembered.clear()
        routes = {id(route): route for route in self._exact.values()}
        self.models = list({route.model: route for route in routes.values()}.values())

    def resolve(self, name: str | None) -> Route | None:
        """Return the route for a requested name; None when nobody serves it.

        Without a name: the default model, else the only model there is.
        """
        if name is None:
            if self._default is None and len(self.models) == 1:
                return self.models[0]
            return self._default
        return self.lookup(name) or self._default

    def lookup(self, name: str) -> Route | None:
        """Return the route for a name that is known without the default."""
        route = self._exact.get(name)
        if route is not None:
            return route
        if name not in self._remembered:
            if len(self._remembered) >= MAX_REMEMBERED:
                self._remembered.clear()
            self._remembered[name] = next(
                (route for pattern, route in self._patterns if pattern.fullmatch(name)), None
            )
        return self._remembered[name]

    def _add_configured(
        self,
        models: Sequence[Model],
        indices: Mapping[str, int],
        reports: Mapping[int, Reported],
    ) -> None:
        patterns: list[tuple[str, Route]] = []
        aliases: list[tuple[str, Route]] = []
        for model in models:
            candidates = self._candidates(model, indices, reports)
            send_as = _names_to_send(model, candidates, reports)
            self._exact[model.name] = Route(
                model.name, candidates, send_as, model.fallback, mirror=model.mirror
            )
        for model in models:
            if model.split:
                arms = tuple((self._arm(model, arm.model), arm.weight) for arm in model.split)
                candidates = tuple({index: None for arm, _ in arms for index in arm.candidates})
                route = Route(model.name, candidates, {}, model.fallback, arms)
                self._exact[model.name] = route
            for alias in model.aliases:
                route = self._exact[model.name]
                (patterns if "*" in alias else aliases).append((alias, route))
        for alias, route in aliases:
            self._exact.setdefault(alias, route)
        patterns.sort(key=lambda item: len(item[0]), reverse=True)
        self._patterns = [(matching([pattern]), route) for pattern, route in patterns]

    def _arm(self, split: Model, name: str) -> Route:
        """One part of a split; what mirrors the split mirrors its parts that have no own mirror."""
        route = self._exact[name]
        return replace(route, split=split.name, mirror=route.mirror or split.mirror)

    def _candidates(
        self, model: Model, indices: Mapping[str, int], reports: Mapping[int, Reported]
    ) -> tuple[int, ...]:
        wanted = frozenset(model.tags)
        tagged = [id for id in model.backends or indices if wanted <= self._tags.get(id, _NO_TAGS)]
        if model.backends or model.tags:
            return tuple(indices[id] for id in tagged)
        return tuple(
            index
            for index in indices.values()
            if index in reports and model.name in (*reports[index].names, *reports[index].aliases)
        )

    def _add_reported(self, indices: Mapping[str, int], reports: Mapping[int, Reported]) -> None:
        owners: dict[str, list[int]] = {}
        aliases: dict[str, list[int]] = {}
        for index in indices.values():
            report = reports.get(index)
            if report is not None:
                for name in report.names:
                    owners.setdefault(name, []).append(index)
                for alias in report.aliases:
                    aliases.setdefault(alias, []).append(index)
        for name, candidates in owners.items():
            self._exact[name] = Route(name, tuple(candidates))
        for alias, candidates in aliases.items():
            if alias not in self._exact:
                self._exact[alias] = Route(alias, tuple(candidates))


def _names_to_send(
    model: Model, candidates: Sequence[int], reports: Mapping[int, Reported]
) -> dict[int, str]:
    if model.send_as is not None:
        return dict.fromkeys(candidates, model.send_as)
    return {index: model.name for index in candidates if index in reports and reports[index].many}
