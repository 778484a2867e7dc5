"""Streams of a backend's own Messages and Responses: which bytes, and how they end."""

import orjson
import pytest
import recordings
from chat_notation import cuts, event
from dialects.messages_grammar import check as check_messages
from recordings import meaning, pieces_at_every_cut, stream

from multiproxy.dialects.events import Progress, Usage
from multiproxy.dialects.native_relay import MessagesRelay, ResponsesRelay
from multiproxy.errors import (
    BackendDied,
    BackendError,
    BackendProtocolError,
    ContextExceeded,
    Overloaded,
    ProxyError,
)

MESSAGES = recordings.names("messages.stream*")
RESPONSES = recordings.names("responses.stream*")
WHOLE = recordings.names("messages.nonstream*", "responses.nonstream*")
# Prompt, cached and output tokens, and the finish, as the recordings' own last events say.
TOLD = {
    "messages.stream": (Usage(14, 13, 10), "end_turn"),
    "messages.stream.stop-sequence": (Usage(14, 13, 5), "end_turn"),
    "messages.stream.thinking": (Usage(16, 15, 9), "end_turn"),
    "messages.nonstream": (Usage(14, 13, 7), "end_turn"),
    "messages.nonstream.prefill": (Usage(18, 14, 3), "end_turn"),
    "responses.stream": (Usage(14, 13, 9), "completed"),
    "responses.stream.reasoning": (Usage(16, 15, 16), "completed"),
    "responses.stream.tools": (Usage(388, 387, 64), "completed"),
    "responses.nonstream": (Usage(14, 13, 9), "completed"),
}
Relay = MessagesRelay | ResponsesRelay


def relay(name: str, **options: int) -> Relay:
    kind = ResponsesRelay if "responses" in name else MessagesRelay
    return kind("req_1", **options)


def run(pieces: list[bytes], translator: Relay) -> bytes:
    out = b"".join(translator.feed(piece) for piece in pieces)
    return out + translator.eof()


def named(name: str, **members: object) -> bytes:
    data = orjson.dumps({"type": name, **members})
    return b"event: %b\ndata: %b\n\n" % (name.encode(), data)


START = named("message_start", message={"usage": {"input_tokens": 4, "output_tokens": 0}})
BLOCK = named("content_block_start", index=0, content_block={"type": "text", "text": ""})
DELTA = named("content_block_delta", index=0, delta={"type": "text_delta", "text": "a"})
STOP = named("message_delta", delta={"stop_reason": "end_turn"}, usage={"output_tokens": 1})
END = named("message_stop")
CREATED = named("response.created", response={"id": "resp_own", "model": "own"})
ITEM = named("response.output_item.added", item={"type": "message"})
SAID = named("response.output_text.delta", item_id="msg_1", delta="a")
BEGUN = {"messages": START + BLOCK + DELTA, "responses": CREATED + ITEM + SAID}


# -- the same bytes ---------------------------------------------------------------------------


@pytest.mark.parametrize("name", [*MESSAGES, *RESPONSES])
def test_a_recorded_stream_goes_out_byte_for_byte_wherever_it_is_cut(name: str):
    data = stream(name)
    whole = relay(name)
    assert run([data], whole) == data
    assert whole.finished and whole.started and whole.failure is None
    for pieces in pieces_at_every_cut(data, 17):
        translator = relay(name)
        assert run(list(pieces), translator) == data
        assert (translator.finished, translator.usage) == (True, whole.usage)
        assert (translator.events, translator.finish_reason) == (whole.events, whole.finish_reason)
    assert run([data[i : i + 1] for i in range(len(data))], relay(name)) == data


def test_whole_events_go_out_as_the_very_object_that_came():
    for name, pieces in (("messages", (START, BLOCK, DELTA)), ("responses", (CREATED, ITEM, SAID))):
        translator = relay(name)
        for piece in pieces:
            assert translator.feed(piece) is piece


@pytest.mark.parametrize("name", BEGUN)
def test_content_commits_the_answer_and_the_head_of_it_does_not(name: str):
    translator = relay(name)
    head, first = (START, BLOCK) if name == "messages" else (CREATED, ITEM)
    translator.feed(head)
    assert not translator.started
    translator.feed(first)
    assert translator.started


@pytest.mark.parametrize("name", TOLD)
def test_usage_and_finish_are_read_on_the_way(name: str):
    translator = relay(name)
    if "nonstream" in name:
        translator.read_answer(meaning(name).payload)
    else:
        run([stream(name)], translator)
    assert (translator.usage, translator.finish_reason) == TOLD[name]


def test_every_delta_is_counted():
    translator = relay("messages")
    run([stream("messages.stream.stop-sequence")], translator)
    assert translator.events == stream("messages.stream.stop-sequence").count(b"text_delta")
    translator = relay("responses")
    run([stream("responses.stream.tools")], translator)
    assert translator.events == stream("responses.stream.tools").count(b'.delta","')


def test_timings_and_progress_of_a_llama_server_are_read():
    translator = relay("responses")
    run([stream("responses.stream")], translator)
    assert translator.usage is not None and translator.usage.timings is not None
    assert translator.usage.timings["predicted_n"] == 9
    progress = {"total": 14, "cache": 13, "processed": 14}
    translator = relay("responses")
    translator.feed(CREATED + named("response.in_progress", prompt_progress=progress))
    assert translator.progress == Progress(14, 13, 14) and not translator.started


def test_counts_of_the_end_win_over_those_of_the_start():
    translator = relay("messages")
    usage = {"input_tokens": 3, "cache_creation_input_tokens": 2, "cache_read_input_tokens": 5}
    end = named("message_delta", delta={}, usage=usage | {"output_tokens": 7})
    translator.feed(START + BLOCK + DELTA + end)
    assert translator.usage == Usage(10, 5, 7)


@pytest.mark.parametrize("body", [b"", b"{", b"[1]", b'{"usage":1}', b'{"usage":{}}'])
@pytest.mark.parametrize("name", BEGUN)
def test_a_whole_answer_that_says_nothing_of_its_usage_is_no_trouble(name: str, body: bytes):
    relay(name).read_answer(body)


def test_an_answer_that_its_limit_cut_is_finished():
    translator = relay("responses")
    response = {"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}}
    run([BEGUN["responses"], named("response.incomplete", response=response)], translator)
    assert (translator.finished, translator.finish_reason) == (True, "max_output_tokens")


# -- failures ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["error.mid-stream.messages", "error.mid-stream.responses"])
def test_a_recorded_error_inside_a_stream_is_no_part_of_it_and_told_in_the_dialect(name: str):
    data = stream(name)
    good = data[: data.rindex(b"event: error" if "messages" in name else b'data: {"error"')]
    for pieces in ([data], cuts(data, 1), [data[i : i + 1] for i in range(len(data))]):
        translator = relay(name)
        assert run(pieces, translator) == good
        assert isinstance(translator.failure, ContextExceeded) and not translator.finished
        translator.open()
        tail = translator.fail(translator.failure)
    if "messages" in name:
        assert check_messages(tail).error["message"].startswith("prompt is too long")
    else:
        assert tail.endswith(b"data: [DONE]\n\n")
        failed, told = (orjson.loads(line[6:]) for line in tail.splitlines()[1:6:3])
        assert failed["type"] == "response.failed"
        assert failed["response"]["id"] == orjson.loads(good.splitlines()[1][6:])["response"]["id"]
        assert failed["response"]["status"] == "failed"
        assert told["error"]["code"] == told["code"] == "context_length_exceeded"


FAILURES: dict[str, tuple[bytes, type[ProxyError]]] = {
    "the connection ends": (b"", BackendDied),
    "amid an event": (b"event: content_block_delta\ndata: {", BackendDied),
    "[DONE] without an end": (b"data: [DONE]\n\n", BackendDied),
    "no JSON": (b"data: {\n\n", BackendProtocolError),
    "a typed error": (named("error", error={"type": "api_error", "message": "boom"}), BackendError),
    "a flat error": (named("error", code="server_error", message="boom"), BackendError),
    "an error object": (event({"error": {"code": 500, "message": "boom"}}), BackendError),
}


@pytest.mark.parametrize("failure", FAILURES)
@pytest.mark.parametrize("name", BEGUN)
def test_what_ends_without_its_proper_end_fails(name: str, failure: str):
    ending, kind = FAILURES[failure]
    data = BEGUN[name] + ending
    for pieces in ([data], [data[i : i + 1] for i in range(len(data))]):
        translator = relay(name)
        assert run(pieces, translator) == BEGUN[name]
        assert isinstance(translator.failure, kind) and not translator.finished


def test_a_failed_response_is_a_failure():
    translator = relay("responses")
    response = {"status": "failed", "error": {"code": "server_error", "message": "boom"}}
    failed = named("response.failed", response=response)
    assert run([BEGUN["responses"], failed], translator) == BEGUN["responses"]
    assert isinstance(translator.failure, BackendError) and "boom" in translator.failure.message


def test_a_reason_is_not_the_end():
    translator = relay("messages")
    run([BEGUN["messages"], STOP], translator)
    assert isinstance(translator.failure, BackendDied)
    translator = relay("messages")
    run([BEGUN["messages"], STOP, END, FAILURES["a typed error"][0]], translator)
    assert translator.finished and translator.failure is None


def test_an_endless_event_is_bounded():
    for name in BEGUN:
        translator = relay(name, max_event_size=1000)
        for _ in range(200):
            translator.feed(b"data: xxxx")
        assert isinstance(translator.failure, BackendProtocolError)


# -- our own words ----------------------------------------------------------------------------


def test_signs_of_life_fit_the_dialect():
    translator = relay("messages")
    assert translator.keep_alive() == b": keep-alive\n\n" and not translator.opened
    translator.feed(BEGUN["messages"])
    assert translator.open() == b"" and translator.opened
    assert translator.keep_alive() == b'event: ping\ndata: {"type":"ping"}\n\n'
    assert relay("responses").keep_alive() == b": keep-alive\n\n"


def test_a_failure_of_a_stream_that_never_began_is_told_whole():
    told = check_messages(relay("messages").fail(Overloaded("Later.")))
    assert told.error["type"] == "overloaded_error"
    translator = relay("responses")
    translator.feed(CREATED)  # held, and then never sent
    lines = translator.fail(Overloaded("Later.")).splitlines()
    names = [line[7:].decode() for line in lines if line.startswith(b"event: ")]
    assert names == ["response.created", "response.failed", "error"]
    assert b"resp_own" not in b"".join(lines)
