"""The config in use: whole, readable back, with sources, and without a secret."""

import json

import pytest
import yaml

from multiproxy.config import load
from multiproxy.config.load import load_with_lines
from multiproxy.config.show import as_json, as_yaml

TEXT = """\
backends:
  - {id: gpu, url: "http://gpu:8080", api_key: "${KEY:-sk-backend-1}"}
  - simulate: {tokens_per_second: 12.5}
dashboard: {password: hunter2hunter2}
keys: [{name: ann, key: sk-ann-0123, models: ["q*"]}]
models:
  "qwen:3":
    aliases: [gpt-4o, "claude-*"]
timeouts: {idle: 90s}
"""


@pytest.fixture
def loaded(tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text(TEXT)
    return load_with_lines(path)


def shown(loaded, **sources):
    lines = {path: f"line {line}" for path, line in loaded.lines.items()}
    return as_yaml(loaded.config, lines)


def line_of(text, key):
    return next(line for line in text.splitlines() if line.split("#")[0].strip().startswith(key))


def test_every_value_says_where_it_comes_from(loaded):
    text = shown(loaded)
    assert line_of(text, "- id: gpu").endswith("# line 2")
    assert line_of(text, "- id: simulated-1").endswith("# derived")
    assert line_of(text, "tokens_per_second: 12.5").endswith("# line 3")
    assert line_of(text, "idle: 90s").endswith("# line 9")
    assert line_of(text, "connect: 2s").endswith("# default")


def test_no_secret_is_shown(loaded):
    lines = {path: f"line {line}" for path, line in loaded.lines.items()}
    for text in (as_yaml(loaded.config, lines), json.dumps(as_json(loaded.config, lines))):
        assert text.count("***") == 3
        for secret in ("sk-backend-1", "hunter2", "sk-ann", "sha256"):
            assert secret not in text


def test_what_is_shown_means_what_was_loaded(loaded, tmp_path):
    secrets = iter(["hunter2hunter2", "sk-backend-1", "sk-ann-0123"])
    text = "".join(
        line.replace("'***'", next(secrets)) if "'***'" in line else line
        for line in shown(loaded).splitlines(keepends=True)
    )
    path = tmp_path / "shown.yaml"
    path.write_text(text)
    assert load(path) == loaded.config


def test_programs_get_the_same_values_and_the_sources_by_path(loaded):
    found = as_json(loaded.config, {path: f"line {line}" for path, line in loaded.lines.items()})
    as_shown = yaml.safe_load(shown(loaded))
    assert found["config"]["timeouts"] == as_shown["timeouts"]
    assert found["config"]["models"]["qwen:3"]["aliases"] == ["gpt-4o", "claude-*"]
    assert found["sources"]["models.qwen:3.aliases"] == "line 8"
    assert found["sources"]["backends.1.simulate.tokens_per_second"] == "line 3"
    assert found["sources"]["log.format"] == "default"
