"""Which blocks come of a Chat stream, why it stopped, and what it cost."""

from typing import Any

import pytest
from chat_notation import (
    DONE,
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
from dialects.messages_asking import HI, chat
from dialects.messages_run import (
    HIDES,
    THINKS,
    WITHHOLDS,
    both,
    emitter,
    numbers,
    run,
    said,
    told,
)

from multiproxy.dialects.messages_turn import MessagesTurn
from multiproxy.errors import BackendProtocolError

END = usage() + DONE
TIMINGS = {"prompt_n": 4, "cache_n": 6, "predicted_n": 9}


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


def test_withheld_thinking_travels_in_the_signature_and_comes_back() -> None:
    stream = ROLE + reasoning("a secret") + reasoning(" plan") + text("ok") + finish() + END
    answer = both(stream, WITHHOLDS)
    assert said(answer) == [("thinking", ""), ("text", "ok")]
    assert b"plan" not in run(emitter(WITHHOLDS), [stream])
    messages = [{"role": "assistant", "content": answer.blocks}, *HI]
    assert chat(messages=messages)["messages"][0]["reasoning_content"] == "a secret plan"


def test_withheld_thinking_is_bounded() -> None:
    translator = emitter(WITHHOLDS, max_answer_size=1000)
    for _ in range(20):
        translator.feed(reasoning("x" * 100))
    assert isinstance(translator.failure, BackendProtocolError)


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


def test_white_space_before_text_belongs_to_the_text() -> None:
    answer = both(ROLE + reasoning("r") + text("\n\n") + text("answer") + finish() + END)
    assert said(answer) == [("thinking", "r"), ("text", "\n\nanswer")]


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


def test_counts_are_scaled_for_the_client_from_the_first_to_the_last() -> None:
    translator = emitter()
    translator.scale = 2.5
    end = text("a") + finish() + usage(100, 40, 2) + DONE
    out = run(translator, [progress(100, 40, 60), end])
    assert b'"input_tokens":150,"cache_creation_input_tokens":0,"cache_read' in out
    assert out.count(b'"input_tokens":150,') == 2
    assert out.count(b'"cache_read_input_tokens":100,') == 2
    assert b'"output_tokens":5}' in out
    assert translator.usage is not None
    assert (translator.usage.prompt, translator.usage.output) == (100, 2)


def test_white_space_without_end_takes_linear_time() -> None:
    translator = emitter()
    piece = text("\n")
    for _ in range(100_000):
        assert translator.feed(piece) == b"" or not translator.started
    out = translator.feed(text("a") + finish() + END)
    assert b'"text":"' + b"\\n" * 100_000 + b'a"' in out


def test_calls_without_end_are_a_failure() -> None:
    translator = emitter()
    for number in range(5000):
        translator.feed(call(number, f"c{number}", "f", "{}"))
    assert isinstance(translator.failure, BackendProtocolError)
