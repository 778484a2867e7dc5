"""The JSON Schema: it says what the binder says, and the files made from it are current."""

import json
from pathlib import Path

import jsonschema
import pytest
import yaml

from multiproxy.config import ConfigError, load
from multiproxy.config.schema import schema

ROOT = Path(__file__).parent.parent.parent
COMMITTED = ROOT / "multiproxy/config/config.schema.json"
MODELINE = "# yaml-language-server: $schema="
BACKEND = "backends: [{url: http://gpu:8080}]\n"


@pytest.fixture(scope="module")
def validator():
    jsonschema.Draft7Validator.check_schema(schema())
    return jsonschema.Draft7Validator(schema())


def complaints(validator, text):
    return [error.json_path for error in validator.iter_errors(yaml.safe_load(text))]


def test_the_committed_schema_is_the_generated_one():
    assert json.loads(COMMITTED.read_text()) == schema(), "run scripts/generate.sh"


def test_the_shipped_config_names_the_schema_and_obeys_it(validator):
    text = (ROOT / "config.yaml").read_text()
    first = text.partition("\n")[0]
    assert first.startswith(MODELINE)
    assert (ROOT / first.removeprefix(MODELINE)).samefile(COMMITTED)
    assert complaints(validator, text) == []


GOOD = [
    "backends: [{simulate: true}]",
    "backends: [{simulate: {slots: 2, load_time: 500ms}}]",
    "backends: [{url: HTTPS://gpu/llama, api_key: '${KEY:-secret}', slots: auto, weight: 3}]",
    BACKEND + "listen: 9000",
    BACKEND + "dashboard: false",
    BACKEND + "dashboard: 127.0.0.1:9",
    BACKEND + "dashboard: {password: '${PASSWORD:-long enough}', auth: auto}",
    BACKEND + "workers: 2",
    BACKEND + "workers: ${WORKERS:-auto}",
    BACKEND + "models:",
    BACKEND + "models: {m: ['gpu:8080'], n: , o: {aliases: ['gpt-*'], send_as: }}",
    BACKEND + "keys: [{name: ann, key: 12345678-abc, models: [m]}]",
    BACKEND + "timeouts: {connect: 0.5, idle: 5m, queue: 0}",
    BACKEND + "limits: {body: 32MB, head: 20000}",
    BACKEND + "log: {format: json}",
    BACKEND + "cors_origins: ['https://chat.example.org']",
]
BAD = [
    ("backends: [{url: http://gpu:8080, slot: 4}]", "$.backends[0]"),
    ("backends: [{url: ftp://gpu}]", "$.backends[0].url"),
    ("backends: [{url: http://gpu, slots: 0}]", "$.backends[0].slots"),
    (BACKEND + "worker: 2", "$"),
    (BACKEND + "workers: 33", "$.workers"),
    (BACKEND + "workers: many", "$.workers"),
    (BACKEND + "listen: 127.0.0.1", "$.listen"),
    (BACKEND + "dashboard: {password: short}", "$.dashboard"),
    (BACKEND + "models: {'a b': []}", "$.models"),
    (BACKEND + "models: [m]", "$.models"),
    (BACKEND + "keys: [{name: ann}]", "$.keys"),
    (BACKEND + "timeouts: {idle: 5 minutes}", "$.timeouts.idle"),
    (BACKEND + "timeouts: {connect: 0}", "$.timeouts.connect"),
    (BACKEND + "limits: {body: 32Mb}", "$.limits.body"),
    (BACKEND + "log: {format: xml}", "$.log.format"),
    (BACKEND + "cors_origins: ['https://chat.example.org/']", "$.cors_origins[0]"),
]


@pytest.mark.parametrize("text", GOOD)
def test_the_schema_accepts_what_is_loaded(validator, text, tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text(text)
    load(path)
    assert complaints(validator, text) == []


@pytest.mark.parametrize(("text", "place"), BAD)
def test_the_schema_refuses_what_is_not_loaded(validator, text, place, tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError):
        load(path)
    found = complaints(validator, text)
    # A section with several forms is complained about as a whole.
    assert found and all(place.startswith(each) for each in found), found


def test_every_setting_tells_editors_what_it_is():
    def untold(part, path):
        for name, setting in part.get("properties", {}).items():
            here = f"{path}.{name}"
            if not setting.get("description"):
                yield here
            yield from untold(setting, here)
        for key in ("items", "additionalProperties"):
            if isinstance(part.get(key), dict):
                yield from untold(part[key], path)
        for form in part.get("anyOf", ()):
            yield from untold(form, path)

    assert list(untold(schema(), "")) == []
