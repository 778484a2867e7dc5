"""The list of models: one shape that OpenAI's and Anthropic's SDKs both read."""

from types import SimpleNamespace
from typing import Any

import pytest

from multiproxy.config import Config, Model
from multiproxy.routing.table import Route
from multiproxy.worker.models import model_list, model_page


def listed(
    *routes: Route, models: tuple[Model, ...] = (), facts: dict[int, Any] | None = None
) -> dict[str, Any]:
    """The entries by id."""
    backends: Any = SimpleNamespace(table=SimpleNamespace(models=list(routes)), facts=facts or {})
    return {entry["id"]: entry for entry in model_list(backends, Config(models=models))}


def test_an_entry_has_the_members_of_both_apis():
    entry = listed(Route("demo", (0,)))["demo"]
    assert {key: entry[key] for key in ("object", "owned_by", "type", "display_name")} == {
        "object": "model", "owned_by": "multiproxy", "type": "model", "display_name": "demo",
    }  # fmt: skip
    assert isinstance(entry["created"], int)
    assert entry["created_at"].endswith("Z") and len(entry["created_at"]) == 20
    assert not entry.keys() & {"context_length", "meta", "max_tokens", "aliases", "architecture"}


def test_the_context_is_the_smallest_of_the_models_backends():
    facts = {
        0: {"n_ctx": 8192, "models": [{"id": "demo", "n_ctx": 4096}, {"id": "other", "n_ctx": 1}]},
        1: {"n_ctx": 6000},
        2: {"n_ctx": 100},
        3: {"n_ctx": None, "models": []},
    }
    entry = listed(Route("demo", (0, 1, 3)), facts=facts)["demo"]
    assert entry["context_length"] == entry["max_input_tokens"] == entry["meta"]["n_ctx"] == 4096


def test_exact_aliases_are_entries_and_wildcards_are_not():
    models = (Model("qwen", ("a",), ("gpt-4o", "claude-*", "fast")),)
    entries = listed(Route("qwen", (0,)), models=models)
    assert entries.keys() == {"qwen", "gpt-4o", "fast"}
    assert entries["qwen"]["aliases"] == ["gpt-4o", "fast"]
    assert entries["fast"]["aliases"] == ["gpt-4o"]


def test_modalities_are_what_any_backend_reports():
    facts = {
        0: {"models": [{"id": "demo", "input_modalities": ["text", "image"]}, {"id": "x"}]},
        1: {"models": [{"id": "demo.gguf", "input_modalities": ["text"]}]},
    }
    entry = listed(Route("demo", (0, 1)), facts=facts)["demo"]
    assert entry["architecture"] == {
        "input_modalities": ["image", "text"], "output_modalities": ["text"],
    }  # fmt: skip


ENTRIES = [{"id": str(number)} for number in range(5)]


@pytest.mark.parametrize(
    ("query", "ids", "has_more"),
    [
        ({}, "01234", False),
        ({"limit": "2"}, "01", True),
        ({"limit": "5"}, "01234", False),
        ({"limit": "2", "after_id": "1"}, "23", True),
        ({"limit": "2", "after_id": "2"}, "34", False),
        ({"after_id": "4"}, "", False),
        ({"before_id": "2"}, "01", False),
        ({"limit": "2", "before_id": "4"}, "23", True),  # the page that ends before it
        ({"after_id": "unknown"}, "01234", False),
        ({"limit": "0"}, "01234", False),
        ({"limit": "-1"}, "01234", False),
        ({"limit": "x"}, "01234", False),
        ({"limit": "9" * 5000}, "01234", False),
        ({"limit": "\u0663"}, "01234", False),
    ],
)
def test_a_list_is_paged_as_anthropics(query, ids, has_more):
    page = model_page(ENTRIES, query)
    assert "".join(entry["id"] for entry in page["data"]) == ids
    assert (page["object"], page["has_more"]) == ("list", has_more)
    assert (page["first_id"], page["last_id"]) == ((ids[0], ids[-1]) if ids else (None, None))
