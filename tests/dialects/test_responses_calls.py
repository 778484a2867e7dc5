"""Tool calls: which fragment belongs to which, and when a call begins and ends."""

import orjson
import pytest
from chat_notation import (
    DONE,
    ROLE,
    call,
    calls,
    finish,
    fragment,
    text,
    usage,
)
from dialects.responses_grammar import check
from dialects.responses_run import emitter, failure, said, told, turn
from dialects.running import run

from multiproxy.errors import (
    BackendProtocolError,
)

END = usage() + DONE
FUNCTION = {"type": "function", "name": "f", "parameters": {"type": "object"}}


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


def test_only_the_first_call_is_told_when_the_client_wants_one() -> None:
    both = calls(fragment(0, "c0", "f", '{"x":1}'), fragment(1, "c1", "g", '{"y":2}'))
    stream = ROLE + both + finish("tool_calls") + END
    answer = told(stream, turn(parallel_tool_calls=False, tools=[FUNCTION]))
    assert said(answer) == [("function_call", 'f{"x":1}')]
    assert answer.end["parallel_tool_calls"] is False


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
