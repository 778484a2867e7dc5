"""Names and where they go: as configured, or as the backends report them."""

from multiproxy.config import parse
from multiproxy.supervisor.backend_rows import BackendRows
from multiproxy.supervisor.dashboard.views import ModelView
from multiproxy.supervisor.model_views import model_views


def views(text, facts):
    """What is made of a configuration and of ``facts``: by backend, its models' ids."""
    config = parse(text, "config.yaml", {}, lambda path: "")
    rows = BackendRows().assign(config.backends, 1)
    said = {
        row.index: {"models": [{"id": id, "aliases": [f"{id}-alias"]} for id in facts[row.id]]}
        for row in rows
        if row.id in facts
    }
    return model_views(config, rows, said)


TWO = """
backends:
  - {id: a, url: http://10.0.0.1:8080, tags: [fast]}
  - {id: b, url: http://10.0.0.2:8080}
"""


def test_configured_names_go_where_the_table_sends_them():
    found = views(
        TWO
        + """
models:
  big: {backends: [b, a], aliases: [gpt-4o, "gpt-4*"], fallback: [small], mirror: shadow}
  small: {tags: [fast], send_as: small.gguf}
  shadow: {}
  nobody: {}
  assistant: {split: [{model: big, weight: 3}, {model: shadow}]}
default_model: gpt-4o
""",
        {"a": ["x"], "b": ["shadow"]},
    )
    assert found == [
        ModelView(
            "big", ("b", "a"), ("gpt-4o", "gpt-4*"), fallback=("small",), mirror="shadow",
            is_default=True,
        ),
        ModelView("small", ("a",), send_as="small.gguf"),
        ModelView("shadow", ("b",)),
        ModelView("nobody"),
        ModelView("assistant", ("b", "a"), parts=(("big", 3), ("shadow", 1))),
    ]  # fmt: skip


def test_without_configured_names_they_are_those_that_backends_report():
    found = views(TWO + "default_model: m", {"a": ["m"], "b": ["m", "n"]})
    assert found == [
        ModelView("m", ("a", "b"), ("m-alias",), is_default=True),
        ModelView("n", ("b",), ("n-alias",)),
    ]


def test_a_command_is_known_by_its_id_before_it_has_run():
    text = "backends: [{id: qwen, command: 'llama-server --port ${PORT}'}]"
    assert views(text, {}) == [ModelView("qwen", ("qwen",))]
