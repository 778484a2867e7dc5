"""Reading a config from a text, with variables and files that are given, not found."""

from collections.abc import Callable, Mapping
from textwrap import dedent

import pytest

from multiproxy.config import Config, ConfigError, Problem, parse

BACKEND = "backends: [{url: http://gpu:8080}]\n"


def _parse(
    text: str, environ: Mapping[str, str] | None = None, files: Mapping[str, str] | None = None
) -> Config:
    def read_file(path: str) -> str:
        if path not in (files or {}):
            raise FileNotFoundError(2, "No such file or directory")
        return (files or {})[path]

    return parse(dedent(text), "config.yaml", environ or {}, read_file)


@pytest.fixture
def read() -> Callable[..., Config]:
    """``read(text, environ, files)``: the whole config."""
    return _parse


@pytest.fixture
def read_more() -> Callable[..., Config]:
    """As ``read``, for settings that need a backend beside them."""
    return lambda text, *more: _parse(BACKEND + dedent(text), *more)


@pytest.fixture
def error_of() -> Callable[..., ConfigError]:
    """``error_of(text, environ, files)``: what ``read`` would raise."""

    def error_of(text: str, *more: Mapping[str, str]) -> ConfigError:
        with pytest.raises(ConfigError) as caught:
            _parse(text, *more)
        return caught.value

    return error_of


@pytest.fixture
def only(error_of: Callable[..., ConfigError]) -> Callable[..., Problem]:
    """The one problem of a text; fails when there are several."""

    def only(text: str, *more: Mapping[str, str]) -> Problem:
        (problem,) = error_of(text, *more).problems
        return problem

    return only


@pytest.fixture
def only_more(only: Callable[..., Problem]) -> Callable[..., Problem]:
    """As ``only``, for settings that need a backend beside them; they begin on line 2."""
    return lambda text, *more: only(BACKEND + dedent(text), *more)
