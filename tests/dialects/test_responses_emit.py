"""How failures, silence and attempts are told in a Responses stream."""

import pytest
from chat_notation import (
    DONE,
    ERROR,
    ROLE,
    event,
    finish,
    progress,
    reasoning,
    text,
    usage,
)
from dialects.responses_grammar import check
from dialects.responses_run import emitter, failure, told

from multiproxy.errors import (
    BackendDied,
    BackendProtocolError,
    ContextExceeded,
    RateLimited,
)

END = usage() + DONE
OPENING = ["response.created", "response.in_progress"]


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


def test_what_has_to_come_first_is_given_once() -> None:
    translator = emitter()
    told = translator.feed(ROLE + text("a") + finish() + END)
    assert check(translator.open() + told).names[:2] == OPENING
    assert translator.open() == b""


def test_what_failed_together_with_its_content_is_not_counted() -> None:
    first = emitter()
    out = first.keep_alive() + first.keep_alive()
    first.feed(text("lost") + ERROR)
    assert first.failure is not None and first.started
    second = emitter(resume_from=first)
    out += second.open() + second.feed(ROLE + text("a") + finish() + END)
    assert check(out).names[:4] == [*OPENING, "response.in_progress", "response.output_item.added"]
