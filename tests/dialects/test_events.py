"""The internal events."""

from multiproxy.dialects.events import Reasoning, Refusal, Text, Usage


def test_the_same_words_said_otherwise_are_another_event() -> None:
    events = [Text("a"), Reasoning("a"), Refusal("a")]
    assert [one == other for one in events for other in events].count(True) == 3


def test_times_do_not_make_another_count() -> None:
    assert Usage(1, 2, 3, timings={"prompt_ms": 1.0}) == Usage(1, 2, 3)
