"""Answers between a backend's connection and a client's, both on list transports."""

import pytest
from _http.answering import connected
from _http.malformed import HOST
from _http.wire_server import Wire
from chat_notation import DONE, ERROR, ROLE, event, finish, text
from recordings import chunks, recording, stream
from worker.workplace import Answer

from multiproxy._http.client import State
from multiproxy.dialects.chat_fold import ChatFold
from multiproxy.dialects.passthrough import Passthrough
from multiproxy.errors import (
    BackendBusy,
    BackendDied,
    BackendError,
    BackendLoading,
    BackendProtocolError,
    BackendTimeout,
    ContextExceeded,
)
from multiproxy.worker import relay as relay_module
from multiproxy.worker.relay import Downstream, Relay

SSE = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
END = b"0\r\n\r\n"


def framed(payload: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(payload), payload)


class Line:
    """A client that waits, a backend that answers, and the relay between them."""

    @classmethod
    async def open(
        cls, version: bytes = b"1.1", *, max_answer: int = 1000, folds: bool = False
    ) -> "Line":
        line = cls()
        line.wire = Wire(answers=False)
        request = b"POST /x HTTP/%b\r\n%bContent-Length: 2\r\n\r\n{}" % (version, HOST)
        await line.wire.feed(request)
        line.downstream = Downstream(line.wire.connection)
        line.downstream.fields = b"X: 1\r\n"
        line.begins = 0
        line.begin(max_answer, folds=folds)
        return line

    def begin(self, max_answer: int = 1000, *, folds: bool = False) -> None:
        """A new attempt."""
        self.backend = connected()
        plain = Passthrough("req_1", needs_role=True)
        self.translator = ChatFold("req_1") if folds else plain
        self.relay = Relay(
            self.wire.connection,
            self.backend,
            self.downstream,
            self.translator,
            max_answer=max_answer,
            reads_all=folds,
            folds=folds,
            on_begin=self.on_begin,
        )
        self.backend.send(b"", b"", self.relay)

    def on_begin(self) -> None:
        self.begins += 1

    def say(self, *pieces: bytes) -> None:
        for piece in pieces:
            if not self.backend.transport.closed:
                self.backend.data_received(piece)

    @property
    def out(self) -> bytes:
        return self.wire.transport.written

    @property
    def answer(self) -> Answer:
        return Answer(self.out)

    def ended_by(self, kind: type) -> bool:
        return type(self.relay.done.result()) is kind and self.backend.transport.aborted


async def test_a_stream_begins_with_its_first_content_and_what_came_before():
    line = await Line.open()
    line.say(SSE, framed(ROLE))
    assert (line.out, line.relay.committed, line.begins) == (b"", False, 0)
    line.say(framed(text("a")))
    assert (line.relay.committed, line.begins) == (True, 1)
    assert line.answer.body == ROLE + text("a")
    assert b"\r\nX: 1\r\n" in line.answer.head + b"\r\n"
    line.say(framed(text("b")))
    assert line.begins == 1


async def test_a_folded_answer_has_begun_long_before_its_client_gets_anything():
    line = await Line.open(folds=True)
    line.say(SSE, framed(ROLE))
    assert (line.begins, line.relay.begun) == (0, False)
    line.say(framed(text("a")), framed(text("b")))
    assert (line.begins, line.relay.begun, line.relay.committed) == (1, True, False)
    assert line.out == b""


async def test_the_chunks_of_one_read_are_folded_however_they_came():
    texts = [text("b"), text("c"), finish(), DONE]
    bodies = []
    for reads in (map(framed, texts), [b"".join(map(framed, texts))]):
        line = await Line.open(folds=True)
        line.say(SSE, framed(ROLE + text("a")), *reads, b"0\r\n\r\n")
        assert line.relay.done.result() is None and line.out == b""
        bodies.append(line.relay.body)
    assert b'"content":"abc"' in bodies[0] and bodies[0] == bodies[1]


async def test_an_error_between_the_chunks_of_one_read_ends_a_fold():
    line = await Line.open(folds=True)
    line.say(SSE, framed(ROLE + text("a")))
    line.say(framed(text("b")) + framed(ERROR) + framed(text("c")))
    assert isinstance(line.relay.done.result(), BackendError)
    assert line.translator.events == 2 and line.out == b""


async def test_a_chunk_behind_the_commit_point_is_forwarded_untouched():
    line = await Line.open()
    line.say(SSE, framed(ROLE + text("a")))
    written = []
    line.wire.transport.write = written.append
    piece = framed(text("b"))
    line.say(piece)
    assert len(written) == 1 and written[0] is piece
    line.say(piece[:10], piece[10:])
    assert b"".join(written[1:]) == piece


@pytest.mark.parametrize("version", [b"1.1", b"1.0"])
async def test_the_chunks_of_one_read_leave_in_one_write(version):
    line = await Line.open(version)
    line.say(SSE, framed(ROLE + text("a")))
    written = []
    line.wire.transport.write = written.append
    before = line.downstream.bytes_out
    texts = [text("b"), text("c"), text("d")]
    line.say(b"".join(map(framed, texts)))
    assert written == [b"".join(map(framed, texts) if version == b"1.1" else texts)]
    assert line.downstream.bytes_out - before == sum(map(len, texts))


async def test_chunks_that_do_not_go_on_as_they_came_leave_as_one():
    line = await Line.open()
    line.say(SSE, framed(ROLE + text("a")))
    written = []
    line.wire.transport.write = written.append
    half, rest = text("b")[:9], text("b")[9:]
    line.say(framed(half) + framed(rest) + framed(text("c")))
    assert written == [framed(text("b") + text("c"))]


async def test_an_error_between_the_chunks_of_one_read_ends_what_goes_out():
    line = await Line.open()
    line.say(SSE, framed(ROLE + text("a")))
    line.say(framed(text("b")) + framed(ERROR) + framed(text("c")))
    assert isinstance(line.relay.done.result(), BackendError)
    assert line.answer.body == ROLE + text("a") + text("b")


async def test_a_failure_before_the_content_of_one_read_leaves_nothing_behind():
    line = await Line.open()
    line.say(SSE, framed(ROLE) + framed(ERROR) + framed(text("c")))
    assert isinstance(line.relay.done.result(), BackendError)
    assert line.out == b"" and not line.relay.committed


@pytest.mark.parametrize("name", ["chat.stream", "chat.stream.include_usage"])
async def test_a_recorded_stream_arrives_whole_and_its_connection_may_serve_again(name):
    line = await Line.open()
    head = recording(name).partition(b"\r\n\r\n")[0] + b"\r\n\r\n"
    line.say(head, *map(framed, chunks(name)), END)
    assert line.relay.done.result() is None
    assert (line.answer.body, line.answer.complete) == (stream(name), True)
    assert (line.backend.state, line.backend.is_reusable) == (State.IDLE, True)
    assert line.downstream.bytes_out == len(stream(name))


async def test_a_client_of_http_1_0_gets_no_chunks():
    line = await Line.open(b"1.0")
    line.say(recording("chat.stream"))
    body = line.out.partition(b"\r\n\r\n")[2]
    assert body == stream("chat.stream")
    assert b"Connection: close\r\n" in line.out and line.wire.transport.closed


async def test_a_stream_that_was_opened_early_is_not_opened_twice():
    line = await Line.open()
    line.downstream.write(b": keep-alive\n\n")
    line.say(SSE, framed(ROLE + text("a")), framed(finish() + DONE), END)
    assert line.out.count(b"HTTP/1.1 200") == 1
    assert line.answer.body == b": keep-alive\n\n" + ROLE + text("a") + finish() + DONE
    assert line.answer.complete


async def test_an_attempt_that_fails_before_its_content_leaves_nothing_behind():
    line = await Line.open()
    line.say(SSE, framed(ROLE))
    line.backend.eof_received()
    assert type(line.relay.done.result()) is BackendDied
    assert (line.out, line.relay.committed) == (b"", False)
    line.begin()
    line.say(SSE, framed(ROLE + text("b")), framed(finish() + DONE), END)
    assert line.answer.body == ROLE + text("b") + finish() + DONE


async def test_content_and_failure_in_one_piece_can_still_be_hidden():
    line = await Line.open()
    line.say(SSE, framed(ROLE + text("a") + ERROR))
    assert line.out == b""
    assert line.ended_by(BackendError)


async def test_a_failure_behind_the_commit_point_is_left_to_tell():
    line = await Line.open()
    line.say(SSE, framed(ROLE + text("a")), framed(text("b") + ERROR), framed(text("c")))
    assert line.ended_by(BackendError)
    assert line.answer.body == ROLE + text("a") + text("b")
    assert not line.answer.complete


@pytest.mark.parametrize("how", ["eof", "reset", "end"])
async def test_a_stream_without_a_finish_fails_however_it_ends(how):
    line = await Line.open()
    line.say(SSE, framed(ROLE + text("a")))
    if how == "end":
        line.say(framed(DONE), END)
    else:
        line.backend.connection_lost(None if how == "eof" else ConnectionResetError())
    assert type(line.relay.done.result()) is BackendDied
    assert not line.answer.complete and DONE not in line.answer.body


async def test_a_finished_stream_is_complete_though_its_connection_breaks():
    line = await Line.open()
    line.say(SSE, framed(ROLE + text("a") + finish()))
    line.backend.connection_lost(ConnectionResetError())
    assert line.relay.done.result() is None
    assert line.answer.complete and line.answer.body.endswith(finish() + DONE)


async def test_a_finished_stream_that_does_not_end_is_ended():
    line = await Line.open()
    line.say(SSE, framed(ROLE + text("a") + finish()))
    assert line.relay.is_finished and not line.relay.done.done()
    line.relay.finish()
    assert line.relay.done.result() is None
    assert line.answer.complete and line.backend.transport.aborted


async def test_a_stream_of_no_content_is_a_stream():
    line = await Line.open()
    line.say(SSE, framed(ROLE + finish("length") + DONE), END)
    assert line.relay.done.result() is None
    assert line.answer.body == ROLE + finish("length") + DONE


async def test_an_answer_that_is_not_streamed_is_collected():
    line = await Line.open(max_answer=10_000)
    line.say(recording("chat.nonstream"))
    assert line.relay.done.result() is None
    assert (line.out, line.relay.committed) == (b"", False)
    assert line.relay.body == stream("chat.nonstream")


async def test_a_collected_answer_of_the_limit_passes_and_a_larger_one_does_not():
    for size, error in ((1000, type(None)), (1001, BackendProtocolError)):
        line = await Line.open(max_answer=1000)
        line.say(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size, b"a" * size)
        assert type(line.relay.done.result()) is error


async def test_a_truncated_answer_is_never_collected():
    line = await Line.open()
    line.say(recording("chat.nonstream")[:-1])
    line.backend.eof_received()
    assert type(line.relay.done.result()) is BackendDied


async def test_an_empty_answer_without_a_length_is_a_failure():
    line = await Line.open()
    line.say(b"HTTP/1.1 200 OK\r\n\r\n")
    line.backend.eof_received()
    assert type(line.relay.done.result()) is BackendDied


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (recording("loading.chat"), BackendLoading),
        (recording("error.context.stream"), ContextExceeded),
        (b"HTTP/1.1 429 Too Many Requests\r\nContent-Length: 0\r\n\r\n", BackendBusy),
        (b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 4\r\n\r\n<a/>", BackendError),
        (b"HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: 0\r\n\r\n", BackendProtocolError),
    ],
)
async def test_an_error_answer_is_what_it_says(answer, kind):
    line = await Line.open()
    line.say(answer)
    assert type(line.relay.done.result()) is kind
    assert line.out == b""


async def test_an_endless_error_answer_is_read_and_bounded():
    line = await Line.open()
    line.say(b"HTTP/1.1 500 Oops\r\nTransfer-Encoding: chunked\r\n\r\n")
    for _ in range(100):
        line.say(framed(b"a" * 4096))
    assert len(line.relay.body) <= relay_module.MAX_ERROR_BODY
    line.say(END)
    assert type(line.relay.done.result()) is BackendError


async def test_giving_up_closes_the_backend_and_the_first_reason_counts():
    line = await Line.open()
    line.say(SSE)
    line.relay.fail(BackendTimeout("a"))
    line.relay.fail(BackendDied("b"))
    assert line.ended_by(BackendTimeout)


async def test_life_changes_with_content_progress_and_bytes_but_not_with_comments():
    line = await Line.open()
    seen = [line.relay.life]
    line.say(SSE, framed(b": ping\n\n"))
    assert line.relay.life == seen[0]
    numbers = {"total": 9, "cache": 1, "processed": 4}
    progress = event({"choices": [], "prompt_progress": numbers})
    for piece in (progress, text("a"), text("b")):
        line.say(framed(piece))
        assert line.relay.life not in seen
        seen.append(line.relay.life)


async def test_a_bug_in_a_callback_is_not_blamed_on_the_backend():
    line = await Line.open()

    def broken(piece: bytes) -> bytes:
        raise ZeroDivisionError

    line.translator.feed = broken
    line.say(SSE, framed(ROLE))
    assert isinstance(line.relay.done.exception(), ZeroDivisionError)
    assert line.backend.transport.aborted
