"""Which call a fragment belongs to."""

import pytest

from multiproxy.dialects.events import ToolFragment
from multiproxy.dialects.tools import CallTable

Given = tuple[int | None, str, str, str]
TABLES: dict[str, tuple[list[Given], list[tuple[str, str, str]]]] = {
    "by index": (
        [(0, "a", "f", "{"), (1, "b", "g", "["), (0, "", "", "}"), (1, "", "", "]")],
        [("a", "f", "{}"), ("b", "g", "[]")],
    ),
    "one index for all": (
        [(0, "a", "f", "{}"), (0, "b", "g", "{"), (0, "", "", "}")],
        [("a", "f", "{}"), ("b", "g", "{}")],
    ),
    "a new id alone begins nothing": (
        [(0, "a", "f", "{"), (0, "b", "", "}")],
        [("a", "f", "{}")],
    ),
    "a new id before arguments begins nothing": (
        [(0, "a", "f", ""), (0, "b", "f", "{}")],
        [("a", "f", "{}")],
    ),
    "no index": (
        [(None, "a", "f", "{}"), (None, "b", "g", "{"), (None, "", "", "}")],
        [("a", "f", "{}"), ("b", "g", "{}")],
    ),
    "no index and no id": (
        [(None, "", "f", "{"), (None, "", "", "}")],
        [("", "f", "{}")],
    ),
    "an index behind none": (
        [(None, "a", "f", "{}"), (1, "b", "g", "{}"), (None, "c", "h", "{}")],
        [("a", "f", "{}"), ("b", "g", "{}"), ("c", "h", "{}")],
    ),
    "names in pieces and grown ones": (
        [(0, "a", "get", ""), (0, "", "get_weather", ""), (0, "", "_now", ""), (0, "", "", "{}")],
        [("a", "get_weather_now", "{}")],
    ),
    "text behind the object": (
        [(0, "a", "f", '{"x":1} and'), (0, "", "", "more")],
        [("a", "f", '{"x":1}')],
    ),
}


@pytest.mark.parametrize("name", TABLES)
def test_fragments_find_their_calls(name: str) -> None:
    fragments, expected = TABLES[name]
    table = CallTable()
    for fragment in fragments:
        table.add(ToolFragment(*fragment))
    assert [(call.id, call.name, call.take()) for call in table.calls] == expected
    assert [call.number for call in table.calls] == list(range(len(expected)))


def test_arguments_are_handed_over_once() -> None:
    table = CallTable()
    call = table.add(ToolFragment(0, "a", "f", '{"x"'))
    assert call.has_arguments and call.is_waiting and not call.is_complete
    assert call.take() == '{"x"' and call.take() == "" and not call.is_waiting
    table.add(ToolFragment(0, "", "", ":1}"))
    assert call.is_complete and call.take() == ":1}"
