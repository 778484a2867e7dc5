"""The response object: times, usage, status."""

from chat_notation import (
    DONE,
    ROLE,
    finish,
    text,
    usage,
    verbose,
)
from dialects.responses_run import NOW, told, turn

END = usage() + DONE
OPENING = ["response.created", "response.in_progress"]


def test_usage_is_estimated_when_the_engine_counts_nothing() -> None:
    answer = told(ROLE + text("hello") + finish() + DONE)
    assert answer.end["usage"]["output_tokens"] == 2  # 5 characters
    assert answer.end["usage"]["input_tokens"] > 0


def test_usage_is_taken_from_timings_when_there_is_no_usage() -> None:
    timings = {"prompt_n": 4, "cache_n": 6, "predicted_n": 9}
    answer = told(ROLE + text("a") + finish(timings=timings) + DONE)
    counts = answer.end["usage"]
    assert (counts["input_tokens"], counts["output_tokens"], counts["total_tokens"]) == (10, 9, 19)
    assert counts["input_tokens_details"]["cached_tokens"] == 6


def test_an_empty_answer_is_complete() -> None:
    answer = told(ROLE + finish() + END)
    assert answer.names == [*OPENING, "response.completed"] and answer.output == []


def test_a_content_filter_makes_the_response_incomplete() -> None:
    answer = told(ROLE + text("a") + finish("content_filter") + END)
    assert answer.end["incomplete_details"] == {"reason": "content_filter"}


def test_a_stop_word_is_a_plain_completion() -> None:
    stream = ROLE + text("a") + finish(__verbose=verbose("word", "x")) + END
    assert told(stream).end["status"] == "completed"


def test_the_times_are_whole_seconds() -> None:
    answer = told(ROLE + text("a") + finish() + END)
    assert answer.end["created_at"] == answer.end["completed_at"] == int(NOW)


def test_a_large_list_of_tools_is_only_repeated_at_the_end() -> None:
    tools = [{"type": "function", "name": "f", "description": "x" * 20_000}]
    answer = told(ROLE + text("a") + finish() + END, turn(tools=tools))
    assert answer.events[0]["response"]["tools"] == []
    assert answer.end["tools"] == tools
