"""What real llama-servers sent, as Messages streams."""

import re

import orjson
import pytest
import recordings
from dialects.messages_run import THINKS, both, emitter, failure, told

from multiproxy.errors import BackendDied, ContextExceeded

WHOLE = recordings.names("chat.stream*")
ONE_CHOICE = [name for name in WHOLE if ".n2" not in name]
CUT = ["killed.SIGINT.chat.stream", "killed.SIGKILL.chat.stream", "killed.SIGTERM.chat.stream",
       "router.child-killed.stream"]  # fmt: skip
_DELTA = re.compile(rb'"(content|reasoning_content)":("(?:[^"\\]|\\.)*")')


def words(stream: bytes, key: bytes) -> str:
    """The text in the deltas of one key, found without the code under test."""
    return "".join(orjson.loads(text) for name, text in _DELTA.findall(stream) if name == key)


def test_there_are_recordings() -> None:
    assert len(WHOLE) >= 20


@pytest.mark.parametrize("name", ONE_CHOICE)
def test_a_recorded_answer_is_a_legal_stream_and_nothing_of_it_is_lost(name: str) -> None:
    stream = recordings.body(name)
    answer = both(stream)
    deltas = re.sub(rb'"__verbose":.*', b"", stream)
    said = "".join(block["text"] for block in answer.blocks if block["type"] == "text")
    assert said == words(deltas, b"content")
    thoughts = [block["thinking"] for block in answer.blocks if block["type"] == "thinking"]
    assert "".join(thoughts) == words(deltas, b"reasoning_content")


@pytest.mark.parametrize("name", [name for name in WHOLE if "tools" in name])
def test_recorded_calls_have_valid_arguments(name: str) -> None:
    answer = both(recordings.body(name))
    calls = [block for block in answer.blocks if block["type"] == "tool_use"]
    assert calls and answer.stop_reason in ("tool_use", "max_tokens")
    for call in calls:
        assert isinstance(orjson.loads(call["input"]), dict) and len(call["id"]) == 32


@pytest.mark.parametrize("name", ONE_CHOICE)
def test_usage_agrees_with_the_engines_own_timings(name: str) -> None:
    stream = recordings.body(name)
    counts = both(stream).usage
    timings = orjson.loads(re.findall(rb'"timings":(\{.*?\})', stream)[-1])
    assert counts["input_tokens"] == timings["prompt_n"]
    assert counts["cache_read_input_tokens"] == timings["cache_n"]
    assert counts["output_tokens"] == timings["predicted_n"]


@pytest.mark.parametrize("name", CUT)
def test_a_killed_server_is_an_error_event(name: str) -> None:
    answer = told(recordings.body(name))
    assert answer.error is not None and answer.error["type"] == "api_error"
    assert isinstance(failure(recordings.body(name)), BackendDied)


def test_an_overflow_in_the_middle_of_a_stream_is_told_as_such() -> None:
    stream = recordings.body("error.mid-stream.chat")
    assert isinstance(failure(stream), ContextExceeded)
    error = told(stream).error
    assert error is not None and error["message"].startswith("prompt is too long: ")


def test_progress_tells_the_start_of_the_message_how_long_its_prompt_is() -> None:
    stream = recordings.body("chat.stream.return_progress")
    translator = emitter(THINKS)
    assert translator.feed(stream[: stream.index(b'"content":"')]) == b""
    progress = translator.progress
    assert progress is not None and not translator.started
    assert b'"input_tokens":%d,' % (progress.total - progress.cache) in translator.open()


def test_the_name_of_a_stop_word_is_found_among_the_verbose_members() -> None:
    stream = recordings.body("chat.stream.verbose")
    assert both(stream).stop_reason == "max_tokens"
