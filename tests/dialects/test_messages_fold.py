"""Messages answers for clients that do not stream."""

import orjson
from chat_notation import (
    DONE,
    ROLE,
    call,
    finish,
    text,
    usage,
)
from dialects.messages_run import (
    both,
    failure,
    fold,
    folded,
    numbers,
    said,
    told,
)

from multiproxy.errors import BackendDied, BackendError, BackendProtocolError

END = usage() + DONE


def test_a_call_cut_by_the_limit_is_no_tool_use() -> None:
    stream = ROLE + call(0, "c0", "f", '{"x":') + finish("length") + END
    answer = told(stream)
    assert said(answer) == [("f", '{"x":')] and answer.stop_reason == "max_tokens"
    assert folded(stream)["content"] == []
    assert folded(stream)["stop_reason"] == "max_tokens"


def test_arguments_that_are_no_object_reach_a_folded_client_wrapped() -> None:
    stream = ROLE + call(0, "c0", "f", '{"x": oops') + finish("tool_calls") + END
    assert folded(stream)["content"][0]["input"] == {"__unparsed_arguments": '{"x": oops'}
    assert said(told(stream)) == [("f", '{"x": oops')]


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


def test_nothing_is_given_out_before_the_answer_is_complete() -> None:
    translator = fold()
    assert translator.open() == translator.keep_alive() == b""
    assert translator.feed(ROLE + text("a") + finish()) == b""
    assert not translator.started and translator.events == 1
    body = translator.feed(END)
    assert orjson.loads(body) == {
        "id": translator.message_id,
        "type": "message",
        "role": "assistant",
        "model": "demo",
        "content": [{"type": "text", "text": "a"}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": {
            "input_tokens": 4,
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": 6,
            "output_tokens": 4,
        },
    }
    assert translator.finished and translator.eof() == b""


def test_another_backend_may_take_over_at_any_time() -> None:
    first = fold()
    assert first.feed(ROLE + text("lost")) + first.eof() == b""
    second = fold(resume_from=first)
    answer = orjson.loads(second.feed(ROLE + text("kept") + finish() + END))
    assert answer["content"] == [{"type": "text", "text": "kept"}]
    assert answer["id"] == first.message_id


def test_a_failure_is_the_body_of_an_error_answer() -> None:
    translator = fold()
    assert translator.feed(ROLE + text("a")) + translator.eof() == b""
    assert translator.failure is not None and translator.failure.status == 502
    error = orjson.loads(translator.fail(translator.failure))
    assert error["type"] == "error" and error["error"]["type"] == "api_error"


def test_the_answer_is_bounded() -> None:
    translator = fold(max_answer_size=1000)
    for _ in range(20):
        translator.feed(text("x" * 100))
    assert isinstance(translator.failure, BackendProtocolError)
    assert translator.feed(finish() + END) == b"" and not translator.finished
