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


@given(st.text(min_size=1))
def test_a_piece_that_is_one_event_is_read_with_its_framing(words: str) -> None:
    template = taught(text("a"), Text("a"))
    assert template.text_of(text(words)) == words
    assert template.event(words) == Text(words)


NOT_ONE_EVENT = {
    "two events": text("a") + text("b"),
    "half an event": text("a")[:-1],
    "no blank": text("a").replace(b"data: ", b"data:"),
    "a comment before it": b": x\n\n" + text("a"),
    "a name before it": b"event: x\n" + text("a"),
    "other line ends": text("a").replace(b"\n", b"\r\n"),
    "a line end inside": text("a").replace(b'"a"', b'"a\n"'),
}


@pytest.mark.parametrize("name", NOT_ONE_EVENT)
def test_a_piece_that_is_not_one_event_is_left_to_the_long_way(name: str) -> None:
    assert taught(text("a"), Text("a")).text_of(NOT_ONE_EVENT[name]) is None


def test_a_piece_shorter_than_what_frames_a_string_is_left_to_the_long_way() -> None:
    whole = text("a")
    template = taught(whole, Text("a"))
    at = whole.index(b'"a"')
    for length in range(3):  # the quotes overlap, or one is missing
        assert template.text_of(whole[: at + length] + whole[at + 3 :]) is None


def test_an_event_that_is_too_long_has_no_form() -> None:
    size = len(text("ab"))
    template = DeltaTemplate(size)
    template.learn(data(text("a")), Text("a"))
    assert template.text_of(text("ab")) == "ab" and template.text_of(text("abc")) is None


def test_data_of_several_lines_teaches_nothing() -> None:
    lines = data(text("a")).replace(b'"delta"', b'\n"delta"')
    template = DeltaTemplate()
    template.learn(lines, Text("a"))
    assert template.read(lines) is None
    assert template.text_of(b"data: " + lines + b"\n\n") is None


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
    template = taught(text("a"), Text("a"))
    assert template.read(data(OTHERS[name])) is None
    assert template.text_of(OTHERS[name]) is None


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
