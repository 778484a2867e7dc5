"""The smallest request of each dialect, and what is read from its stream."""

import orjson
import pytest

from multiproxy.dialects.trial import PATHS, Piece, Reading, Trial, encode, error_of


def sse(*events):
    return b"".join(b"data: " + orjson.dumps(event) + b"\n\n" for event in events)


CHAT = sse(
    {"choices": [{"delta": {"role": "assistant", "content": None}}]},
    {"choices": [{"delta": {"reasoning_content": "Hm."}}]},
    {"choices": [{"delta": {"content": "Hel"}}]},
    {"choices": [{"delta": {"content": "lo"}, "finish_reason": "stop"}]},
    {"choices": [], "usage": {"prompt_tokens": 12, "completion_tokens": 5,
                              "prompt_tokens_details": {"cached_tokens": 7}}},
) + b"data: [DONE]\n\n"  # fmt: skip
MESSAGES = sse(
    {"type": "message_start", "message": {"usage": {"input_tokens": 5, "output_tokens": 1,
                                                    "cache_read_input_tokens": 7}}},
    {"type": "content_block_delta", "delta": {"type": "thinking_delta", "thinking": "Hm."}},
    {"type": "content_block_delta", "delta": {"type": "text_delta", "text": "Hel"}},
    {"type": "ping"},
    {"type": "content_block_delta", "delta": {"type": "text_delta", "text": "lo"}},
    {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 5}},
)  # fmt: skip
RESPONSES = sse(
    {"type": "response.created", "response": {}},
    {"type": "response.reasoning_text.delta", "delta": "Hm."},
    {"type": "response.output_text.delta", "delta": "Hel"},
    {"type": "response.output_text.delta", "delta": "lo"},
    {"type": "response.completed", "response": {"status": "completed", "error": None, "usage": {
        "input_tokens": 12, "output_tokens": 5, "input_tokens_details": {"cached_tokens": 7}}}},
)  # fmt: skip
STREAMS = {
    "chat": (CHAT, "stop"),
    "messages": (MESSAGES, "end_turn"),
    "responses": (RESPONSES, "completed"),
}


@pytest.mark.parametrize("size", [1, 7, 100_000])
@pytest.mark.parametrize("dialect", PATHS)
def test_text_and_numbers_are_the_same_in_every_dialect(dialect, size):
    stream, finish = STREAMS[dialect]
    reading = Reading(dialect)
    pieces = []
    for start in range(0, len(stream), size):
        pieces += reading.feed(stream[start : start + size])
    assert pieces == [Piece("thinking", "Hm."), Piece("text", "Hel"), Piece("text", "lo")]
    numbers = (reading.prompt_tokens, reading.cached_tokens, reading.output_tokens)
    assert (numbers, reading.finish_reason, reading.error) == ((12, 7, 5), finish, "")


@pytest.mark.parametrize(
    ("dialect", "event"),
    [
        ("chat", {"error": {"message": "Broken."}}),
        ("messages", {"type": "error", "error": {"type": "api_error", "message": "Broken."}}),
        ("responses", {"type": "error", "message": "Broken."}),
        ("responses", {"type": "response.failed", "response": {"error": {"message": "Broken."}}}),
    ],
)
def test_an_error_in_the_stream_is_told(dialect, event):
    reading = Reading(dialect)
    assert reading.feed(sse(event)) == []
    assert reading.error == "Broken."


def test_an_endless_event_is_an_error_and_no_memory():
    reading = Reading("chat")
    reading._splitter._max_event_size = 100
    assert reading.feed(b"data: " + b"x" * 200) == []
    assert reading.error


@pytest.mark.parametrize("dialect", PATHS)
def test_a_request_is_a_stream_of_the_named_model(dialect):
    body = orjson.loads(encode(Trial(dialect, "m", "Hi", 9)))
    assert (body["model"], body["stream"]) == ("m", True)
    assert body.get("max_output_tokens", body.get("max_tokens")) == 9
    assert body.get("messages", body.get("input")) == [{"role": "user", "content": "Hi"}]
    assert body.get("store") is (False if dialect == "responses" else None)


@pytest.mark.parametrize("body", [b"", b"[]", b'{"error": 1}', b"\xff"])
def test_an_answer_without_a_sentence_gets_one(body):
    assert error_of(body).startswith("The server answered")
    assert error_of(b'{"error": {"message": "No."}}') == "No."
