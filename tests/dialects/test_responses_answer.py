"""The order of items in a Responses answer."""

import gc
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
    finish,
    fragment,
    progress,
    reasoning,
    text,
    usage,
)
from dialects.responses_grammar import check
from dialects.responses_run import emitter, fold, said, told, turn
from dialects.running import run

from multiproxy.errors import (
    BackendProtocolError,
)

END = usage() + DONE
MESSAGE_START = ["response.output_item.added", "response.content_part.added"]
MESSAGE_END = [
    "response.output_text.done",
    "response.content_part.done",
    "response.output_item.done",
]
OPENING = ["response.created", "response.in_progress"]
CODEX_TOOLS = [
    {"type": "function", "name": "shell", "parameters": {"type": "object"}},
    {"type": "namespace", "name": "mcp__x", "tools": [{"type": "function", "name": "a"}]},
    {"type": "web_search"},
    {"type": "custom", "name": "apply_patch", "description": "Patches."},
]


def test_text_is_told_as_one_message_with_all_of_its_events() -> None:
    answer = told(ROLE + text("Hel") + text("lo") + finish() + END)
    deltas = ["response.output_text.delta"] * 2
    assert answer.names == [
        *OPENING, *MESSAGE_START, *deltas, *MESSAGE_END, "response.completed",
    ]  # fmt: skip
    (message,) = answer.output
    assert message["role"] == "assistant" and message["status"] == "completed"
    assert message["content"] == [
        {"type": "output_text", "text": "Hello", "annotations": [], "logprobs": []}
    ]
    assert answer.end["usage"] == {
        "input_tokens": 10,
        "input_tokens_details": {"cached_tokens": 6, "cache_write_tokens": 0},
        "output_tokens": 4,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": 14,
    }


def test_text_before_a_call_is_closed_before_the_call_begins() -> None:
    stream = ROLE + text("I look.") + call(0, "call_1", "get", "") + call(0, arguments='{"a"')
    answer = told(stream + call(0, arguments=":1}") + finish("tool_calls") + END)
    assert answer.names == [
        *OPENING, *MESSAGE_START, "response.output_text.delta", *MESSAGE_END,
        "response.output_item.added",
        "response.function_call_arguments.delta", "response.function_call_arguments.delta",
        "response.function_call_arguments.done", "response.output_item.done",
        "response.completed",
    ]  # fmt: skip
    item = answer.output[1]
    assert (item["name"], item["call_id"]) == ("get", "call_1")
    assert item["arguments"] == '{"a":1}' and item["status"] == "completed"
    added = answer.events[8]
    assert added["item"]["arguments"] == ""


def test_two_calls_in_one_chunk_are_two_items() -> None:
    both = calls(fragment(0, "c0", "f", '{"x":1}'), fragment(1, "c1", "g", '{"y":2}'))
    answer = told(ROLE + both + finish("tool_calls") + END)
    assert said(answer) == [("function_call", 'f{"x":1}'), ("function_call", 'g{"y":2}')]


def test_a_missing_role_chunk_changes_nothing() -> None:
    answer = told(text("🙂") + finish() + END)
    assert said(answer) == [("message", "🙂")]


def test_a_repeated_role_chunk_changes_nothing() -> None:
    answer = told(ROLE + progress(1, 0, 1) + ROLE + text("a") + ROLE + finish() + END)
    assert said(answer) == [("message", "a")]


def test_white_space_before_a_call_is_no_message() -> None:
    answer = told(ROLE + text("\n\n") + call(0, "c0", "f", "{}") + finish("tool_calls") + END)
    assert said(answer) == [("function_call", "f{}")]


def test_white_space_before_text_belongs_to_the_text() -> None:
    answer = told(ROLE + reasoning("r") + text("\n") + text("\n") + text("answer") + finish() + END)
    assert said(answer) == [("reasoning", "r"), ("message", "\n\nanswer")]


def test_an_answer_of_white_space_is_empty() -> None:
    answer = told(ROLE + text("  ") + finish() + END)
    assert answer.output == [] and answer.end["status"] == "completed"


def test_endless_white_space_is_told_instead_of_kept() -> None:
    answer = told(ROLE + text(" " * 2000) + text(" ") + finish() + END)
    assert said(answer) == [("message", " " * 2001)]


def test_a_text_cut_by_the_limit_is_incomplete() -> None:
    answer = told(ROLE + reasoning("r") + text("abc") + finish("length") + END)
    assert answer.names[-1] == "response.incomplete"
    assert answer.end["incomplete_details"] == {"reason": "max_output_tokens"}
    assert [item["status"] for item in answer.output] == ["completed", "incomplete"]
    assert answer.end["usage"]["total_tokens"] == 14


def test_reasoning_that_spent_the_whole_limit_is_incomplete() -> None:
    answer = told(ROLE + reasoning("hm") + finish("length") + END)
    assert answer.output[0]["status"] == "incomplete"


def test_reasoning_between_calls_keeps_its_place() -> None:
    stream = ROLE + reasoning("a") + call(0, "c0", "f", "{}") + reasoning("b")
    answer = told(stream + call(1, "c1", "g", "{}") + finish("tool_calls") + END)
    kinds = [kind for kind, _ in said(answer)]
    assert kinds == ["reasoning", "function_call", "reasoning", "function_call"]


def test_everything_in_one_chunk_keeps_the_order_reasoning_text_call() -> None:
    delta = {
        "role": "assistant",
        "reasoning_content": "r",
        "content": "t",
        "tool_calls": [fragment(0, "c0", "f", "{}")],
    }
    answer = told(chunk(delta, "tool_calls") + END)
    assert [kind for kind, _ in said(answer)] == ["reasoning", "message", "function_call"]


def test_an_answer_without_done_is_complete() -> None:
    assert told(ROLE + text("a") + finish() + usage()).end["status"] == "completed"


def test_an_error_behind_the_finish_changes_nothing() -> None:
    answer = told(ROLE + text("a") + finish() + usage() + ERROR)
    assert answer.end["status"] == "completed" and said(answer) == [("message", "a")]


def test_the_worker_may_end_an_answer_that_hangs_behind_its_finish() -> None:
    translator = emitter()
    out = translator.open() + translator.feed(ROLE + text("a") + finish())
    assert translator.finish_reason == "stop" and not translator.finished
    assert check(out + translator.eof()).end["status"] == "completed"
    assert translator.finished and translator.eof() == b""


def test_an_engine_that_ignores_stream_is_read_as_well() -> None:
    message = {"role": "assistant", "content": "Hello", "reasoning_content": "hm"}
    document = {
        "choices": [{"index": 0, "finish_reason": "stop", "message": message}],
        "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5},
    }
    answer = told(orjson.dumps(document))
    assert said(answer) == [("reasoning", "hm"), ("message", "Hello")]
    assert answer.end["usage"]["total_tokens"] == 5


def test_an_answer_beyond_its_limit_fails() -> None:
    translator = emitter(max_answer_size=100)
    out = run(translator, [ROLE, text("x" * 60), text("x" * 60), text("y")])
    assert isinstance(translator.failure, BackendProtocolError)
    assert check(out).end["status"] == "failed" and b'"y"' not in out


@pytest.mark.parametrize("translator", [emitter, fold])
def test_a_translator_is_gone_with_its_last_reference(translator: Any) -> None:
    body = ROLE + reasoning("r") + text("a") + call(0, "c0", "apply_patch", '{"input":"x"}')
    gc.collect()
    gc.disable()
    try:
        for ending in (finish() + END, b"", ERROR):
            run(translator(turn(tools=CODEX_TOOLS)), [body + ending])
        assert gc.collect() == 0
    finally:
        gc.enable()
