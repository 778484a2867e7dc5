"""How a stream that goes out as it came ends: complete, broken off, with an error inside."""

import pytest
from chat_notation import DONE, ERROR, ROLE, chunk, cuts, event, finish, text
from dialects.passing import passthrough, run
from recordings import names, stream

from multiproxy.dialects.passthrough import Passthrough
from multiproxy.errors import (
    BackendDied,
    BackendError,
    BackendProtocolError,
    ContextExceeded,
)

# -- how a stream ends -----------------------------------------------------------------------


def test_done_without_a_finish_is_withheld():
    translator = passthrough()
    assert run([ROLE, text("a"), DONE], translator) == ROLE + text("a")
    assert isinstance(translator.failure, BackendDied)
    assert not translator.finished


def test_what_came_with_a_false_done_goes_out_without_it():
    for pieces in ([ROLE + text("a") + DONE], [ROLE, text("a") + DONE + DONE]):
        translator = passthrough()
        assert run(pieces, translator) == ROLE + text("a")


def test_done_inside_a_text_is_text():
    translator = passthrough()
    data = ROLE + text("data: [DONE]") + text("[DONE]") + ERROR
    assert run([data], translator) == ROLE + text("data: [DONE]") + text("[DONE]")


def test_an_end_without_a_finish_is_a_failure():
    translator = passthrough()
    assert run([ROLE, text("a")], translator) == ROLE + text("a")
    assert isinstance(translator.failure, BackendDied)


def test_an_end_without_anything_is_a_failure():
    translator = passthrough()
    assert run([], translator) == b""
    assert isinstance(translator.failure, BackendDied)


def test_a_finish_without_done_is_complete_and_gets_one():
    translator = passthrough()
    data = ROLE + text("a") + finish()
    assert run([data], translator) == data + DONE
    assert (translator.finished, translator.finish_reason) == (True, "stop")


def test_nothing_goes_out_after_a_failure():
    translator = passthrough()
    translator.feed(text("a") + ERROR)
    assert translator.feed(text("b")) == b""
    assert translator.eof() == b""


def test_two_choices_are_finished_when_both_are():
    def of(index: int, delta: dict, reason: str | None = None) -> bytes:
        return event({"choices": [{"finish_reason": reason, "index": index, "delta": delta}]})

    for first, last in ((0, 1), (1, 0)):
        translator = passthrough()
        for piece in (of(0, {"role": "assistant", "content": "a"}),
                      of(1, {"role": "assistant", "content": "b"})):  # fmt: skip
            translator.feed(piece)
        translator.feed(of(first, {}, "stop"))
        assert not translator.finished
        translator.feed(of(last, {"content": "c"}))
        assert not translator.finished
        translator.feed(of(last, {}, "stop"))
        assert translator.finished


def test_a_choice_that_appears_late_is_waited_for():
    for first, late in ((0, 1), (1, 0)):
        translator = passthrough()
        translator.feed(text("a").replace(b'"index":0', b'"index":%d' % first))
        translator.feed(finish().replace(b'"index":0', b'"index":%d' % first))
        assert translator.finished
        translator.feed(text("b").replace(b'"index":0', b'"index":%d' % late))
        assert not translator.finished
        translator.feed(DONE)
        assert isinstance(translator.failure, BackendDied)


def test_a_chunk_behind_its_choices_finish_reopens_nothing():
    translator = passthrough()
    assert run([text("a"), finish(), chunk({}), DONE], translator).endswith(DONE)
    assert translator.finished


def test_the_recorded_two_choices_are_open_until_both_finished():
    translator = passthrough()
    lines = stream("chat.stream.n2").split(b"\n\n")
    reasons = 0
    for line in lines:
        reasons += b'"finish_reason":"' in line
        translator.feed(line + b"\n\n")
        assert translator.finished is (reasons == 2)


def test_a_native_stream_needs_no_done():
    for name in names("completion.native.stream*"):
        data = stream(name)
        assert b"[DONE]" not in data
        translator = passthrough(name)
        assert run([data], translator) == data
        assert (translator.finished, translator.finish_reason) == (True, "eos")


def test_a_native_stream_that_stops_early_is_a_failure():
    data = stream("completion.native.stream")
    translator = passthrough("completion.native")
    run([data[: data.rindex(b"data: ")]], translator)
    assert isinstance(translator.failure, BackendDied)


# -- errors inside a stream ------------------------------------------------------------------


@pytest.mark.parametrize("name", ["error.mid-stream.chat", "error.mid-stream.completions"])
def test_a_recorded_error_inside_a_stream_is_no_part_of_it(name):
    data = stream(name)
    good = data[: data.rindex(b'data: {"error"')]
    for pieces in ([data], cuts(data, 1), [data[i : i + 1] for i in range(len(data))]):
        translator = passthrough(name)
        assert run(pieces, translator) == good
        assert isinstance(translator.failure, ContextExceeded)
        assert not translator.finished


def test_a_routers_dead_child_is_a_failure():
    data = stream("router.child-killed.stream")
    good = data[: data.index(b"proxy error:")]
    for pieces in ([data], cuts(data, 1)):
        translator = passthrough()
        assert run(pieces, translator) == good
        assert isinstance(translator.failure, BackendDied)


@pytest.mark.parametrize(
    ("bad", "kind"),
    [
        (b"data: {nonsense\n\n", BackendProtocolError),
        (b"data: [1]\n\n", BackendProtocolError),
        (b'data: "text"\n\n', BackendProtocolError),
        (b"event: error\ndata: boom\n\n", BackendError),
        (b'error: {"code":500,"message":"boom"}\n\n', BackendError),
        (b'data: {"error":"boom"}\n\n', BackendError),
    ],
)
def test_what_is_no_chunk_fails_and_does_not_go_out(bad, kind):
    translator = passthrough()
    assert run([ROLE, text("a"), bad, text("b")], translator) == ROLE + text("a")
    assert type(translator.failure) is kind


@pytest.mark.parametrize("line", [b"error: ", b"event: error\ndata: "])
def test_a_named_error_is_told_in_the_backends_words_alone(line):
    translator = passthrough()
    run([ROLE, text("a"), line + b'{"code":500,"message":"boom"}\n\n'], translator)
    assert translator.failure.message == "The backend failed: boom"


NAMED = b'event: error\ndata: {"code":500,"message":"boom"}\n\n'


@pytest.mark.parametrize("error", [ERROR, NAMED])
def test_an_error_after_the_finish_changes_nothing(error):
    translator = passthrough()
    run([ROLE, text("a"), finish(), error, DONE], translator)
    assert translator.finished and translator.failure is None


def test_an_event_of_the_limit_passes_and_a_larger_one_does_not():
    data = text("x" * 1000)
    exact = Passthrough("req_1", max_event_size=len(data))
    assert exact.feed(data) == data
    exact = Passthrough("req_1", max_event_size=len(data) - 3)
    assert exact.feed(data) == b""
    assert isinstance(exact.failure, BackendProtocolError)


def test_an_endless_event_is_bounded():
    translator = Passthrough("req_1", max_event_size=1000)
    for _ in range(200):
        translator.feed(b"data: xxxx")
    assert isinstance(translator.failure, BackendProtocolError)
    assert len(translator._held) <= 1010
