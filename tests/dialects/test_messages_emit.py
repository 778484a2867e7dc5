"""Streams of Chat chunks and the Messages events that must come of them."""

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
from dialects.messages_grammar import check
from dialects.messages_run import HIDES, THINKS, both, emitter, failure, folded, run, told

from multiproxy.dialects.messages_turn import MessagesTurn
from multiproxy.errors import BackendDied, BackendError, BackendProtocolError, ContextExceeded

END = usage() + DONE
TIMINGS = {"prompt_n": 4, "cache_n": 6, "predicted_n": 9}


def said(answer: Any) -> list[tuple[str, ...]]:
    """Type and content of every block."""
    out: list[tuple[str, ...]] = []
    for block in answer.blocks:
        match block["type"]:
            case "text":
                out.append(("text", block["text"]))
            case "thinking":
                out.append(("thinking", block["thinking"]))
            case _:
                out.append((block["name"], block["input"]))
    return out


def test_text_is_told_event_by_event() -> None:
    stream = ROLE + text("Hel") + text("lo") + finish() + END
    assert run(emitter(), [stream]) == (
        b'event: message_start\ndata: {"type":"message_start","message":{"id":"msg_01'
        + emitter().message_id[6:].encode()
        + b'","type":"message","role":"assistant","model":"demo","content":[],"stop_reason":null,'
        b'"stop_sequence":null,"usage":{"input_tokens":0,"cache_creation_input_tokens":0,'
        b'"cache_read_input_tokens":0,"output_tokens":0}}}\n\n'
        b'event: content_block_start\ndata: {"type":"content_block_start","index":0,'
        b'"content_block":{"type":"text","text":""}}\n\n'
        b'event: content_block_delta\ndata: {"type":"content_block_delta","index":0,'
        b'"delta":{"type":"text_delta","text":"Hel"}}\n\n'
        b'event: content_block_delta\ndata: {"type":"content_block_delta","index":0,'
        b'"delta":{"type":"text_delta","text":"lo"}}\n\n'
        b'event: content_block_stop\ndata: {"type":"content_block_stop","index":0}\n\n'
        b'event: message_delta\ndata: {"type":"message_delta","delta":{"stop_reason":"end_turn",'
        b'"stop_sequence":null},"usage":{"input_tokens":4,"cache_creation_input_tokens":0,'
        b'"cache_read_input_tokens":6,"output_tokens":4}}\n\n'
        b'event: message_stop\ndata: {"type":"message_stop"}\n\n'
    )
    assert said(both(stream)) == [("text", "Hello")]


def test_a_tool_call_behind_text_is_a_block_of_its_own() -> None:
    stream = ROLE + text("I look.") + call(0, "call_1", "get", "") + call(0, arguments='{"a"')
    answer = both(stream + call(0, arguments=":1}") + finish("tool_calls") + END)
    assert said(answer) == [("text", "I look."), ("get", '{"a":1}')]
    assert answer.blocks[1]["id"] == "call_1"
    assert answer.stop_reason == "tool_use"
    assert answer.names.count("content_block_stop") == 2


CALLS: dict[str, tuple[bytes, list[tuple[str, str]]]] = {
    "the first fragment carries arguments": (
        call(0, "c0", "f", '{"x":1}'),
        [("f", '{"x":1}')],
    ),
    "two calls one after the other": (
        call(0, "c0", "f", '{"x":') + call(0, arguments="1}") + call(1, "c1", "g", '{"y":2}'),
        [("f", '{"x":1}'), ("g", '{"y":2}')],
    ),
    "two calls interleaved": (
        call(0, "c0", "f", '{"x":')
        + call(1, "c1", "g", '{"y":')
        + call(0, arguments="1}")
        + call(1, arguments="2}"),
        [("f", '{"x":1}'), ("g", '{"y":2}')],
    ),
    "two calls in one chunk": (
        calls(fragment(0, "c0", "f", '{"x":1}'), fragment(1, "c1", "g", '{"y":2}')),
        [("f", '{"x":1}'), ("g", '{"y":2}')],
    ),
    "a name that grows": (
        call(0, "c0", "get", "") + call(0, "c0", "get_weather", "") + call(0, arguments="{}"),
        [("get_weather", "{}")],
    ),
    "a name in pieces": (
        call(0, "c0", "get_") + call(0, name="weather") + call(0, arguments="{}"),
        [("get_weather", "{}")],
    ),
    "index 0 for every call": (
        call(0, "c0", "f", "{}") + call(0, "c1", "g", "{}"),
        [("f", "{}"), ("g", "{}")],
    ),
    "no index": (
        call(None, "c0", "f", "{}") + call(None, "c1", "g", '{"y":') + call(None, arguments="2}"),
        [("f", "{}"), ("g", '{"y":2}')],
    ),
    "the id with every fragment": (
        call(0, "c0", "f", '{"x"') + call(0, "c0", "f", ":1}"),
        [("f", '{"x":1}')],
    ),
    "arguments as an object": (call(0, "c0", "f", {"x": 1}), [("f", '{"x":1}')]),
    "no arguments": (call(0, "c0", "f", ""), [("f", "")]),
    "white space behind the arguments": (
        call(0, "c0", "f", '{"x":1}') + call(0, arguments=" \n"),
        [("f", '{"x":1}')],
    ),
    "the old function_call": (
        chunk({"function_call": {"name": "f", "arguments": "{}"}}),
        [("f", "{}")],
    ),
    "white space before the call": (
        text("\n\n") + call(0, "c0", "f", "{}"),
        [("f", "{}")],
    ),
    "text while the call is open": (
        call(0, "c0", "f", '{"x":') + text("oops") + call(0, arguments="1}"),
        [("f", '{"x":1}'), ("text", "oops")],
    ),
    "white space behind a call": (
        call(0, "c0", "f", "{}") + text("\n"),
        [("f", "{}")],
    ),
    "reasoning between calls": (
        reasoning("a") + call(0, "c0", "f", "{}") + reasoning("b") + call(1, "c1", "g", "{}"),
        [("thinking", "a"), ("f", "{}"), ("thinking", "b"), ("g", "{}")],
    ),
    "a call without a name beside text": (
        text("a") + call(0, "c0", None, "{}"),
        [("text", "a")],
    ),
}


@pytest.mark.parametrize("reason", ["stop", "tool_calls", "function_call", "something new"])
@pytest.mark.parametrize("name", CALLS)
def test_tool_calls_are_told_one_block_after_the_other(name: str, reason: str) -> None:
    stream, blocks = CALLS[name]
    answer = both(ROLE + stream + finish(reason) + END)
    assert said(answer) == blocks
    uses_tool = any(block["type"] == "tool_use" for block in answer.blocks)
    assert answer.stop_reason == ("tool_use" if uses_tool else "end_turn")


def test_everything_in_one_chunk_is_told_in_order() -> None:
    delta = {
        "role": "assistant",
        "content": "b",
        "reasoning_content": "a",
        "tool_calls": [fragment(0, "c0", "f", "{}")],
    }
    answer = both(chunk(delta, "tool_calls") + END)
    assert said(answer) == [("thinking", "a"), ("text", "b"), ("f", "{}")]


def test_reasoning_is_a_thinking_block_with_a_signature() -> None:
    answer = both(ROLE + reasoning("th") + reasoning("ink") + text("ok") + finish() + END)
    assert said(answer) == [("thinking", "think"), ("text", "ok")]
    assert answer.blocks[0]["signature"].startswith("mp1.n.")


def test_other_engines_reasoning_member_is_read_once() -> None:
    stream = chunk({"reasoning": "a"}) + chunk({"reasoning_content": "b", "reasoning": "b"})
    assert said(both(stream + text("c") + finish() + END)) == [("thinking", "ab"), ("text", "c")]


def test_content_in_parts_is_read() -> None:
    thinking = {"type": "thinking", "thinking": [{"type": "text", "text": "a"}]}
    stream = chunk({"content": [thinking, {"type": "text", "text": "b"}]})
    assert said(both(stream + finish() + END)) == [("thinking", "a"), ("text", "b")]


def test_reasoning_that_was_not_asked_for_is_hidden_but_pings_go_on() -> None:
    translator = emitter(HIDES)
    assert translator.keep_alive() == b": keep-alive\n\n"
    assert check(translator.feed(ROLE + reasoning("a"))).names == ["message_start"]
    assert translator.keep_alive() == b'event: ping\ndata: {"type":"ping"}\n\n'
    assert not translator.started and translator.events == 1
    answer = both(ROLE + reasoning("a") + text("b") + finish() + END, HIDES)
    assert said(answer) == [("text", "b")]


def test_white_space_before_text_belongs_to_the_text() -> None:
    answer = both(ROLE + reasoning("r") + text("\n\n") + text("answer") + finish() + END)
    assert said(answer) == [("thinking", "r"), ("text", "\n\nanswer")]


@pytest.mark.parametrize("stream", [text("  "), b"", text("\n") + text("\n")])
def test_an_answer_of_nothing_has_no_block(stream: bytes) -> None:
    answer = both(ROLE + stream + finish() + END)
    assert answer.names == ["message_start", "message_delta", "message_stop"]
    assert answer.stop_reason == "end_turn"


def test_an_answer_without_a_role_chunk_starts_all_the_same() -> None:
    assert said(both(text("🙂") + finish() + END)) == [("text", "🙂")]


def test_a_refusal_is_text() -> None:
    answer = both(ROLE + refusal("no") + finish("content_filter") + END)
    assert said(answer) == [("text", "no")] and answer.stop_reason == "refusal"


# -- why it stopped --------------------------------------------------------------------------


def stopped(end: bytes, **members: Any) -> tuple[str, str | None]:
    turn = MessagesTurn("demo", **members)
    delta = both(ROLE + text("a") + end + END, turn).end
    assert delta is not None
    return delta["delta"]["stop_reason"], delta["delta"]["stop_sequence"]


def test_a_stop_sequence_of_the_client_is_named() -> None:
    word = finish(__verbose=verbose("word", " token"))
    assert stopped(word, stop_sequences=(" token",)) == ("stop_sequence", " token")
    assert stopped(word, stop_sequences=("other",)) == ("end_turn", None)
    eos = finish(__verbose=verbose("eos"))
    assert stopped(eos, stop_sequences=(" token",)) == ("end_turn", None)


def test_vllms_stop_reason_names_the_stop_sequence() -> None:
    choice = {"index": 0, "delta": {}, "finish_reason": "stop", "stop_reason": "END"}
    assert stopped(event({"choices": [choice]}), stop_sequences=("END",)) == (
        "stop_sequence",
        "END",
    )


def test_a_full_context_is_told_to_those_who_know_the_word() -> None:
    full = finish("length", __verbose=verbose("limit", truncated=True))
    assert stopped(full, knows_window_stop=True)[0] == "model_context_window_exceeded"
    assert stopped(full)[0] == "max_tokens"
    limit = finish("length", __verbose=verbose("limit"))
    assert stopped(limit, knows_window_stop=True)[0] == "max_tokens"


def test_tool_calls_as_a_reason_without_a_call_is_the_end_of_the_turn() -> None:
    assert stopped(finish("tool_calls")) == ("end_turn", None)


def test_a_call_cut_by_the_limit_is_no_tool_use() -> None:
    stream = ROLE + call(0, "c0", "f", '{"x":') + finish("length") + END
    answer = told(stream)
    assert said(answer) == [("f", '{"x":')] and answer.stop_reason == "max_tokens"
    assert folded(stream)["content"] == []
    assert folded(stream)["stop_reason"] == "max_tokens"


def test_a_call_that_had_not_begun_is_dropped_at_the_limit() -> None:
    stream = ROLE + text("a") + call(0, "c0", "f", "") + finish("length") + END
    assert said(both(stream)) == [("text", "a")]


def test_a_budget_spent_on_hidden_reasoning_gives_an_empty_answer() -> None:
    answer = both(ROLE + reasoning("a") + finish("length") + END, HIDES)
    assert answer.blocks == [] and answer.stop_reason == "max_tokens"


def test_warming_the_cache_discards_the_one_token() -> None:
    turn = MessagesTurn("demo", discards_output=True)
    answer = both(ROLE + text("One") + finish("length") + END, turn)
    assert answer.blocks == [] and answer.stop_reason == "max_tokens"


def test_only_the_first_of_parallel_calls_is_told_if_the_client_wants_one() -> None:
    turn = MessagesTurn("demo", one_call_only=True)
    stream = call(0, "c0", "f", '{"x":') + call(1, "c1", "g", "{}") + call(0, arguments="1}")
    answer = both(ROLE + stream + finish("tool_calls") + END, turn)
    assert said(answer) == [("f", '{"x":1}')]


def test_arguments_that_are_no_object_reach_a_folded_client_wrapped() -> None:
    stream = ROLE + call(0, "c0", "f", '{"x": oops') + finish("tool_calls") + END
    assert folded(stream)["content"][0]["input"] == {"__unparsed_arguments": '{"x": oops'}
    assert said(told(stream)) == [("f", '{"x": oops')]


# -- ids -------------------------------------------------------------------------------------


def ids(stream: bytes, turn: MessagesTurn = THINKS) -> list[str]:
    answer = told(ROLE + stream + finish("tool_calls") + END, turn)
    return [block["id"] for block in answer.blocks]


def test_an_id_that_was_used_gets_a_suffix() -> None:
    first, second = ids(call(0, "call_0", "f", "{}") + call(1, "call_0", "g", "{}"))
    assert first == "call_0" and second.startswith("call_0_") and len(second) == 13
    (again,) = ids(call(0, "call_0", "f", "{}"), MessagesTurn("m", taken_ids=frozenset(["call_0"])))
    assert again.startswith("call_0_")


def test_an_exotic_id_is_wrapped_and_a_missing_one_made() -> None:
    assert ids(call(0, "functions.f:0", "f", "{}")) == ["toolu_mp_ZnVuY3Rpb25zLmY6MA"]
    (made,) = ids(call(0, None, "f", "{}"))
    assert made.startswith("toolu_") and len(made) == 30


# -- usage -----------------------------------------------------------------------------------


def numbers(answer: Any) -> tuple[int, int, int]:
    counts = answer.usage
    return counts["input_tokens"], counts["cache_read_input_tokens"], counts["output_tokens"]


def test_usage_without_a_usage_chunk_comes_from_the_timings() -> None:
    assert numbers(both(ROLE + text("a") + finish(timings=TIMINGS) + DONE)) == (4, 6, 9)


def test_cached_tokens_may_come_from_the_timings_alone() -> None:
    counts = {"prompt_tokens": 10, "completion_tokens": 9}
    last = event({"choices": [], "usage": counts, "timings": TIMINGS})
    assert numbers(both(ROLE + text("a") + finish() + last + DONE)) == (4, 6, 9)


def test_usage_that_nobody_counted_is_estimated() -> None:
    body = {"messages": [{"role": "user", "content": "x" * 360}]}
    turn = MessagesTurn("demo", body=body)
    assert numbers(both(ROLE + text("y" * 36) + finish() + DONE, turn)) == (108, 0, 10)


def test_the_first_progress_starts_the_message_with_the_exact_prompt() -> None:
    stream = progress(100, 40, 60) + progress(100, 40, 100)
    answer = told(stream + text("a") + finish() + usage(100, 40, 1) + DONE)
    assert answer.start is not None
    assert answer.start["message"]["usage"]["input_tokens"] == 60
    assert answer.start["message"]["usage"]["cache_read_input_tokens"] == 40
    translator = emitter()
    translator.feed(stream)
    assert translator.progress is not None and translator.progress.processed == 100
    assert not translator.started


# -- failures --------------------------------------------------------------------------------

BROKEN: dict[str, tuple[bytes, type[Exception]]] = {
    "the connection ends": (b"", BackendDied),
    "the connection ends inside an event": (b'data: {"choices":[{"delta":{"con', BackendDied),
    "[DONE] without a finish": (DONE, BackendDied),
    "an error event": (ERROR, BackendError),
    "an error as a string": (event({"error": "boom"}), BackendError),
    "an error of vLLM": (event({"object": "error", "message": "boom", "code": 500}), BackendError),
    "a named error event": (b'event: error\ndata: {"message":"boom"}\n\n', BackendError),
    "the error line of old builds": (b'error: {"code":500,"message":"boom"}\n\n', BackendError),
    "an overflow": (event({"error": {"message": "Context size has been exceeded."}}),
                    ContextExceeded),
    "an event that is no JSON": (b'data: {"choices":[\n\n', BackendProtocolError),
    "an event that is no object": (b"data: [1]\n\n", BackendProtocolError),
    "text that is no string": (chunk({"content": 5}), BackendProtocolError),
    "a finish that means failure": (finish("error"), BackendError),
}  # fmt: skip


@pytest.mark.parametrize("name", BROKEN)
def test_a_failure_ends_the_stream_with_an_error_event(name: str) -> None:
    ending, kind = BROKEN[name]
    answer = told(ROLE + text("a") + ending)
    assert answer.names[-2:] == ["content_block_delta", "error"]
    assert isinstance(failure(ROLE + text("a") + ending), kind)
    assert answer.error is not None
    if kind is BackendError and "finish" not in name:
        assert "boom" in answer.error["message"]


def test_an_overflow_in_the_stream_is_told_in_the_words_agents_know() -> None:
    answer = told(event({"error": {"message": "the request exceeds the available context size"}}))
    assert answer.names == ["error"]
    assert answer.error == {
        "type": "invalid_request_error",
        "message": "prompt is too long: the request exceeds the available context size",
    }


def test_a_nameless_call_alone_is_a_failure() -> None:
    stream = ROLE + call(0, "c0", None, "{}") + finish("tool_calls") + END
    assert isinstance(failure(stream), BackendProtocolError)


def test_an_event_beyond_the_limit_is_a_failure_that_keeps_what_came_before() -> None:
    stream = ROLE + text("a") + text("b" * 2000) + finish() + END
    for pieces in ([stream], [stream[index : index + 1] for index in range(len(stream))]):
        translator = emitter(max_event_size=1000)
        answer = check(run(translator, pieces))
        assert said(answer) == [("text", "a")]
        assert isinstance(translator.failure, BackendProtocolError)


def test_what_waits_is_bounded() -> None:
    translator = emitter(max_answer_size=5000)
    translator.feed(call(0, "c0", "f", '{"x":'))
    for _ in range(60):
        translator.feed(call(1, "c1", "g", "y" * 100))
    assert isinstance(translator.failure, BackendProtocolError)


@pytest.mark.parametrize("ending", [b"", ERROR, b"data: {\n\n", text("late") + DONE, DONE + ERROR])
def test_what_comes_behind_the_finish_cannot_spoil_the_answer(ending: bytes) -> None:
    answer = both(ROLE + text("a") + finish() + usage() + ending)
    assert said(answer) == [("text", "a")] and numbers(answer) == (4, 6, 4)


def test_after_a_finish_the_worker_may_end_the_wait() -> None:
    translator = emitter()
    translator.feed(ROLE + text("a") + finish())
    assert translator.finish_reason == "stop" and not translator.finished
    assert translator.eof().endswith(b'{"type":"message_stop"}\n\n') and translator.finished


def test_another_backend_may_take_over_before_content() -> None:
    first = emitter()
    out = first.feed(progress(100, 40, 50)) + first.eof()
    assert isinstance(first.failure, BackendDied) and not first.started
    second = emitter(resume_from=first)
    out += run(second, [progress(90, 0, 90) + text("b") + finish() + usage(90, 0, 1) + DONE])
    answer = check(out)
    assert said(answer) == [("text", "b")] and numbers(answer) == (90, 0, 1)
    assert second.message_id == first.message_id


def test_content_commits_the_answer() -> None:
    translator = emitter()
    translator.feed(ROLE + text(" "))
    assert not translator.started
    translator.feed(text("a"))
    assert translator.started


def test_an_engine_that_does_not_stream_is_read_as_well() -> None:
    message = {
        "role": "assistant",
        "content": "Hello",
        "tool_calls": [{"id": "c0", "function": {"name": "f", "arguments": "{}"}}],
    }
    document = {
        "choices": [{"index": 0, "message": message, "finish_reason": "tool_calls"}],
        "usage": {"prompt_tokens": 10, "completion_tokens": 4},
    }
    answer = both(orjson.dumps(document))
    assert said(answer) == [("text", "Hello"), ("f", "{}")] and numbers(answer) == (10, 0, 4)
    assert isinstance(failure(orjson.dumps(document)[:-9]), BackendDied)
    assert isinstance(failure(b'{"error":{"message":"boom","code":500}}'), BackendError)


def test_a_long_argument_in_single_characters_takes_linear_time() -> None:
    translator = emitter()
    out = [translator.feed(ROLE + call(0, "c0", "f", '{"x":"'))]
    piece = call(0, arguments="a")
    out += [translator.feed(piece) for _ in range(100_000)]
    out.append(translator.feed(call(0, arguments='"}') + finish("tool_calls") + END))
    answer = check(b"".join(out))
    assert answer.blocks[0]["input"] == '{"x":"' + "a" * 100_000 + '"}'
