"""What a backend's ``/props`` and ``/v1/models`` say, in the words the rest of us uses.

Pure: JSON in, a dict of JSON out, which is what workers read from the backend board. Nothing
here trusts a backend: a field of the wrong type counts as missing.
"""

from typing import Any, TypeAlias

import orjson

from multiproxy.scoreboard.layout import FACTS_SIZE

Json: TypeAlias = dict[str, Any]

MAX_NAME = 200  # characters of a model's id that are believed


def parse(body: bytes) -> Json | None:
    """The object in ``body``; None when it is none."""
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    return value if isinstance(value, dict) else None


def facts_of(props: Json | None, models: Json | None, is_llama: bool) -> Json:
    """Facts of one backend.

    ``slots`` and ``n_ctx`` (tokens per slot) are 0 when unknown. ``models`` is a list of ``{id,
    aliases, n_ctx, n_ctx_train, input_modalities, status}``; ``status`` is "loaded" unless a
    router says otherwise.
    """
    props = props or {}
    build = _text(props.get("build_info"))
    router = props.get("role") == "router"
    generation = _object(props.get("default_generation_settings"))
    return {
        "kind": "llama.cpp" if is_llama or build else "other",
        "build": build,
        "router": router,
        "slots": _count(props.get("total_slots")),
        "n_ctx": _count(generation.get("n_ctx")),
        "modalities": {
            name: True for name, has in _object(props.get("modalities")).items() if has is True
        },
        "chat_template_caps": {
            name: has
            for name, has in _object(props.get("chat_template_caps")).items()
            if isinstance(has, bool)
        },
        "models": _models(models or {}),
    }


def encode(facts: Json) -> bytes:
    """JSON that fits the board: a router with too many models is cut at the end of its list."""
    whole = orjson.dumps(facts)
    models = facts["models"]
    while len(whole) > FACTS_SIZE and models:
        models = models[: len(models) * FACTS_SIZE // len(whole)][: len(models) - 1]
        whole = orjson.dumps(facts | {"models": models, "truncated": True})
    return whole


def is_sleeping(props: Json | None) -> bool:
    return props is not None and props.get("is_sleeping") is True


def _models(answer: Json) -> list[Json]:
    entries = answer.get("data")
    found = []
    for entry in entries if isinstance(entries, list) else []:
        if not isinstance(entry, dict) or not _text(entry.get("id")):
            continue
        meta = _object(entry.get("meta"))
        found.append(
            {
                "id": _text(entry["id"]),
                "aliases": _texts(entry.get("aliases")),
                "n_ctx": _count(meta.get("n_ctx")) or _count(entry.get("max_model_len")),
                "n_ctx_train": _count(meta.get("n_ctx_train")),
                "input_modalities": _texts(
                    _object(entry.get("architecture")).get("input_modalities")
                ),
                "status": _text(_object(entry.get("status")).get("value")) or "loaded",
            }
        )
    return found


def _object(value: object) -> Json:
    return value if isinstance(value, dict) else {}


def _text(value: object) -> str:
    return value[:MAX_NAME] if isinstance(value, str) else ""


def _texts(value: object) -> list[str]:
    return [_text(item) for item in value if _text(item)] if isinstance(value, list) else []


def _count(value: object) -> int:
    is_number = isinstance(value, int) and not isinstance(value, bool)
    return value if is_number and 0 <= value < 2**32 else 0  # type: ignore[operator,return-value]
