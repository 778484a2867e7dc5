"""The short cut for repeated deltas never says anything else than the long way."""

import pytest
from chat_notation import call, chunk, event, reasoning, text
from hypothesis import given
from hypothesis import strategies as st

from multiproxy.dialects.chat_stream import ChatReader
from multiproxy.dialects.delta_template import DeltaTemplate
from multiproxy.dialects.events import Event, Reasoning, Text, ToolFragment


def data(piece: bytes) -> bytes:
    return piece.removeprefix(b"data: ").rstrip()


def taught(piece: bytes, meaning: Event) -> DeltaTemplate:
    template = DeltaTemplate()
    assert template.read(data(piece)) is None
    template.learn(data(piece), meaning)
    return template


@given(st.text(min_size=1))
def test_the_next_string_is_read_without_the_rest(words: str) -> None:
    assert taught(text("a"), Text("a")).read(data(text(words))) == Text(words)
    assert taught(reasoning("a"), Reasoning("a")).read(data(reasoning(words))) == Reasoning(words)
    fragment = ToolFragment(3, "", "", "a")
    template = taught(call(3, arguments="a"), fragment)
    assert template.read(data(call(3, arguments=words))) == ToolFragment(3, "", "", words)


OTHERS = {
    "another index": call(1, arguments="a"),
    "another kind": reasoning("a"),
    "another member behind it": chunk({"content": "a", "refusal": "b"}),
    "a finish": chunk({"content": "a"}, "stop"),
    "another id": chunk({"content": "a"}, id="x"),
    "null": chunk({"content": None}),
    "a number": chunk({"content": 5}),
    "an object": chunk({"content": {"a": "b"}}),
    "an empty string": text(""),
    "members that were put inside": text("a").replace(b'"a"', b'"a","content":"b"'),
    "half a string": text("a").replace(b'"a"', b'"a'),
    "a lone surrogate": text("a").replace(b"a", b"\\ud83d", 1),
}


@pytest.mark.parametrize("name", OTHERS)
def test_another_form_is_left_to_the_long_way(name: str) -> None:
    assert taught(text("a"), Text("a")).read(data(OTHERS[name])) is None


def test_a_member_of_that_name_elsewhere_teaches_nothing() -> None:
    choice = {"finish_reason": None, "index": 0, "delta": {"content": "a"}}
    odd = event({"meta": {"content": "a"}, "choices": [choice]})
    assert taught(odd, Text("a")).read(data(odd)) is None


def test_a_stream_that_never_repeats_is_no_longer_learned() -> None:
    template = DeltaTemplate()
    for number in range(40):
        template.learn(data(chunk({"content": "a"}, id=str(number))), Text("a"))
    template.learn(data(text("a")), Text("a"))
    assert template.read(data(text("a"))) is None


@given(st.lists(st.tuples(st.sampled_from(["content", "reasoning_content"]), st.text())))
def test_a_stream_means_the_same_with_and_without_it(deltas: list[tuple[str, str]]) -> None:
    reader = ChatReader()
    events = [each for key, value in deltas for each in reader.feed(chunk({key: value}))]
    kinds = {"content": Text, "reasoning_content": Reasoning}
    assert events == [kinds[key](value) for key, value in deltas if value]
