"""What real llama-servers sent, as Responses streams."""

import re

import orjson
import pytest
import recordings
from dialects.responses_run import emitter, failure, told, turn

from multiproxy.errors import BackendDied, ContextExceeded

WHOLE = recordings.names("chat.stream*")
ONE_CHOICE = [name for name in WHOLE if ".n2" not in name]
CUT = ["killed.SIGINT.chat.stream", "killed.SIGKILL.chat.stream", "killed.SIGTERM.chat.stream",
       "router.child-killed.stream"]  # fmt: skip
_FRAGMENT = re.compile(rb'"delta":\{[^}]*"(content|reasoning_content)":("(?:[^"\\]|\\.)*")')


def words(stream: bytes, key: bytes) -> str:
    """The text in the deltas of one key, found without the code under test."""
    return "".join(orjson.loads(text) for name, text in _FRAGMENT.findall(stream) if name == key)


def test_there_are_recordings() -> None:
    assert len(WHOLE) >= 25


@pytest.mark.parametrize("name", ONE_CHOICE)
def test_a_recorded_answer_is_a_legal_stream_and_nothing_of_it_is_lost(name: str) -> None:
    stream = recordings.body(name)
    answer = told(stream)
    assert answer.end["status"] in ("completed", "incomplete")
    reduced = re.sub(rb'"(role|content)":"assistant",', b"", stream)
    texts = {item["type"]: item for item in answer.output if item["type"] != "function_call"}
    message = texts.get("message", {"content": []})
    said = "".join(part["text"] for part in message["content"])
    assert said == (words(reduced, b"content") if said else "")
    thoughts = texts.get("reasoning", {"content": []})
    assert "".join(part["text"] for part in thoughts["content"]) == words(
        reduced, b"reasoning_content"
    )


@pytest.mark.parametrize("name", [name for name in WHOLE if "tools" in name])
def test_recorded_calls_have_valid_arguments(name: str) -> None:
    calls = [item for item in told(recordings.body(name)).output if item["type"] == "function_call"]
    assert calls
    for call in calls:
        assert isinstance(orjson.loads(call["arguments"]), dict) and len(call["call_id"]) == 32


@pytest.mark.parametrize("name", [name for name in ONE_CHOICE if "include_usage" in name])
def test_usage_agrees_with_the_engines_own_timings(name: str) -> None:
    stream = recordings.body(name)
    usage = told(stream).end["usage"]
    timings = orjson.loads(re.findall(rb'"timings":(\{.*?\})', stream)[-1])
    assert usage["input_tokens"] == timings["cache_n"] + timings["prompt_n"]
    assert usage["input_tokens_details"]["cached_tokens"] == timings["cache_n"]
    assert usage["output_tokens"] == timings["predicted_n"]


@pytest.mark.parametrize("name", CUT)
def test_a_killed_server_is_a_failed_response(name: str) -> None:
    assert told(recordings.body(name)).end["status"] == "failed"
    assert isinstance(failure(recordings.body(name)), BackendDied)


def test_an_overflow_in_the_middle_of_a_stream_is_told_as_such() -> None:
    stream = recordings.body("error.mid-stream.chat")
    assert isinstance(failure(stream), ContextExceeded)
    assert told(stream).end["error"]["code"] == "context_length_exceeded"


def test_progress_comes_before_the_first_token() -> None:
    translator = emitter(turn())
    stream = recordings.body("chat.stream.return_progress.long")
    translator.feed(stream[: stream.index(b'"content":"')])
    progress = translator.progress
    assert progress is not None and progress.processed > 0 and not translator.started
