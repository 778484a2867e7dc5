"""Files: what is read, from where, and what happens with those that cannot be."""

import os
import re
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from multiproxy.config import Config, ConfigError, load, parse
from multiproxy.config.bind import MAX_VALUES

ROOT = Path(__file__).parents[2]
SMALLEST = "backends: [{url: http://gpu}]\n"


def failure(path: Path) -> str:
    with pytest.raises(ConfigError) as caught:
        load(path)
    (problem,) = caught.value.problems
    assert (problem.line, caught.value.name) == (0, str(path))
    return problem.message


def test_the_shipped_config_is_valid_and_needs_nothing(monkeypatch):
    monkeypatch.setattr(os, "environ", {})
    config = load(ROOT / "config.yaml")
    assert [(backend.id, backend.simulate is not None) for backend in config.backends] == [
        ("demo-1", True),
        ("demo-2", True),
    ]
    assert config.default_model == "demo"
    assert {backend.simulate.model for backend in config.backends if backend.simulate} == {"demo"}


EXAMPLES = {"GPU_B_KEY": "k", "ANN_KEY": "sk-ann-0123", "JOBS_KEY": "sk-jobs-0123"}


@pytest.fixture
def uncommented() -> str:
    """The shipped config with every example in use: a # without a blank taken away."""
    text = (ROOT / "config.yaml").read_text()
    return re.sub(r"^( *)#(?! \S|$)", r"\1", text, flags=re.MULTILINE)


def test_every_example_in_the_shipped_config_is_valid(uncommented):
    config = parse(uncommented, "config.yaml", EXAMPLES, str)
    assert [backend.id for backend in config.backends] == [
        "127.0.0.1:8081",
        "demo-1",
        "demo-2",
        "gpu-b",
    ]
    assert config.backends[3].api_key == "k"
    assert config.models[0].aliases == ("gpt-4o", "claude-*")
    assert [(key.name, key.models) for key in config.keys] == [("ann", ("*",)), ("jobs", ("demo",))]
    assert config.allowed_hosts == ("llm.example.org",)
    assert config.cors_origins == ("https://chat.example.org",)


def test_the_shipped_config_shows_the_defaults(uncommented):
    config, default = parse(uncommented, "config.yaml", EXAMPLES, str), Config()
    assert (config.listen, config.dashboard) == (default.listen, default.dashboard)
    assert (config.timeouts, config.retry) == (default.timeouts, default.retry)
    assert (config.limits, config.history) == (default.limits, default.history)


def test_real_servers_need_only_the_three_lines_to_be_changed():
    text = (ROOT / "config.yaml").read_text()
    text = re.sub(r"^ *- .*(?:2|3)\. delete\n", "", text, flags=re.MULTILINE)
    config = parse(text.replace("#- url", "- url"), "config.yaml", {}, str)
    assert [backend.id for backend in config.backends] == ["127.0.0.1:8081"]


def test_the_shipped_config_can_be_read_in_a_minute():
    assert len((ROOT / "config.yaml").read_text().splitlines()) <= 60


def test_variables_come_from_the_environment(tmp_path, monkeypatch):
    monkeypatch.setenv("MULTIPROXY_TEST_URL", "http://from-env:1")
    path = tmp_path / "c.yaml"
    path.write_text("backends: [{url: '${MULTIPROXY_TEST_URL}'}]")
    assert load(path).backends[0].id == "from-env:1"


def test_a_secret_file_is_found_beside_the_config(tmp_path):
    (tmp_path / "key").write_text("sk-1\n")
    path = tmp_path / "c.yaml"
    path.write_text("backends: [{url: http://gpu, api_key: '${file:key}'}]")
    assert load(path).backends[0].api_key == "sk-1"
    assert "sk-1" not in repr(load(path))


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "No such file or directory"),
        (b"\xff\xfe", "not UTF-8 text"),
        (b"x" * 65537, "larger than 65536 bytes"),
        (b"", "is empty"),
    ],
)
def test_a_secret_file_that_cannot_be_used_is_a_problem(tmp_path, content, reason):
    if content is not None:
        (tmp_path / "key").write_bytes(content)
    path = tmp_path / "c.yaml"
    path.write_text("backends: [{url: http://gpu, api_key: '${file:key}'}]")
    with pytest.raises(ConfigError) as caught:
        load(path)
    (problem,) = caught.value.problems
    assert (problem.column, problem.message[-len(reason) :]) == (40, reason)


def test_a_missing_file_is_told(tmp_path):
    assert failure(tmp_path / "c.yaml") == "cannot read the file: No such file or directory"


def test_a_folder_is_no_file(tmp_path):
    assert failure(tmp_path) == "cannot read the file: Is a directory"


def test_a_name_that_no_file_can_have_is_told(tmp_path):
    assert failure(tmp_path / "a\0b") == "cannot read the file: embedded null byte"


def test_a_file_that_is_not_utf_8_is_told_with_its_line(tmp_path):
    path = tmp_path / "c.yaml"
    path.write_bytes(b"# a\n# b\xe4\n" + SMALLEST.encode())
    assert failure(path) == "not UTF-8 text (line 2)"


def test_a_file_over_1_mib_is_not_even_parsed(tmp_path):
    path = tmp_path / "c.yaml"
    path.write_text(SMALLEST + "#" * (2**20 - len(SMALLEST)))
    assert load(path).backends
    path.write_text(SMALLEST + "#" * (2**20 + 1 - len(SMALLEST)))
    assert failure(path) == "cannot read the file: larger than 1048576 bytes"


@pytest.mark.parametrize("content", ["", "# nothing\n", "---\n"])
def test_a_file_without_settings_is_told(tmp_path, content):
    path = tmp_path / "c.yaml"
    path.write_text(content)
    with pytest.raises(ConfigError) as caught:
        load(path)
    assert len(caught.value.problems) == 1


def test_a_byte_order_mark_does_not_move_the_columns(tmp_path):
    path = tmp_path / "c.yaml"
    path.write_bytes(b"\xef\xbb\xbflistn: 1\n" + SMALLEST.encode())
    with pytest.raises(ConfigError) as caught:
        load(path)
    assert [(found.line, found.column) for found in caught.value.problems] == [(1, 1)]


# Words that lead deep into the binder, mixed with what YAML gives a meaning to.
_WORDS = st.sampled_from(
    "backends models url simulate id aliases dashboard listen timeouts idle limits http://a 1 -1 "
    "true ~ auto ${A} ${B:-x} ${file:f} ${ $${ << *a &a ! !!int | > ' \" # - ? : , [ ] { } @ ` %"
    " --- ... * \\ \t \r \x85 \u2028 \ufeff \ud7ff é".split(" ")
)
_YAML = st.lists(st.one_of(_WORDS, st.sampled_from([" ", "  ", "\n", ": ", "\n- "])), max_size=40)


@settings(max_examples=400, deadline=None)
@given(st.one_of(_YAML.map("".join), st.text(max_size=200)))
@example("backends: [{url: http://a}]\nmodels: {a: &x {aliases: *x}}")
@example("backends: &b [{url: http://a}, *b]")
@example("? {a: b}\n: c")
@example("\ud800")
def test_any_text_is_a_config_or_problems(text):
    try:
        assert isinstance(parse(text, "c", {"A": "1"}, lambda path: "x"), Config)
    except ConfigError as error:
        assert error.problems and str(error).endswith(" in c")
        assert all(0 <= found.line <= MAX_VALUES and found.message for found in error.problems)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=300))
def test_any_bytes_are_a_config_or_problems(tmp_path_factory, content):
    path = tmp_path_factory.getbasetemp() / "bytes.yaml"
    path.write_bytes(content)
    try:
        load(path)
    except ConfigError as error:
        assert error.problems
