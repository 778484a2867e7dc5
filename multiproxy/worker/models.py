"""The aggregated model list, in the one shape that satisfies both SDKs."""

import time
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from multiproxy.auth import ANYONE, Principal
from multiproxy.config import Config
from multiproxy.worker.backends import Backends


def model_list(
    backends: Backends, config: Config, principal: Principal = ANYONE
) -> list[dict[str, Any]]:
    """Return one entry per name that can be asked for, aliases without wildcards included.

    Models that the principal's key does not cover are left out.

    ``max_input_tokens`` is the smallest context per slot among the model's backends; it is
    left out while unknown. Source: the model objects of OpenAI's and Anthropic's APIs.
    """
    entries = []
    aliases = {model.name: model.aliases for model in config.models}
    for route in backends.table.models:
        if not principal.may_use(route.model):
            continue
        exact = [alias for alias in aliases.get(route.model, ()) if "*" not in alias]
        facts = [backends.facts[index] for index in route.candidates if index in backends.facts]
        for name in (route.model, *exact):
            entries.append(_entry(name, [a for a in exact if a != name], route.model, facts))
    return entries


def model_page(entries: list[dict[str, Any]], query: Mapping[str, str]) -> dict[str, Any]:
    """Return the list object; ``limit``, ``after_id`` and ``before_id`` page as Anthropic's do.

    Without them everything is on one page.
    """
    ids = [entry["id"] for entry in entries]
    backwards = False
    if query.get("after_id") in ids:
        entries = entries[ids.index(query["after_id"]) + 1 :]
    elif query.get("before_id") in ids:
        entries = entries[: ids.index(query["before_id"])]
        backwards = True
    limit = query.get("limit", "")
    has_more = False
    if limit.isascii() and limit.isdigit() and len(limit) < 6 and int(limit) > 0:
        has_more = len(entries) > int(limit)
        # Going back, the page is the one immediately before that entry.
        entries = entries[-int(limit) :] if backwards else entries[: int(limit)]
    return {
        "object": "list",
        "data": entries,
        "has_more": has_more,
        "first_id": entries[0]["id"] if entries else None,
        "last_id": entries[-1]["id"] if entries else None,
    }


def _entry(
    name: str, aliases: list[str], model: str, facts: Iterable[Mapping[str, Any]]
) -> dict[str, Any]:
    now = int(time.time())
    entry: dict[str, Any] = {
        "id": name,
        "object": "model",
        "created": now,
        "owned_by": "multiproxy",
        "type": "model",
        "display_name": name,
        "created_at": datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "lifecycle": "active",
    }
    contexts = [n_ctx for fact in facts if (n_ctx := _context(fact, model))]
    if contexts:
        entry["max_input_tokens"] = entry["max_tokens"] = min(contexts)
        entry["context_length"] = min(contexts)
        entry["meta"] = {"n_ctx": min(contexts)}
    if aliases:
        entry["aliases"] = aliases
    modalities = sorted({modality for fact in facts for modality in _modalities(fact, model)})
    if modalities:
        entry["architecture"] = {"input_modalities": modalities, "output_modalities": ["text"]}
    return entry


def _context(facts: Mapping[str, Any], model: str) -> int:
    for reported in facts.get("models", ()):
        if reported.get("id") == model and reported.get("n_ctx"):
            return int(reported["n_ctx"])
    return int(facts.get("n_ctx") or 0)


def _modalities(facts: Mapping[str, Any], model: str) -> list[str]:
    models = facts.get("models", ())
    for reported in models:
        if reported.get("id") == model or len(models) == 1:
            return [str(item) for item in reported.get("input_modalities") or ()]
    return []
