"""Configs on their way to the workers: nothing is lost, and nothing else is accepted."""

from dataclasses import fields, is_dataclass
from typing import Annotated, Any, Literal, get_args, get_origin

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from multiproxy.config import Backend, Config, SnapshotError, Url, decode, encode
from multiproxy.config.setting import settings_of, without_none


def values(hint: Any) -> st.SearchStrategy[Any]:
    """Any value of a type hint, whether the file could say it or not."""
    hint, optional = without_none(hint)
    if optional:
        return st.none() | values(hint)
    if get_origin(hint) is Annotated:
        return values(get_args(hint)[0])
    if get_origin(hint) is Literal:
        return st.sampled_from(get_args(hint))
    if get_origin(hint) is tuple:
        return st.lists(values(get_args(hint)[0]), max_size=2).map(tuple)
    if is_dataclass(hint):
        settings = settings_of(hint).values()
        optional = {s.name: st.none() if s.optional else st.nothing() for s in settings}
        return st.builds(hint, **{s.name: optional[s.name] | values(s.hint) for s in settings})
    return {
        str: st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
        int: st.integers(0, 2**53),
        float: st.floats(allow_nan=False, allow_infinity=False),
        bool: st.booleans(),
    }[hint]


_JSON = st.dictionaries(st.text("abc"), st.integers(0, 99) | st.lists(st.text("abc")), max_size=3)


@given(values(Config), _JSON)
def test_a_config_arrives_as_it_was_sent(config, extra):
    assert decode(encode(config, extra)) == (config, extra)


def test_the_rebuilt_values_have_the_types_of_the_model():
    config, extra = decode(encode(Config(backends=(Backend("a", Url("http", "gpu", 80)),))))
    assert type(config.backends) is tuple and type(config.backends[0].url) is Url
    assert extra == {}


def test_a_key_travels_but_does_not_show():
    config = Config(backends=(Backend("a", api_key="sk-1"),))
    received, _ = decode(encode(config))
    assert received.backends[0].api_key == "sk-1"
    assert "sk-1" not in repr(received)


@pytest.mark.parametrize("field", [field.name for field in fields(Config)])
def test_a_snapshot_that_lacks_a_setting_is_refused(field):
    content = orjson.loads(encode(Config()))
    del content["config"][field]
    with pytest.raises(SnapshotError):
        decode(orjson.dumps(content))


def test_a_snapshot_with_a_setting_more_is_refused():
    content = orjson.loads(encode(Config()))
    content["config"]["retry"]["patience"] = 1
    with pytest.raises(SnapshotError):
        decode(orjson.dumps(content))


@pytest.mark.parametrize(
    "snapshot",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'{"config":{},"extra":{}}',
        encode(Config()).replace(b'"retry"', b'"retri"'),
        encode(Config()).replace(b'"extra":{}', b'"extra":1'),
        encode(Config()).replace(b'"extra"', b'"other"'),
        encode(Config()).replace(b'"backends":[]', b'"backends":1'),
        encode(Config()).replace(b'"log":{"format":"auto"}', b'"log":[]'),
    ],
)
def test_other_bytes_are_refused(snapshot):
    with pytest.raises(SnapshotError):
        decode(snapshot)
