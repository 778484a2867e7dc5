"""Chat answers as internal events."""

from typing import Any

import orjson
import pytest
from chat_notation import (
    DONE,
    ERROR,
    ROLE,
    call,
    calls,
    chunk,
    cuts,
    event,
    finish,
    fragment,
    progress,
    reasoning,
    refusal,
    text,
    usage,
    verbose,
)

from multiproxy.dialects.chat_stream import ChatReader, State
from multiproxy.dialects.events import (
    Done,
    Event,
    Failure,
    Finish,
    Progress,
    Reasoning,
    Refusal,
    StopInfo,
    Text,
    ToolFragment,
    Usage,
)
from multiproxy.errors import BackendDied, BackendError, BackendProtocolError


def read(stream: bytes) -> list[Event]:
    """The events, the same for every way of cutting; failures by their class."""
    whole = read_pieces([stream])
    assert read_pieces([stream[i : i + 1] for i in range(len(stream))]) == whole
    for seed in range(3):
        assert read_pieces(cuts(stream, seed)) == whole
    return whole


def read_pieces(pieces: list[bytes]) -> list[Any]:
    reader = ChatReader()
    events = [event for piece in pieces for event in reader.feed(piece)]
    events += reader.eof()
    assert reader.is_ended and reader.feed(text("late")) == [] == reader.eof()
    return [type(each.error) if isinstance(each, Failure) else each for each in events]


def test_one_chunk_gives_its_events_in_order() -> None:
    delta = {
        "content": "b",
        "reasoning_content": "a",
        "refusal": "c",
        "tool_calls": [fragment(0, "c0", "f", "{"), fragment(1, "c1", "g", "[")],
    }
    timings = {"cache_n": 6, "prompt_n": 4, "predicted_n": 9}
    stream = chunk(
        delta,
        "stop",
        prompt_progress={"total": 3, "cache": 1, "processed": 2},
        __verbose=verbose("word", "x", truncated=True),
        timings=timings,
    )
    events = read(stream + DONE)
    assert events == [
        Progress(3, 1, 2),
        Reasoning("a"),
        Text("b"),
        Refusal("c"),
        ToolFragment(0, "c0", "f", "{"),
        ToolFragment(1, "c1", "g", "["),
        Finish("stop"),
        StopInfo("word", "x", True),
        Usage(10, 6, 9),
        Done(),
    ]
    counted = events[8]
    assert isinstance(counted, Usage) and counted.timings == timings


def test_an_ordinary_answer() -> None:
    stream = ROLE + reasoning("r") + text("a") + refusal("n") + call(0, "c0", "f", "{}")
    assert read(stream + finish("tool_calls") + usage(10, 6, 4) + DONE) == [
        Reasoning("r"),
        Text("a"),
        Refusal("n"),
        ToolFragment(0, "c0", "f", "{}"),
        Finish("tool_calls"),
        Usage(10, 6, 4),
        Done(),
    ]


def test_logprobs_travel_with_their_text() -> None:
    entries = [{"token": "a", "logprob": -1.0}]
    choice = {"index": 0, "delta": {"content": "a"}, "logprobs": {"content": entries}}
    assert read(event({"choices": [choice]}) + finish() + DONE)[0] == Text("a", entries)


def test_other_choices_and_chunks_without_choices_are_passed_over() -> None:
    other = event({"choices": [{"index": 1, "delta": {"content": "x"}, "finish_reason": "stop"}]})
    empty = event({"choices": []}) + event({"id": "x"}) + event(None) + event({"choices": None})
    assert read(other + empty + text("a") + finish() + DONE) == [
        Text("a"),
        Finish("stop"),
        Done(),
    ]


def test_empty_texts_are_no_events() -> None:
    stream = text("") + reasoning("") + refusal("") + chunk({}) + chunk({"tool_calls": None})
    assert read(stream + finish() + DONE) == [Finish("stop"), Done()]


def test_odd_fragments_are_read_for_what_they_say() -> None:
    odd = {"index": "0", "id": 7, "function": {"name": None, "arguments": {"x": 1}}}
    stream = calls(odd, {}, {"function": None}) + chunk({"tool_calls": [None, 5]})
    assert read(stream + finish() + DONE)[:3] == [
        ToolFragment(None, "7", "", '{"x":1}'),
        ToolFragment(None, "", "", ""),
        ToolFragment(None, "", "", ""),
    ]


def test_the_last_usage_wins_and_later_timings_add_only_times() -> None:
    timings = {"cache_n": 1, "prompt_n": 1, "predicted_n": 1, "prompt_ms": 2.5}
    stream = usage(1, 0, 1) + text("a") + finish() + usage(10, 6, 4)
    counts = [
        each
        for each in read(stream + event({"choices": [], "timings": timings}) + DONE)
        if isinstance(each, Usage)
    ]
    assert counts == [Usage(1, 0, 1), Usage(10, 6, 4), Usage(10, 6, 4)]
    assert counts[-1].timings == timings


def test_reasoning_tokens_are_counted() -> None:
    details = {"reasoning_tokens": 3}
    counts = {"prompt_tokens": 5, "completion_tokens": 7, "completion_tokens_details": details}
    assert Usage(5, 0, 7, 3) in read(finish() + event({"usage": counts}) + DONE)


def test_numbers_that_are_none_count_as_nothing() -> None:
    counts = {"prompt_tokens": "x", "completion_tokens": -1, "prompt_tokens_details": 5}
    assert Usage(0, 0, 0) in read(finish() + event({"usage": counts}) + DONE)
    assert Progress(0, 0, 0) in read(event({"prompt_progress": {"total": None}}) + finish() + DONE)


@pytest.mark.parametrize(
    ("stream", "kind"),
    [
        (text("a"), BackendDied),
        (text("a") + DONE, BackendDied),
        (b"", BackendDied),
        (b"<html>\n\n", BackendDied),
        (text("a") + ERROR, BackendError),
        (text("a") + b"error: oops\n\n", BackendError),
        (b"data: nonsense\n\n", BackendProtocolError),
        (event([]), BackendProtocolError),
        (event(5), BackendProtocolError),
        (chunk({"content": {}}), BackendProtocolError),
        (finish("abort"), BackendError),
        (text("a").replace(b'"a"', b"[" * 300 + b"]" * 300), BackendProtocolError),
        (b'{"choices":', BackendDied),
        (b'{"detail":"x"}', BackendDied),
    ],
)
def test_a_broken_answer_ends_with_a_failure(stream: bytes, kind: type) -> None:
    assert read(stream)[-1] is kind


def test_a_finish_without_an_end_mark_is_a_success() -> None:
    assert read(text("a") + finish())[-1] == Done()
    reader = ChatReader()
    reader.feed(text("a") + finish())
    assert reader.state is State.FINISHED


def test_the_end_may_lack_its_blank_line() -> None:
    assert read(text("a") + finish().rstrip()) == [Text("a"), Finish("stop"), Done()]
    assert read(text("a") + finish() + b"data: [DONE]  ") == [Text("a"), Finish("stop"), Done()]


def test_a_lone_surrogate_of_a_backend_is_replaced() -> None:
    stream = text("?").replace(b"?", b"\\ud83d") + finish() + DONE
    assert read(stream)[0] == Text("\ufffd")


def test_comments_are_signs_of_life() -> None:
    reader = ChatReader()
    assert reader.feed(b":\n\n: ping\n\n") == [] and reader.comments == 2


def test_a_document_is_read_at_its_end_and_bounded() -> None:
    message = {"role": "assistant", "content": "a", "reasoning_content": "r"}
    document = {"choices": [{"message": message, "finish_reason": "stop"}]}
    assert read(b" \n" + orjson.dumps(document)) == [
        Reasoning("r"),
        Text("a"),
        Finish("stop"),
        Done(),
    ]
    reader = ChatReader(max_answer_size=10)
    (failure,) = reader.feed(orjson.dumps(document))
    assert isinstance(failure, Failure) and isinstance(failure.error, BackendProtocolError)
    assert reader.feed(b"x" * 100) == []


def test_progress_grows() -> None:
    stream = progress(100, 40, 60) + progress(100, 40, 100)
    assert read(stream)[:2] == [Progress(100, 40, 60), Progress(100, 40, 100)]


def test_whoever_watches_sees_the_chunks_that_say_more_than_a_delta() -> None:
    seen: list[Any] = []
    reader = ChatReader(on_chunk=seen.append)
    reader.feed(ROLE + text("a") + text("b") + finish() + usage() + DONE)
    assert [len(each["choices"]) for each in seen] == [1, 1, 0]


@pytest.mark.parametrize("line", [b"error: ", b"event: error\ndata: "])
def test_a_named_error_is_told_in_the_backends_words_alone(line: bytes) -> None:
    reader = ChatReader()
    (event,) = reader.feed(line + b'{"code":500,"message":"boom","type":"server_error"}\n\n')
    assert isinstance(event, Failure) and event.error.message == "The backend failed: boom"
