"""Streams of Chat chunks and the Responses events that must come of them."""

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
from dialects.responses_grammar import check
from dialects.responses_run import NOW, emitter, failure, fold, run, told, turn

from multiproxy.errors import (
    BackendDied,
    BackendProtocolError,
    ContextExceeded,
    RateLimited,
)

END = usage() + DONE
MESSAGE_START = ["response.output_item.added", "response.content_part.added"]
MESSAGE_END = [
    "response.output_text.done",
    "response.content_part.done",
    "response.output_item.done",
]
OPENING = ["response.created", "response.in_progress"]
FUNCTION = {"type": "function", "name": "f", "parameters": {"type": "object"}}


def said(answer: Any) -> list[tuple[str, str]]:
    """Type and text of every output item."""
    out = []
    for item in answer.output:
        match item["type"]:
            case "message":
                body = "".join(part.get("text", part.get("refusal")) for part in item["content"])
            case "reasoning":
                body = "".join(part["text"] for part in item["content"] + item["summary"])
            case "function_call":
                body = item["name"] + item["arguments"]
            case _:
                body = item["name"] + item["input"]
        out.append((item["type"], body))
    return out


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


def test_a_first_fragment_that_carries_arguments_is_not_lost() -> None:
    answer = told(ROLE + call(0, "c0", "f", '{"x":1}') + finish("tool_calls") + END)
    assert said(answer) == [("function_call", 'f{"x":1}')]


@pytest.mark.parametrize("reason", ["stop", "tool_calls", "function_call", "something new"])
def test_the_finish_reason_does_not_decide_whether_a_call_is_complete(reason: str) -> None:
    answer = told(ROLE + call(0, "c0", "f", "{}") + finish(reason) + END)
    assert answer.end["status"] == "completed"
    assert said(answer) == [("function_call", "f{}")]


def test_sequential_parallel_calls_keep_their_ids_and_arguments() -> None:
    first = call(0, "c0", "f", '{"x":') + call(0, arguments="1}")
    answer = told(ROLE + first + call(1, "c1", "g", '{"y":2}') + finish("tool_calls") + END)
    assert said(answer) == [("function_call", 'f{"x":1}'), ("function_call", 'g{"y":2}')]
    assert [item["call_id"] for item in answer.output] == ["c0", "c1"]
    # The first one is done before the second one begins: it can be run already.
    assert answer.names[6:8] == ["response.output_item.done", "response.output_item.added"]


def test_interleaved_calls_stay_open_side_by_side() -> None:
    stream = ROLE + call(0, "c0", "f", '{"x":') + call(1, "c1", "g", '{"y":')
    stream += call(0, arguments="1}") + call(1, arguments="2}") + finish("tool_calls") + END
    answer = told(stream)
    assert said(answer) == [("function_call", 'f{"x":1}'), ("function_call", 'g{"y":2}')]
    assert [event["output_index"] for event in answer.events[2:-1]] == [
        0,
        0,
        1,
        1,
        0,
        1,
        0,
        0,
        1,
        1,
    ]


def test_two_calls_in_one_chunk_are_two_items() -> None:
    both = calls(fragment(0, "c0", "f", '{"x":1}'), fragment(1, "c1", "g", '{"y":2}'))
    answer = told(ROLE + both + finish("tool_calls") + END)
    assert said(answer) == [("function_call", 'f{"x":1}'), ("function_call", 'g{"y":2}')]


@pytest.mark.parametrize("ending", [b"", DONE], ids=["clean end", "[DONE]"])
def test_an_answer_that_ends_without_a_finish_reason_is_told_as_failed(ending: bytes) -> None:
    answer = told(ROLE + text("a") + ending)
    assert answer.names[-2:] == ["response.failed", "error"]
    assert answer.end["error"]["code"] == "server_error" and answer.end["usage"] is None
    assert answer.end["output"] == []
    error = answer.events[-1]
    assert error["error"] == {
        "type": "server_error",
        "code": "server_error",
        "message": error["message"],
        "param": None,
    }
    assert isinstance(failure(ROLE + text("a") + ending), BackendDied)


def test_items_that_were_done_before_a_failure_are_in_the_failed_response() -> None:
    answer = told(ROLE + reasoning("hm") + text("a") + ERROR)
    assert [item["type"] for item in answer.end["output"]] == ["reasoning"]


def test_an_error_before_any_content_comes_behind_created() -> None:
    answer = told(ERROR)
    assert answer.names == [*OPENING, "response.failed", "error"]


def test_an_overflow_inside_the_stream_has_the_code_that_agents_look_for() -> None:
    message = "the request exceeds the available context size, try increasing it"
    stream = event({"error": {"code": 400, "message": message, "type": "invalid_request_error"}})
    answer = told(stream)
    assert answer.end["error"]["code"] == "context_length_exceeded"
    assert answer.events[-1]["error"]["type"] == "invalid_request_error"


def test_failures_of_the_worker_are_told_with_their_codes() -> None:
    overflow = emitter()
    events = check(overflow.fail(ContextExceeded(6010, 2048))).events
    assert events[-1]["code"] == "context_length_exceeded"
    assert "2048" in events[-1]["message"]
    limited = emitter()
    answer = check(limited.open() + limited.fail(RateLimited("Please try again in 3s.")))
    assert answer.end["error"]["code"] == "rate_limit_exceeded"


def test_a_prompt_that_the_template_refuses_is_told_as_the_prompts_fault() -> None:
    message = "Jinja Exception: Conversation roles must alternate user/assistant"
    answer = told(event({"error": {"code": 500, "message": message, "type": "server_error"}}))
    assert answer.end["error"] == {"code": "invalid_prompt", "message": message}


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


def test_keep_alives_are_events_with_rising_numbers_at_any_time() -> None:
    translator = emitter()
    out = translator.open() + translator.feed(progress(100, 40, 60)) + translator.keep_alive()
    out += translator.keep_alive() + translator.feed(ROLE + text("a")) + translator.keep_alive()
    out += translator.feed(text("b") + finish() + END)
    names = check(out).names
    assert names.count("response.in_progress") == 4
    assert names[-5] == "response.output_text.delta"
    assert translator.progress is not None and translator.progress.total == 100


def test_progress_writes_nothing() -> None:
    translator = emitter()
    assert translator.feed(progress(100, 40, 60) + progress(100, 40, 100) + ROLE) == b""
    assert not translator.started


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


def test_an_empty_answer_is_complete() -> None:
    answer = told(ROLE + finish() + END)
    assert answer.names == [*OPENING, "response.completed"] and answer.output == []


def test_a_call_without_arguments_gets_an_empty_object() -> None:
    answer = told(ROLE + call(0, "c0", "f", "") + finish("tool_calls") + END)
    assert answer.deltas(0) == "{}" and answer.output[0]["arguments"] == "{}"
    assert "response.function_call_arguments.done" in answer.names


def test_a_text_cut_by_the_limit_is_incomplete() -> None:
    answer = told(ROLE + reasoning("r") + text("abc") + finish("length") + END)
    assert answer.names[-1] == "response.incomplete"
    assert answer.end["incomplete_details"] == {"reason": "max_output_tokens"}
    assert [item["status"] for item in answer.output] == ["completed", "incomplete"]
    assert answer.end["usage"]["total_tokens"] == 14


def test_a_call_cut_by_the_limit_is_never_done() -> None:
    answer = told(ROLE + call(0, "c0", "f", '{"x":') + finish("length") + END)
    assert "response.function_call_arguments.done" not in answer.names
    (item,) = answer.output
    assert item["status"] == "incomplete" and item["arguments"] == '{"x":'


def test_a_call_that_was_whole_when_the_limit_came_is_done() -> None:
    first = call(0, "c0", "f", '{"x":1}')
    answer = told(ROLE + first + call(1, "c1", "g", "") + finish("length") + END)
    assert said(answer) == [("function_call", 'f{"x":1}')]
    assert answer.output[0]["status"] == "completed"


def test_reasoning_that_spent_the_whole_limit_is_incomplete() -> None:
    answer = told(ROLE + reasoning("hm") + finish("length") + END)
    assert answer.output[0]["status"] == "incomplete"


def test_a_name_that_grows_is_one_call() -> None:
    stream = ROLE + call(0, "c0", "get", "") + call(0, "c0", "get_weather", "")
    answer = told(stream + call(0, arguments="{}") + finish("tool_calls") + END)
    assert said(answer) == [("function_call", "get_weather{}")]


@pytest.mark.parametrize("index", [0, None], ids=["all calls have index 0", "no index"])
def test_calls_are_told_apart_without_useful_indices(index: int | None) -> None:
    stream = ROLE + call(index, "c0", "f", "{}") + call(index, "c1", "g", '{"y":')
    answer = told(stream + call(index, arguments="2}") + finish("tool_calls") + END)
    assert said(answer) == [("function_call", "f{}"), ("function_call", 'g{"y":2}')]


def test_a_call_id_that_comes_twice_is_made_unique() -> None:
    stream = ROLE + call(0, "call_0", "f", "{}") + call(1, "call_0", "g", "{}")
    answer = told(stream + finish("tool_calls") + END)
    first, second = (item["call_id"] for item in answer.output)
    assert first == "call_0" and second.startswith("call_0_")


def test_a_call_id_of_the_history_is_made_unique() -> None:
    history = [
        {"role": "user", "content": "hi"},
        {"type": "function_call", "call_id": "call_0", "name": "f", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "call_0", "output": "ok"},
    ]
    stream = ROLE + call(0, "call_0", "f", "{}") + finish("tool_calls") + END
    answer = told(stream, turn(input=history))
    assert answer.output[0]["call_id"].startswith("call_0_")


def test_an_exotic_call_id_is_kept() -> None:
    answer = told(ROLE + call(0, "functions.f:0", "f", "{}") + finish("tool_calls") + END)
    assert answer.output[0]["call_id"] == "functions.f:0"


def test_a_missing_call_id_is_made_up() -> None:
    answer = told(ROLE + call(0, None, "f", "{}") + finish("tool_calls") + END)
    assert answer.output[0]["call_id"].startswith("call_")


def test_arguments_sent_as_an_object_become_text() -> None:
    answer = told(ROLE + call(0, "c0", "f", {"x": 1}) + finish("tool_calls") + END)
    assert said(answer) == [("function_call", 'f{"x":1}')]


def test_text_during_an_open_call_is_a_message_of_its_own() -> None:
    stream = ROLE + call(0, "c0", "f", '{"x":') + text("oops") + call(0, arguments="1}")
    answer = told(stream + finish("tool_calls") + END)
    assert said(answer) == [("function_call", 'f{"x":1}'), ("message", "oops")]


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


def test_a_refusal_after_text_is_a_part_of_its_own() -> None:
    answer = told(ROLE + text("Well. ") + refusal("I ") + refusal("won't.") + finish() + END)
    (message,) = answer.output
    assert [part["type"] for part in message["content"]] == ["output_text", "refusal"]
    assert message["content"][1] == {"type": "refusal", "refusal": "I won't."}
    assert answer.names.count("response.refusal.delta") == 2


def test_a_content_filter_makes_the_response_incomplete() -> None:
    answer = told(ROLE + text("a") + finish("content_filter") + END)
    assert answer.end["incomplete_details"] == {"reason": "content_filter"}


@pytest.mark.parametrize(
    "stream",
    [ERROR, b'error: {"code":500,"message":"boom"}\n\n', b"event: error\ndata: boom\n\n"],
    ids=["error object", "legacy error line", "error event"],
)
def test_an_error_in_the_stream_keeps_the_backends_words(stream: bytes) -> None:
    answer = told(ROLE + text("a") + stream)
    assert answer.end["error"]["code"] == "server_error"
    assert "boom" in answer.end["error"]["message"]


def test_an_event_that_is_no_json_fails_the_answer() -> None:
    stream = ROLE + b'data: {"choices":[\n\n' + text("a") + finish() + END
    assert told(stream).end["status"] == "failed"
    assert isinstance(failure(stream), BackendProtocolError)


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


def test_only_the_first_call_is_told_when_the_client_wants_one() -> None:
    both = calls(fragment(0, "c0", "f", '{"x":1}'), fragment(1, "c1", "g", '{"y":2}'))
    stream = ROLE + both + finish("tool_calls") + END
    answer = told(stream, turn(parallel_tool_calls=False, tools=[FUNCTION]))
    assert said(answer) == [("function_call", 'f{"x":1}')]
    assert answer.end["parallel_tool_calls"] is False


def test_malformed_arguments_reach_the_client_as_they_are() -> None:
    answer = told(ROLE + call(0, "c0", "f", "oops") + finish("tool_calls") + END)
    assert said(answer) == [("function_call", "foops")]


def test_a_call_without_a_name_is_left_out() -> None:
    stream = ROLE + text("a") + call(0, "c0", None, "{}") + finish("tool_calls") + END
    answer = told(stream)
    assert said(answer) == [("message", "a")] and answer.end["status"] == "completed"


def test_a_call_whose_arguments_never_come_keeps_its_place() -> None:
    stream = ROLE + call(0, "c0", "f", "") + call(1, "c1", "g", '{"y":2}')
    answer = told(stream + finish("tool_calls") + END)
    assert said(answer) == [("function_call", "f{}"), ("function_call", 'g{"y":2}')]


def test_an_answer_of_nothing_but_a_nameless_call_is_a_failure() -> None:
    stream = ROLE + call(0, "c0", None, "{}") + finish("tool_calls") + END
    assert told(stream).end["status"] == "failed"
    assert isinstance(failure(stream), BackendProtocolError)


def test_an_engine_that_ignores_stream_is_read_as_well() -> None:
    message = {"role": "assistant", "content": "Hello", "reasoning_content": "hm"}
    document = {
        "choices": [{"index": 0, "finish_reason": "stop", "message": message}],
        "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5},
    }
    answer = told(orjson.dumps(document))
    assert said(answer) == [("reasoning", "hm"), ("message", "Hello")]
    assert answer.end["usage"]["total_tokens"] == 5


def test_logprobs_are_in_the_delta_the_done_and_the_item() -> None:
    entry = {"token": "a", "logprob": -0.5, "bytes": [97], "top_logprobs": []}
    choice = {"index": 0, "delta": {"content": "a"}, "logprobs": {"content": [entry]}}
    answer = told(ROLE + event({"choices": [choice]}) + text("b") + finish() + END)
    deltas = [each for each in answer.events if each["type"] == "response.output_text.delta"]
    assert [each["logprobs"] for each in deltas] == [[entry], []]
    assert answer.output[0]["content"][0]["logprobs"] == [entry]


def test_a_stop_word_is_a_plain_completion() -> None:
    stream = ROLE + text("a") + finish(__verbose=verbose("word", "x")) + END
    assert told(stream).end["status"] == "completed"


# -- reasoning ---------------------------------------------------------------------------------


def test_reasoning_is_raw_text_unless_a_summary_was_asked_for() -> None:
    answer = told(ROLE + reasoning("th") + reasoning("ink") + text("ok") + finish() + END)
    assert answer.names[2:9] == [
        "response.output_item.added", "response.content_part.added",
        "response.reasoning_text.delta", "response.reasoning_text.delta",
        "response.reasoning_text.done", "response.content_part.done",
        "response.output_item.done",
    ]  # fmt: skip
    item = answer.output[0]
    assert item["content"] == [{"type": "reasoning_text", "text": "think"}]
    assert item["summary"] == [] and item["encrypted_content"] is None


@pytest.mark.parametrize("key", ["summary", "generate_summary"])
def test_reasoning_is_a_summary_when_one_was_asked_for(key: str) -> None:
    stream = ROLE + reasoning("think") + text("ok") + finish() + END
    answer = told(stream, turn(reasoning={key: "auto"}))
    assert answer.names[2:8] == [
        "response.output_item.added", "response.reasoning_summary_part.added",
        "response.reasoning_summary_text.delta", "response.reasoning_summary_text.done",
        "response.reasoning_summary_part.done", "response.output_item.done",
    ]  # fmt: skip
    item = answer.output[0]
    assert item["summary"] == [{"type": "summary_text", "text": "think"}] and item["content"] == []


def test_sealed_reasoning_comes_back_to_the_backend() -> None:
    stream = ROLE + reasoning("think") + text("ok") + finish() + END
    item = told(stream, turn(include=["reasoning.encrypted_content"])).output[0]
    assert item["encrypted_content"].startswith("mp1.z.")
    replayed = {"type": "reasoning", "summary": [], "encrypted_content": item["encrypted_content"]}
    body = turn(input=[{"role": "user", "content": "hi"}, replayed]).body
    assert body["messages"][1]["reasoning_content"] == "think"


# -- tools in the client's words ---------------------------------------------------------------

CODEX_TOOLS = [
    {"type": "function", "name": "shell", "parameters": {"type": "object"}},
    {"type": "namespace", "name": "mcp__x", "tools": [{"type": "function", "name": "a"}]},
    {"type": "web_search"},
    {"type": "custom", "name": "apply_patch", "description": "Patches."},
]


@pytest.mark.parametrize("name", ["mcp__x__a", "a"], ids=["flat", "bare"])
def test_a_namespaces_call_comes_back_with_name_and_namespace(name: str) -> None:
    stream = ROLE + call(0, "c0", name, "{}") + finish("tool_calls") + END
    item = told(stream, turn(tools=CODEX_TOOLS)).output[0]
    assert (item["name"], item["namespace"]) == ("a", "mcp__x")


def test_a_custom_tools_input_is_unwrapped_while_it_is_written() -> None:
    raw = '{"input":"*** Begin\\nPatch \\ud83d\\ude42"}'
    at = raw.index("\\n") + 1
    fragments = [raw[:at], raw[at:-9], raw[-9:]]
    stream = ROLE + call(0, "c0", "apply_patch", fragments[0])
    stream += b"".join(call(0, arguments=each) for each in fragments[1:])
    answer = told(stream + finish("tool_calls") + END, turn(tools=CODEX_TOOLS))
    item = answer.output[0]
    assert item["type"] == "custom_tool_call" and item["input"] == "*** Begin\nPatch 🙂"
    assert answer.deltas(0) == item["input"]
    assert answer.names.count("response.custom_tool_call_input.delta") == 3
    assert answer.names.count("response.custom_tool_call_input.done") == 1


@pytest.mark.parametrize(
    ("arguments", "text_of_input"),
    [
        ("", ""),
        ('{"patch":"x"}', "x"),
        ("plain text", "plain text"),
        ('{"n":1}', '{"n":1}'),
    ],
)
def test_a_custom_tools_input_is_found_in_other_forms(arguments: str, text_of_input: str) -> None:
    stream = ROLE + call(0, "c0", "apply_patch", arguments) + finish("tool_calls") + END
    answer = told(stream, turn(tools=CODEX_TOOLS))
    assert answer.output[0]["input"] == text_of_input


def test_a_custom_input_that_turns_out_otherwise_is_only_told_as_a_whole() -> None:
    stream = ROLE + call(0, "c0", "apply_patch", '{"input":"a","input":"bcd"}')
    answer = told(stream + finish("tool_calls") + END, turn(tools=CODEX_TOOLS))
    assert (answer.output[0]["input"], answer.deltas(0)) == ("bcd", "a")


def test_a_custom_call_cut_by_the_limit_keeps_what_was_told() -> None:
    stream = ROLE + call(0, "c0", "apply_patch", '{"input":"ab') + finish("length") + END
    item = told(stream, turn(tools=CODEX_TOOLS)).output[0]
    assert (item["input"], item["status"]) == ("ab", "incomplete")


@pytest.mark.parametrize(
    ("tool", "arguments", "members"),
    [
        (
            "local_shell",
            {"command": ["ls"], "workdir": "/"},
            {"action": {"type": "exec", "env": {}, "command": ["ls"], "working_directory": "/"}},
        ),
        ("shell", {"commands": ["ls", "id"]}, {"action": {"commands": ["ls", "id"]}}),
        (
            "apply_patch",
            {"operation": {"type": "delete_file", "path": "a"}},
            {"operation": {"type": "delete_file", "path": "a"}},
        ),
        ("tool_search", {"query": "x"}, {"arguments": {"query": "x"}, "execution": "client"}),
    ],
)
def test_a_built_in_tools_call_comes_back_as_its_item(
    tool: str, arguments: dict[str, Any], members: dict[str, Any]
) -> None:
    raw = orjson.dumps(arguments).decode()
    stream = ROLE + call(0, "c0", tool, raw[:5]) + call(0, arguments=raw[5:])
    answer = told(stream + finish("tool_calls") + END, turn(tools=[{"type": tool}]))
    item = answer.output[0]
    assert item == {
        "type": f"{tool}_call", "id": item["id"], "call_id": "c0", **members, "status": "completed",
    }  # fmt: skip
    again = turn(input=[{"role": "user", "content": "hi"}, item], tools=[{"type": tool}]).body
    replayed = again["messages"][1]["tool_calls"][0]["function"]
    assert (replayed["name"], orjson.loads(replayed["arguments"])) == (tool, arguments)


def test_a_built_in_tools_unusable_call_is_a_plain_function_call() -> None:
    stream = ROLE + call(0, "c0", "shell", '{"commands":1}') + finish("tool_calls") + END
    answer = told(stream, turn(tools=[{"type": "shell"}]))
    assert said(answer) == [("function_call", 'shell{"commands":1}')]


def test_a_built_in_tools_broken_call_is_a_plain_function_call() -> None:
    stream = ROLE + call(0, "c0", "tool_search", '{"query":"x') + finish("stop") + END
    answer = told(stream, turn(tools=[{"type": "tool_search"}]))
    assert said(answer) == [("function_call", 'tool_search{"query":"x')]


# -- attempts ----------------------------------------------------------------------------------


def test_a_failover_before_content_goes_on_with_the_same_response() -> None:
    first = emitter()
    out = first.open() + first.feed(ROLE + progress(10, 0, 5)) + first.keep_alive() + first.eof()
    assert first.failure is not None and not first.started
    second = emitter(resume_from=first)
    assert second.open() == b""
    out += second.feed(ROLE + text("a") + finish() + usage(20, 5, 1) + DONE)
    answer = check(out)
    assert answer.names.count("response.in_progress") == 2
    assert answer.end["usage"]["input_tokens"] == 20


def test_started_tells_that_content_was_given_out() -> None:
    translator = emitter()
    translator.feed(ROLE + text("\n"))
    assert not translator.started
    translator.feed(text("a"))
    assert translator.started and translator.events == 2


def test_a_whole_stream_fed_without_open_begins_with_created() -> None:
    translator = emitter()
    assert check(translator.feed(ROLE + text("a") + finish() + END)).names[:2] == OPENING


def test_the_times_are_whole_seconds() -> None:
    answer = told(ROLE + text("a") + finish() + END)
    assert answer.end["created_at"] == answer.end["completed_at"] == int(NOW)


def test_a_large_list_of_tools_is_only_repeated_at_the_end() -> None:
    tools = [{"type": "function", "name": "f", "description": "x" * 20_000}]
    answer = told(ROLE + text("a") + finish() + END, turn(tools=tools))
    assert answer.events[0]["response"]["tools"] == []
    assert answer.end["tools"] == tools


def test_an_answer_beyond_its_limit_fails() -> None:
    translator = emitter(max_answer_size=100)
    out = run(translator, [ROLE, text("x" * 60), text("x" * 60), text("y")])
    assert isinstance(translator.failure, BackendProtocolError)
    assert check(out).end["status"] == "failed" and b'"y"' not in out


def test_arguments_beyond_the_limit_fail() -> None:
    translator = emitter(max_answer_size=100)
    run(translator, [ROLE, call(0, "c0", "f", '{"x":"'), *[call(0, arguments="x" * 60)] * 3])
    assert isinstance(translator.failure, BackendProtocolError)


def test_many_small_deltas_are_read_in_linear_time() -> None:
    size = 20_000
    pieces = b"".join(call(0, arguments="x") for _ in range(size))
    stream = ROLE + call(0, "c0", "f", '{"x":"') + pieces + call(0, arguments='"}')
    translator = emitter()
    out = run(translator, [stream, finish("tool_calls") + END])
    assert orjson.loads(check(out).output[0]["arguments"]) == {"x": "x" * size}


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
