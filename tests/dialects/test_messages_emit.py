"""The bytes of a Messages stream, and how it ends when something fails."""

import pytest
from chat_notation import (
    DONE,
    ERROR,
    ROLE,
    call,
    chunk,
    event,
    finish,
    progress,
    reasoning,
    text,
    usage,
)
from dialects.messages_grammar import check
from dialects.messages_run import HIDES, both, emitter, failure, numbers, said, told
from dialects.running import run

from multiproxy.errors import BackendDied, BackendError, BackendProtocolError, ContextExceeded

END = usage() + DONE
PING = b'event: ping\ndata: {"type":"ping"}\n\n'


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


def test_reasoning_that_was_not_asked_for_is_hidden_but_pings_go_on() -> None:
    translator = emitter(HIDES)
    assert translator.keep_alive() == b": keep-alive\n\n"
    assert translator.feed(ROLE + reasoning("a")) == b""
    begun = translator.keep_alive()
    assert check(begun).names == ["message_start"]
    assert begun.endswith(PING)
    assert translator.keep_alive() == PING and translator.open() == b""
    assert not translator.started and translator.events == 1
    answer = both(ROLE + reasoning("a") + text("b") + finish() + END, HIDES)
    assert said(answer) == [("text", "b")]


@pytest.mark.parametrize("stream", [text("  "), b"", text("\n") + text("\n")])
def test_an_answer_of_nothing_has_no_block(stream: bytes) -> None:
    answer = both(ROLE + stream + finish() + END)
    assert answer.names == ["message_start", "message_delta", "message_stop"]
    assert answer.stop_reason == "end_turn"


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
    assert first.feed(progress(100, 40, 50)) + first.eof() == b""
    assert isinstance(first.failure, BackendDied) and not first.started
    second = emitter(resume_from=first)
    out = run(second, [progress(90, 0, 90) + text("b") + finish() + usage(90, 0, 1) + DONE])
    answer = check(out)
    assert said(answer) == [("text", "b")] and numbers(answer) == (90, 0, 1)
    assert second.message_id == first.message_id


def test_a_message_that_a_sign_of_life_began_goes_on_at_another_backend() -> None:
    first = emitter()
    out = first.feed(progress(100, 40, 50)) + first.keep_alive() + first.eof()
    out += run(emitter(resume_from=first), [text("b") + finish() + usage(90, 0, 1) + DONE])
    assert check(out).names[:2] == ["message_start", "content_block_start"]
    assert b'"input_tokens":60,' in out


def test_what_failed_together_with_its_content_was_never_begun() -> None:
    first = emitter()
    first.feed(text("lost") + ERROR)
    assert first.failure is not None and first.started
    out = run(emitter(resume_from=first), [text("b") + finish() + usage() + DONE])
    assert check(out).names[:2] == ["message_start", "content_block_start"]


def test_content_commits_the_answer() -> None:
    translator = emitter()
    translator.feed(ROLE + text(" "))
    assert not translator.started
    translator.feed(text("a"))
    assert translator.started


def test_a_long_argument_in_single_characters_takes_linear_time() -> None:
    translator = emitter()
    out = [translator.open(), translator.feed(ROLE + call(0, "c0", "f", '{"x":"'))]
    piece = call(0, arguments="a")
    out += [translator.feed(piece) for _ in range(100_000)]
    out.append(translator.feed(call(0, arguments='"}') + finish("tool_calls") + END))
    answer = check(b"".join(out))
    assert answer.blocks[0]["input"] == '{"x":"' + "a" * 100_000 + '"}'
