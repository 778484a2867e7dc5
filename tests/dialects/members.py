"""The members of a request, any of which a client may leave out or set to anything."""

from collections.abc import Sequence
from copy import deepcopy
from typing import Any

from hypothesis import strategies as st

Path = tuple[Any, ...]
NOTHING = object()  # in place of a value: the member is missing


def places(value: Any, path: Path = ()) -> list[Path]:
    """The paths of all members below ``value``."""
    pairs: list[tuple[Any, Any]] = []
    if isinstance(value, dict):
        pairs = list(value.items())
    elif isinstance(value, list):
        pairs = list(enumerate(value))
    return [each for key, inner in pairs for each in ((*path, key), *places(inner, (*path, key)))]


def changed(body: dict[str, Any], *changes: tuple[Path, Any]) -> dict[str, Any]:
    """A copy with other values; places that an earlier change took away are left out."""
    copy = deepcopy(body)
    for path, value in changes:
        parent: Any = copy
        try:
            for key in path[:-1]:
                parent = parent[key]
            if value is NOTHING:
                del parent[path[-1]]
            else:
                parent[path[-1]] = value
        except (TypeError, KeyError, IndexError):
            continue
    return copy


def values(words: Sequence[str], names: Sequence[str]) -> st.SearchStrategy[Any]:
    """JSON in which ``words`` and members with these ``names`` turn up often."""
    return st.recursive(
        st.one_of(
            st.none(),
            st.booleans(),
            st.integers(-5, 5),
            st.floats(allow_nan=False),
            st.text(max_size=5),
            st.sampled_from(words),
        ),
        lambda inner: st.one_of(
            st.lists(inner, max_size=2),
            st.dictionaries(st.sampled_from(names), inner, max_size=3),
        ),
        max_leaves=4,
    )
