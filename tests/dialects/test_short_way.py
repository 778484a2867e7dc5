"""A piece that only goes on with the last delta takes a short way, and means the same on it."""

from typing import Any

import chat_notation as chat
import pytest
from dialects import messages_run, responses_run
from dialects.mutations import EVERYTHING
from hypothesis import given, settings
from hypothesis import strategies as st

from multiproxy.dialects.chat_fold import ChatFold
from multiproxy.dialects.continuation import MAX_RUN, Journal
from multiproxy.errors import BackendProtocolError

MAKERS = {
    "chat, folded": lambda: ChatFold("req_1"),
    "messages": messages_run.emitter,
    "messages, folded": messages_run.fold,
    "messages, thoughts hidden": lambda: messages_run.emitter(messages_run.HIDES),
    "responses": responses_run.emitter,
    "responses, folded": responses_run.fold,
}

words = st.one_of(st.text(min_size=1, max_size=6), st.sampled_from([" ", "\n\n", '"', "\\", "🙂"]))
runs = st.one_of(  # several of a kind: the first is learned from
    st.lists(st.builds(chat.text, words), min_size=1, max_size=4),
    st.lists(st.builds(chat.reasoning, words), min_size=1, max_size=4),
    st.lists(st.builds(lambda part: chat.call(0, arguments=part), words), min_size=1, max_size=3),
    st.just([chat.call(0, "c0", "f", '{"x":')]),
    st.just([chat.call(1, "c1", "g", "{}")]),
    st.builds(lambda word: [chat.refusal(word)], words),
    st.just([chat.progress(9, 3, 6)]),
    st.just([chat.ERROR]),
)
endings = st.sampled_from(
    [[chat.finish(), chat.usage(), chat.DONE], [chat.finish("length"), chat.DONE], [chat.DONE], []]
)


def outcome(translator: Any, pieces: list[bytes]) -> tuple[object, ...]:
    run = messages_run.run if "Messages" in type(translator).__name__ else responses_run.run
    out = run(translator, pieces)
    return out, translator.events, translator.usage, str(translator.failure)


@pytest.mark.parametrize("name", MAKERS)
@settings(max_examples=80, deadline=None)
@given(events=st.lists(runs, max_size=6), ending=endings)
def test_pieces_of_one_event_give_what_the_whole_stream_gives(
    name: str, events: list[list[bytes]], ending: list[bytes]
) -> None:
    pieces = [chat.ROLE, *(event for run in events for event in run), *ending]
    whole = outcome(MAKERS[name](), [b"".join(pieces)])
    assert outcome(MAKERS[name](), pieces) == whole
    halves = [half for piece in pieces for half in (piece[:9], piece[9:])]
    assert outcome(MAKERS[name](), halves) == whole


@pytest.mark.parametrize("name", MAKERS)
def test_the_short_way_is_taken(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    translator = MAKERS[name]()
    translator.feed(chat.ROLE)
    translator.feed(chat.text("a"))
    translator.feed(chat.text("b"))
    monkeypatch.setattr(translator._reader, "feed", lambda piece: pytest.fail("the long way"))
    said = translator.feed(chat.text("c"))
    assert (b'"c"' in said) is ("folded" not in name)
    assert translator.events == 3


@pytest.mark.parametrize("name", ["messages", "responses"])
@settings(max_examples=40, deadline=None)
@given(events=st.lists(runs, max_size=6), more=st.integers(0, 3 * MAX_RUN))
def test_a_journal_has_all_that_came_on_it(name: str, events: list[list[bytes]], more: int) -> None:
    pieces = [chat.ROLE, *(event for run in events for event in run)]
    pieces += [chat.text(f"{number} ") for number in range(more)]
    translator, alone = MAKERS[name](), Journal()
    translator.journal = Journal()
    for piece in pieces:
        translator.feed(piece)
        alone.add(piece)
    assert translator.journal.spoken(more, None) == alone.spoken(more, None)


def test_a_run_of_the_journal_is_bounded() -> None:
    translator = MAKERS["messages"]()
    translator.journal = Journal()
    longest = 0
    for number in range(5 * MAX_RUN):
        translator.feed(chat.text(f"{number} "))
        longest = max(longest, len(translator._run or ()))
    assert MAX_RUN - 1 <= longest <= MAX_RUN
    assert len(translator.journal._parts) <= 7  # each run has become one event


KEEPERS: dict[str, Any] = {
    "chat, folded": lambda max_answer_size: ChatFold("req_1", max_answer_size=max_answer_size),
    "messages": messages_run.fold,
    "responses": responses_run.emitter,
    "responses, folded": responses_run.fold,
}


@pytest.mark.parametrize("name", KEEPERS)
def test_what_is_kept_is_bounded_on_it_as_well(name: str) -> None:
    translator: Any = KEEPERS[name](max_answer_size=100)
    for _ in range(20):
        translator.feed(chat.text("x" * 9))
    assert isinstance(translator.failure, BackendProtocolError)


@pytest.mark.parametrize("name", MAKERS)
def test_nothing_goes_on_behind_the_end(name: str) -> None:
    translator = MAKERS[name]()
    for piece in (chat.ROLE, chat.text("a"), chat.text("b")):
        translator.feed(piece)
    translator.eof()
    assert translator.feed(chat.text("c")) == b"" and translator.events == 2


def test_everything_at_once_is_the_same_event_by_event() -> None:
    pieces = [event + b"\n\n" for event in EVERYTHING.split(b"\n\n")[:-1]]
    for make in MAKERS.values():
        assert outcome(make(), pieces) == outcome(make(), [EVERYTHING])
